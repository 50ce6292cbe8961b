"""Containers that Debian's crun and runc start, from their spec."""

import io
import json
import os
import select
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.live import terminal

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not (shutil.which("crun") and shutil.which("runc")), reason="crun and runc are wanted"
    ),
]


@pytest.fixture
def runtime(tiffin):
    """One for each rung; the first test has both."""
    return "crun" if tiffin.rung == "rootless" else "runc"


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_a_container_is_what_it_is_with_our_own_runtime(tiffin, busybox, runtime, folder):
    """Ids, owners, volumes, network, variables, limits of the process, and nothing of it is left."""
    script = "id -u; stat -c %u /v /bin /etc/hosts; touch /v/made /made; cat /etc/hostname; echo $A; "
    script += "ulimit -n; ls /sys/class/net; "
    script += "grep -E 'NoNewPrivs|Seccomp:|CapEff' /proc/self/status; exit 7"
    options = ("-h", "box", "-e", "A=b", "--ulimit", "nofile=77", "-v", f"{folder}:/v", "--network", "none")
    done = {}
    for name in ("tiffin", runtime):
        done[name] = tiffin(
            "run", "--rm", "--runtime", name, *options, busybox, "sh", "-c", script, check=False
        )
        assert done[name].returncode == 7, done[name].stderr
        (folder / "made").unlink()
    assert done[runtime].stdout == done["tiffin"].stdout
    assert tiffin("ps", "-aq").stdout == ""


def test_standard_input_that_is_nothing_does_not_give_the_host_s_null_device_away(tiffin, busybox):
    """crun gives its streams to the container's root: it is not told of that device."""
    kind = "readlink /proc/self/fd/0; cat; echo read"
    done = tiffin("run", "--rm", "--network", "none", "--runtime", "crun", busybox, "sh", "-c", kind)
    first, last = done.stdout.split()
    assert first.startswith("pipe:")
    assert last == "read"


def test_exit_statuses_and_what_cannot_be(tiffin, busybox, runtime):
    def status(*words):
        done = tiffin("run", "--rm", "--network", "none", *words, check=False)
        return done.returncode, done.stderr

    code, said = status("--runtime", runtime, busybox, "nosuch")
    assert code == 127
    assert "nosuch" in said
    assert "hint: check the spelling" in said
    assert status("--runtime", runtime, busybox, "/etc/passwd")[0] == 126
    code, said = status("--runtime", runtime, "--init", busybox, "true")
    assert code == 125
    assert f"--init and --runtime {runtime} exclude each other" in said
    code, said = status("--runtime", "kata", busybox, "true")
    assert code == 125
    assert "there is no runtime kata here; found are tiffin, crun, runc" in said


def test_a_kept_container_is_entered_checked_stopped_and_started_again(tiffin, busybox, runtime):
    name = f"kept-{runtime}"
    script = "trap 'echo bye; exit 5' TERM; echo hello; while :; do sleep 0.05; done"
    health = ("--health-cmd", "test -e /ready", "--health-interval", "100ms", "--health-retries", "1000")
    tiffin(
        "run",
        "-d",
        "--name",
        name,
        "--runtime",
        runtime,
        "--network",
        "none",
        *health,
        busybox,
        "sh",
        "-c",
        script,
    )
    try:
        done = tiffin(
            "exec",
            "-u",
            "anna" if tiffin.rung != "single-id" else "0",
            "-w",
            "/tmp",
            name,
            "sh",
            "-c",
            "id -u; pwd; exit 3",
            check=False,
        )
        assert (done.stdout.split(), done.returncode) == (
            [("0" if tiffin.rung == "single-id" else "1000"), "/tmp"],
            3,
        )
        assert tiffin("exec", name, "nosuch", check=False).returncode == 127
        tiffin("exec", name, "touch", "/ready")
        document = json.loads(tiffin("inspect", name).stdout)[0]
        assert document["HostConfig"]["Runtime"] == runtime
        assert "sleep" in tiffin("top", name).stdout
        tiffin("stop", "-t", "30", name)
        document = json.loads(tiffin("inspect", name).stdout)[0]
        assert document["State"]["ExitCode"] == 5
        assert tiffin("logs", name).stdout == "hello\nbye\n"
        tiffin("start", name)
        tiffin("kill", name)
        assert tiffin("wait", name).stdout == "137\n"
    finally:
        tiffin("rm", "-f", name)


def test_a_terminal(tiffin, busybox, runtime):
    options = ("run", "--rm", "-it", "--runtime", runtime, "--network", "none")
    script = "tty; stty size; read x; echo $x!; exit 4"
    screen = terminal.Terminal([*tiffin.command, *options, busybox, "sh", "-c", script], env=tiffin.env)
    screen.expect("/dev/pts/0\\r\\n40 200\\r\\n")
    screen.type("well")
    screen.expect("well!")
    assert screen.finish()[0] == 4
    name = f"entered-{runtime}"
    tiffin("run", "-d", "--name", name, "--runtime", runtime, "--network", "none", busybox, "sleep", "1000")
    command = [*tiffin.command, "exec", "-it", name, "sh", "-c", "stty size; tty; exit 6"]
    screen = terminal.Terminal(command, env=tiffin.env)
    screen.expect("/dev/pts/")
    assert screen.finish()[0] == 6
    tiffin("rm", "-f", name)


