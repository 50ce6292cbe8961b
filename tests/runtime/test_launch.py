"""Starting, ending and failing to start a container (rung root)."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tiffin.errors import FailedError, NotFoundError, TiffinError
from tiffin.linux import terminal
from tiffin.oci.runtimespec import Mount
from tiffin.runtime.child import Streams
from tiffin.runtime.launch import launch
from tiffin.runtime.model import pack
from tiffin.runtime.users import User

pytestmark = pytest.mark.live


@pytest.mark.parametrize("status", [0, 1, 3, 125, 126, 127, 255])
def test_the_exit_status_is_the_programs(box, status):
    assert box.shell(f"exit {status}").status == status


def test_death_by_a_signal_is_128_and_its_number(box):
    assert box.shell("sh -c 'kill -15 $$; true'; exit $?").status == 143
    child, read = box.start(box.plan("sleep", "100"))
    child.kill(signal.SIGKILL)
    assert child.wait() == 137
    os.close(read)


def test_a_signal_from_outside(box):
    child, read = box.start(box.plan("sh", "-c", "trap 'echo bye; exit 9' TERM; echo up; sleep 100 & wait"))
    assert os.read(read, 10) == b"up\n"
    child.kill(signal.SIGTERM)
    assert box.drain(read) == "bye\n"
    assert child.wait() == 9
    child.kill(signal.SIGTERM)  # it is gone, and that is no error
    assert child.wait() == 9


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (("nosuch",), 127, 'exec: "nosuch": not found in the container\'s PATH'),
        (("/bin/nosuch",), 127, 'exec: "/bin/nosuch": no such file in the container'),
        (("/etc/passwd",), 126, 'exec: "/etc/passwd": permission denied'),
        (("/etc",), 126, 'exec: "/etc": permission denied'),
        (("/bin/sh/x",), 127, 'exec: "/bin/sh/x": no such file in the container'),
        (("/garbage",), 126, 'exec: "/garbage": not a program for this machine (exec format error)'),
        (("/orphan",), 127, 'exec: "/orphan": the interpreter that it names does not exist'),
    ],
)
def test_commands_that_cannot_be_executed(box, command, status, message):
    (box.layer / "garbage").write_bytes(b"\x01\x02\x03 no program")
    (box.layer / "orphan").write_text("#!/no/interpreter\n")
    for name in ("garbage", "orphan"):
        (box.layer / name).chmod(0o755)
    with pytest.raises(TiffinError) as caught:
        box.run(*command)
    assert (caught.value.exit_status, caught.value.message) == (status, message)
    assert isinstance(caught.value, NotFoundError if status == 127 else FailedError)
    assert caught.value.hint


def test_a_failed_step_is_named_and_leaves_nothing(box, tmp_path):
    before = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    mount = Mount("/x", "nosuchfs", "none", ())
    with pytest.raises(FailedError) as caught:
        box.run("true", mounts=(mount,))
    assert "mount nosuchfs on /x" in caught.value.message
    assert caught.value.exit_status == 125
    after = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    ours = re.compile(rf"^\s*\d+\s+{os.getpid()}$", re.MULTILINE)
    assert len(ours.findall(after)) == len(ours.findall(before))


def test_a_missing_volume_is_named(box):
    mount = Mount("/x", "bind", "/no/such/folder", ("rbind",))
    with pytest.raises(FailedError, match="/no/such/folder") as caught:
        box.run("true", mounts=(mount,))
    assert caught.value.exit_status == 125


def test_descriptors_do_not_leak(box):
    before = os.listdir("/proc/self/fd")
    box.run("true")
    with pytest.raises(NotFoundError):
        box.run("nosuch")
    with pytest.raises(FailedError):
        box.run("true", mounts=(Mount("/x", "nosuchfs", "none", ()),))
    assert os.listdir("/proc/self/fd") == before


def test_the_network_is_attached_while_the_process_waits(box):
    seen = []

    def attach(pid):
        seen.append((pid, os.readlink(f"/proc/{pid}/ns/net"), os.readlink(f"/proc/{pid}/exe")))
        time.sleep(0.05)
        seen.append(os.readlink(f"/proc/{pid}/exe"))

    result = box.run("readlink", "/proc/self/ns/net", attach=attach)
    (_, namespace, program), later = seen
    assert result.output.strip() == namespace
    assert program == later == os.path.realpath(sys.executable)


def test_a_network_that_cannot_be_attached_ends_the_container(box):
    pids = []

    def attach(pid):
        pids.append(pid)
        raise NotFoundError("no network")

    with pytest.raises(NotFoundError, match="no network"):
        box.run("true", attach=attach)
    assert not os.path.exists(f"/proc/{pids[0]}")


def test_the_working_directory_is_made(box):
    result = box.shell("pwd; stat -c %u:%a .", config=None, working_dir="/a/b")
    assert result.output == "/a/b\n0:755\n"
    assert box.shell("pwd", working_dir="/tmp", user=User(33, 33)).output == "/tmp\n"


def test_the_umask_is_022(box):
    previous = os.umask(0o077)
    try:
        assert box.shell("umask; touch /f; stat -c %a /f").output == "0022\n644\n"
    finally:
        os.umask(previous)


def test_it_leads_its_own_session(box):
    result = box.run("cat", "/proc/self/stat")
    fields = result.output.split(") ")[1].split()
    assert fields[2:4] == ["1", "1"]


def test_a_terminal_with_a_size(box):
    plan = box.plan("sh", "-c", "tty; stty size; echo $TERM; ls -l /dev/console 2>&1 | wc -l", terminal=True)
    child = launch(plan, Streams(terminal=(24, 100)))
    output = b""
    while True:
        try:
            output += os.read(child.console, 1000)
        except OSError:  # the other side is closed
            break
    assert output.decode().split()[:4] == ["/dev/pts/0", "24", "100", "xterm"]
    assert child.wait() == 0
    os.close(child.console)


def test_a_terminal_passes_keys_signals_and_sizes(box):
    script = "trap 'echo resized; stty size' WINCH; stty -echo; echo up; read line; echo got $line; "
    script += "while :; do sleep 1; done"
    child = launch(box.plan("sh", "-c", script, terminal=True), Streams(terminal=(24, 80)))

    def read():
        return os.read(child.console, 1000).decode().replace("\r", "")

    def read_until(wanted):
        output = ""
        while wanted not in output:
            output += read()
        return output

    read_until("up\n")
    os.write(child.console, b"hello\n")
    assert read_until("\n") == "got hello\n"
    terminal.set_size(child.console, 50, 60)
    assert "resized" in read_until("50 60")
    os.write(child.console, b"\x03")
    assert child.wait() == 130
    os.close(child.console)


LAUNCHER = textwrap.dedent(
    """
    import os, sys
    sys.path.insert(0, {source!r})
    from tiffin.runtime.launch import launch
    from tiffin.runtime.child import Streams
    from tiffin.runtime.model import unpack
    child = launch(unpack(open({plan!r}, "rb").read()), Streams())
    print(child.pid, flush=True)
    child.wait()
    """
)


def launch_elsewhere(plan, tmp_path):
    """Launch the plan in another process; return that, and the container's pid."""
    (tmp_path / "plan").write_bytes(pack(plan))
    source = str(Path(__file__).parents[2] / "src")
    script = LAUNCHER.format(source=source, plan=str(tmp_path / "plan"))
    process = subprocess.Popen([sys.executable, "-IS", "-c", script], stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def test_the_container_dies_with_its_launcher(box, tmp_path):
    process, pid = launch_elsewhere(box.plan("sleep", "100"), tmp_path)
    with process:
        process.kill()
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}/root/bin") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{pid}/root/bin")


def test_a_container_that_may_outlive_its_launcher_does(box, tmp_path):
    process, pid = launch_elsewhere(box.plan("sleep", "100", outlive=True), tmp_path)
    with process:
        process.kill()
    try:
        time.sleep(0.2)
        assert os.path.exists(f"/proc/{pid}/root/bin")
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_proc_that_is_masked_outside_is_explained(box, tmp_path):
    """As in a container of another engine: the kernel refuses a fresh /proc where the outer has holes."""
    (tmp_path / "plan").write_bytes(pack(box.plan("true")))
    script = LAUNCHER.format(source=str(Path(__file__).parents[2] / "src"), plan=str(tmp_path / "plan"))
    masked = 'mount --make-rprivate / && mount -t tmpfs none /proc/sys && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", masked, "sh", sys.executable, "-IS", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "to create a proc file system" in result.stderr
    assert "the /proc outside has hidden parts" in result.stderr
