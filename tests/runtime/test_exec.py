"""Joining a running container (rung root)."""

import os
import signal

import pytest

from tiffin.errors import FailedError, NotFoundError
from tiffin.runtime.child import Streams
from tiffin.runtime.exec import join
from tiffin.runtime.plan import make_process
from tiffin.runtime.spec import exec_process
from tiffin.runtime.users import User

pytestmark = pytest.mark.live
ROOT = User(0, 0, (), "/root")


@pytest.fixture
def running(box):
    spec = box.spec("sleep", "100", env=("A=1",))
    child, read = box.start(box.plan("sleep", "100", env=("A=1",)))

    def execute(*command, user=ROOT, streams=None, **options):
        described = exec_process(spec, command, user, **options)
        process = make_process(described, spec.linux.seccomp, machine=box.place.machine)
        if streams is not None:
            return join(child.pid, process, streams)
        out, write = os.pipe()
        null = os.open("/dev/null", os.O_RDONLY)
        try:
            joined = join(child.pid, process, Streams(null, write, write))
        except BaseException:
            os.close(out)
            raise
        finally:
            os.close(write)
            os.close(null)
        return box.drain(out), joined.wait()

    execute.container = child
    yield execute
    child.end()
    os.close(read)


def test_it_is_in_all_namespaces_of_the_container(running):
    kinds = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
    output, status = running(
        "sh", "-c", "for k in user mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$k; done"
    )
    assert status == 0
    assert output.split() == [os.readlink(f"/proc/{running.container.pid}/ns/{kind}") for kind in kinds]


def test_it_is_as_confined_as_the_first(running):
    output, _ = running("cat", "/proc/self/status", "/proc/1/status")
    for name in ("CapEff", "CapBnd", "CapPrm", "NoNewPrivs", "Seccomp", "Uid", "SigIgn", "SigBlk"):
        own, first = [line for line in output.splitlines() if line.startswith(f"{name}:")]
        assert own == first
    assert "not permitted" in running("unshare", "-m", "true")[0]


def test_environment_user_and_directory(running):
    output, _ = running("sh", "-c", "env; pwd", env=("B=2", "A=3"), working_dir="/tmp")
    assert set(output.split()) >= {"A=3", "B=2", "HOME=/root", "HOSTNAME=box", "/tmp"}
    output, _ = running("id", user=User(33, 44, (55,)))
    assert output == "uid=33 gid=44 groups=44,55\n"


def test_privileged_has_every_capability(running):
    assert "CapEff:\t000001ffffffffff" in running("grep", "CapEff", "/proc/self/status", privileged=True)[0]


@pytest.mark.parametrize("status", [0, 7, 255])
def test_the_exit_status(running, status):
    assert running("sh", "-c", f"exit {status}")[1] == status


def test_a_signal_ends_it_alone(running):
    child = running("sleep", "100", streams=Streams())
    child.kill(signal.SIGTERM)
    assert child.wait() == 128 + signal.SIGTERM
    assert running("true")[1] == 0


@pytest.mark.parametrize(
    ("command", "kind", "status"), [("nosuch", NotFoundError, 127), ("/etc/passwd", FailedError, 126)]
)
def test_commands_that_cannot_be_executed(running, command, kind, status):
    with pytest.raises(kind) as caught:
        running(command)
    assert caught.value.exit_status == status


def test_a_terminal(running):
    script = "tty; stty size; stat -c %u $(tty); exit 3"
    streams = Streams(terminal=(30, 90))
    child = running("sh", "-c", script, terminal=True, user=User(33, 33), streams=streams)
    output = b""
    while True:
        try:
            output += os.read(child.console, 100)
        except OSError:
            break
    assert output.split() == [b"/dev/pts/0", b"30", b"90", b"33"]
    assert child.wait() == 3
    os.close(child.console)


def test_no_descriptor_leaks_either_way(running):
    before = os.listdir("/proc/self/fd")
    assert running("sh", "-c", "ls /proc/$$/fd; true")[0].split() == ["0", "1", "2"]
    assert os.listdir("/proc/self/fd") == before


def test_the_program_of_the_host_is_refused(running):
    with pytest.raises(FailedError, match="runtime itself"):
        running("/proc/self/exe")


def test_a_container_that_has_ended(box):
    child, read = box.start(box.plan("true"))
    box.drain(read)
    child.wait()
    spec = box.spec("true")
    process = make_process(exec_process(spec, ("true",), ROOT), spec.linux.seccomp, machine=box.place.machine)
    with pytest.raises(FailedError) as caught:
        join(child.pid, process, Streams())
    assert caught.value.exit_status == 125