def test_a_container_ends_with_its_supervisor_and_leaves_nothing(tiffin, busybox, runtime):
    name = f"killed-{runtime}"
    tiffin("run", "-d", "--name", name, "--runtime", runtime, "--network", "none", busybox, "sleep", "1000")
    document = json.loads(tiffin("inspect", name).stdout)[0]
    first = document["State"]["Pid"]
    ended = os.pidfd_open(first)
    status = Path(f"/proc/{first}/status").read_text()
    os.kill(int(status.partition("PPid:")[2].split()[0]), 9)
    assert select.select([ended], [], [], 60)[0]
    os.close(ended)
    assert "Exited (137)" in tiffin("ps", "-a", "--filter", f"name={name}").stdout
    tiffin("rm", name)
    assert document["Id"][:12] not in Path("/proc/mounts").read_text()


def test_a_port_is_published(tiffin, busybox, runtime):
    name = f"served-{runtime}"
    serve = ("sh", "-c", "mkdir /w; echo page > /w/index.html; exec httpd -f -p 8000 -h /w")
    tiffin("run", "-d", "--name", name, "--runtime", runtime, "-p", "127.0.0.1:0:8000", busybox, *serve)
    try:
        address = tiffin("port", name, "8000").stdout.strip()
        assert fetch(address) == b"page\n"
    finally:
        tiffin("rm", "-f", name)


def fetch(address):
    """What an HTTP server that may be starting yet answers."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=60) as answer:
                return answer.read()
        except OSError:
            time.sleep(0.05)
    raise AssertionError(address)


def test_a_spec_is_taken_by_runc_alone(tiffin, busybox, folder):
    """The document of `tiffin spec` and the files of `tiffin export`: the very container, without tiffin."""
    rootfs = folder / "rootfs"
    rootfs.mkdir()
    tiffin("create", "--name", "exported", busybox)
    with tarfile.open(fileobj=io.BytesIO(tiffin("export", "exported", text=False).stdout)) as tar:
        tar.extractall(rootfs, filter="fully_trusted")
    document = json.loads(tiffin("spec", "exported").stdout)
    assert document["process"]["args"] == ["sh"]
    tiffin("rm", "exported")
    options = ("-e", "A=b", "-h", "box", "--network", "none", "-u", "0", "--memory", "64m", "-v", "new:/new")
    tiffin(
        "spec", "--bundle", folder, *options, busybox, "sh", "-c", "echo $A; hostname; cat /proc/self/uid_map"
    )
    assert tiffin("ps", "-aq").stdout == tiffin("volume", "ls", "-q").stdout == ""
    assert tiffin("spec", "--bundle", folder, busybox, check=False).returncode == 1  # it is not written over
    document = json.loads((folder / "config.json").read_text())
    assert document["linux"]["resources"]["memory"]["limit"] == 64 << 20
    document["mounts"] = [mount for mount in document["mounts"] if mount["destination"] != "/new"]
    (folder / "config.json").write_text(json.dumps(document))
    maps = document["linux"].get("uidMappings", [{"hostID": 0}])
    for path in [rootfs, *rootfs.rglob("*")]:
        os.chown(path, maps[0]["hostID"], maps[0]["hostID"], follow_symlinks=False)
    command = [
        "runc",
        "--root",
        str(folder / "state"),
        "run",
        "--bundle",
        str(folder),
        f"spec-{os.getpid()}-{tiffin.rung}",
    ]
    with open_way(folder):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True
        )
    first, second, third = done.stdout.splitlines()
    assert (first, second) == ("b", "box")
    assert third.split()[1] == str(maps[0]["hostID"])


@contextmanager
def open_way(folder):
    """Let everybody pass to the folder, as the root of a user namespace has to."""
    closed = [(path, path.stat().st_mode) for path in folder.parents if not path.stat().st_mode & 0o001]
    for path, mode in closed:
        path.chmod(mode | 0o011)
    yield
    for path, mode in closed:
        path.chmod(mode)


@pytest.mark.parametrize("words", [(), ("--rootless",)])
def test_a_spec_to_begin_with_is_taken_by_runc(words, tmp_path):
    """As `runc spec` writes one."""
    files = tmp_path / "rootfs/bin"
    files.mkdir(parents=True)
    shutil.copy("/bin/busybox", files / "sh")
    command = [sys.executable, "-m", "tiffin.cli.main", "--home", str(tmp_path / "store"), "spec", *words]
    document = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert document["process"] | {"terminal": True, "args": ["sh"]} == document["process"]
    document["process"] |= {"terminal": False, "args": ["sh", "-c", "echo $HOSTNAME"]}
    (tmp_path / "config.json").write_text(json.dumps(document))
    command = [
        "runc",
        "--root",
        str(tmp_path / "state"),
        "run",
        "--bundle",
        str(tmp_path),
        f"plain-{os.getpid()}",
    ]
    with open_way(tmp_path):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True
        )
    assert done.stdout == "tiffin\n"
