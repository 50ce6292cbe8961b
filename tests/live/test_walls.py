"""Every wall of a container, tried from inside by its root: one container for each rung tries them all."""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.live import attempts

from tiffin.linux.sysnum import numbers

pytestmark = pytest.mark.live

MACHINE = os.uname().machine
SECONDS = "98764"
FACTS = {
    "numbers": numbers(MACHINE),
    "words": SECONDS,
    "file": f"/var/tmp/tiffin-walls-{os.getpid()}",
    "key": 0x7466_0000 + os.getpid() % 0xFFFF,
    "queue": f"tiffin-walls-{os.getpid()}",
    "memory": f"/dev/shm/tiffin-walls-{os.getpid()}",
    "abstract": f"tiffin-walls-{os.getpid()}",
    "disk": [os.major(os.stat("/").st_dev), os.minor(os.stat("/").st_dev)],
}
# Of calls that are refused for another reason than a filter or a missing right.
OTHERWISE = {
    "clone3-user": {"ENOSYS"},  # its flags cannot be looked at, and libraries take clone then
    "kill-outside": {"ESRCH"},
    "pidfd_open-outside": {"ESRCH"},
    "ptrace-outside": {"ESRCH"},
    "process_vm_readv-outside": {"ESRCH"},
    "setuid-unmapped": {"EINVAL", "in name"},
    "chown-unmapped": {"EINVAL"},
    "x32": {"SIGSYS"} if MACHINE == "x86_64" else {"ENOSYS"},
    "i386": {"SIGSYS"} if MACHINE == "x86_64" else {"ENOSYS"},
}
REFUSED = {"EPERM", "EACCES"}
# Calls that work where there is no filter and all capabilities are there: what is tried is right then.
PRIVILEGED = (
    *("mount-tmpfs", "mount-bind", "fsopen", "open_tree", "mount_setattr", "sethostname", "setns"),
    *("unshare-user", "unshare-mount", "unshare-time", "clone-user", "clone3-user", "keyctl", "add_key"),
    *("kcmp", "pidfd_getfd", "personality"),
)
CALLS = [name for name, _ in attempts.calls(None, FACTS)]
REACHES = [name for name, _ in attempts.reaches(None, FACTS)]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Something of each kind on the host: a file, a process, shared memory, a queue, two servers."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name in ("file", "memory"):
        Path(FACTS[name]).write_text("of the host")
        Path(FACTS[name]).chmod(0o666)
    segment = libc.shmget(FACTS["key"], 4096, 0o1666)
    queue = ctypes.c_char_p(FACTS["queue"].encode())
    opened = libc.syscall(FACTS["numbers"]["mq_open"], queue, os.O_CREAT | os.O_RDWR, 0o666, 0)
    assert min(segment, opened) >= 0
    process = subprocess.Popen(["sleep", SECONDS])
    words = Path(f"/proc/{process.pid}/cmdline")
    while not words.read_bytes():  # the kernel shows them a moment after the program has begun
        time.sleep(0.01)
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0" + FACTS["abstract"])
    abstract.listen()
    loopback = socket.create_server(("127.0.0.1", 0))
    yield {**FACTS, "pid": process.pid, "port": loopback.getsockname()[1]}
    process.kill()
    process.wait()
    abstract.close()
    loopback.close()
    os.close(opened)
    libc.syscall(FACTS["numbers"]["mq_unlink"], queue)
    libc.shmctl(segment, 0, None)
    for name in ("file", "memory"):
        Path(FACTS[name]).unlink()


def tries(tiffin, image, facts, *options):
    """What came of all attempts in a container that has the Python of this machine."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    folders = [folder for folder in ("/usr", "/lib", "/lib64") if Path(folder).is_dir()]
    mounts = [word for folder in folders for word in ("-v", f"{folder}:{folder}:ro")]
    env = ("-e", "LD_LIBRARY_PATH=/usr/local/lib")
    script = f"{Path(attempts.__file__).read_text()}\n\nmain({facts!r})\n"
    words = ("--rm", "-i", "--network", "none", *env, *mounts, *options, image, python, "-IS", "-")
    return json.loads(tiffin("run", *words, input=script).stdout)


@pytest.fixture(scope="module")
def tried(tiffin, busybox, host):
    return tries(tiffin, busybox, host)


@pytest.mark.parametrize("name", REACHES)
def test_nothing_of_the_host_can_be_reached(tried, name):
    assert tried[f"reach {name}"] in {"ENOENT", "ECONNREFUSED"}


def test_what_cannot_be_reached_is_there(host):
    kernel = attempts.Kernel(host["numbers"])
    found = {
        name: attempt() for name, attempt in attempts.reaches(kernel, host) if not name.startswith("file-by")
    }
    assert set(found.values()) == {"done"}, found


@pytest.mark.parametrize("name", CALLS)
def test_no_call_leads_out(tiffin, tried, name):
    expected = OTHERWISE.get(name, REFUSED)
    if tiffin.rung == "single-id" and name == "chown-unmapped":
        expected = {"done"}  # noted beside the file, for this container alone
    assert tried[f"call {name}"] in expected


def test_the_calls_are_those_that_work_without_walls(tiffin, busybox, host):
    found = tries(tiffin, busybox, host, "--privileged")
    assert {name: found[f"call {name}"] for name in PRIVILEGED} == dict.fromkeys(PRIVILEGED, "done")
    # And all the same they do not lead to the host.
    assert found["device by mknod"] in {"EPERM", "in name"}
    assert {found[f"reach {name}"] for name in REACHES} <= {"ENOENT", "ECONNREFUSED"}


@pytest.mark.parametrize("path", attempts.WRITTEN)
def test_nothing_that_acts_on_the_host_is_written(tried, path):
    assert tried[f"write {path}"] in {"EACCES", "EROFS", "EPERM", "ENOENT"}


@pytest.mark.parametrize("path", attempts.DEVICES)
def test_no_device_of_the_host_is_there(tried, path):
    assert tried[f"device {path}"] == "ENOENT"


@pytest.mark.parametrize("kind", ["device by mknod", "device by mknod, of characters", "users by uid_map"])
def test_neither_devices_nor_ids_are_made(tried, kind):
    assert tried[kind] in {"EPERM", "in name"}


def test_its_cgroup_is_not_its_own_to_change(tried):
    assert tried["cgroup"] in {"EROFS", "EACCES", "ENOENT"}


@pytest.mark.parametrize("path", ["/proc/keys", "/proc/kcore", "/proc/timer_list"])
def test_what_tells_of_the_host_is_empty(tried, path):
    assert tried[f"read {path}"] in {"empty", "ENOENT"}


def test_no_interface_of_the_host_is_there(tried):
    assert tried["interfaces"] == ["lo"]
