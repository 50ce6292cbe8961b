"""What a container sees of its host, and the host of it: nothing that was not asked for. On every rung."""

import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
MARK = f"host-mark-{os.getpid()}"
# What Docker lets root in a container do (moby, docs/security, "Linux kernel capabilities").
CAPABILITIES = "00000000a80425fb"


@pytest.fixture(scope="module")
def box(tiffin, busybox):
    """A container that only waits."""
    tiffin("run", "-d", "--name", "box", busybox, "sleep", "100000")
    yield "box"
    tiffin("rm", "-f", "box")


@pytest.fixture
def sh(tiffin, box):
    """Runs a script in the container as its root."""

    def run(script, *options):
        return tiffin("exec", *options, box, "sh", "-c", script, check=False)

    return run


def pid_of(tiffin, name):
    return json.loads(tiffin("inspect", name).stdout)[0]["State"]["Pid"]


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_every_namespace_is_its_own(tiffin, box):
    pid = pid_of(tiffin, box)
    shared = [
        n for n in NAMESPACES if os.readlink(f"/proc/{pid}/ns/{n}") == os.readlink(f"/proc/self/ns/{n}")
    ]
    assert shared == []


def test_root_inside_is_not_root_outside(tiffin, box, sh):
    assert sh("id -u").stdout == "0\n"
    facts = status(pid_of(tiffin, box))
    for name in ("Uid", "Gid"):
        ids = set(facts[name].split())
        assert "0" not in ids, facts[name]
    if tiffin.rung != "root":
        assert set(facts["Uid"].split()) == {str(tiffin.home.stat().st_uid)}


def test_what_exec_starts_is_as_confined_as_the_container(tiffin, box, sh):
    lines = sh(
        "grep -E '^(Cap(Eff|Bnd|Prm)|NoNewPrivs|Seccomp):' /proc/self/status /proc/1/status | cut -d: -f2-"
    )
    found = [line.split() for line in lines.stdout.splitlines()]
    assert found.count(["CapEff:", CAPABILITIES]) == 2, lines.stdout
    assert found.count(["CapBnd:", CAPABILITIES]) == 2
    assert found.count(["Seccomp:", "2"]) == 2
    assert found.count(["NoNewPrivs:", "1"]) == 2


def test_a_user_has_no_capabilities(tiffin, busybox):
    shown = tiffin("run", "--rm", "-u", "anna", busybox, "grep", "Cap[EP]", "/proc/self/status").stdout
    assert {line.split()[1] for line in shown.splitlines()} == {"0" * 16}


def test_processes_of_the_host_are_not_seen(sh):
    other = subprocess.Popen(["sleep", "98765"])
    try:
        shown = sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; ls -d /proc/[0-9]*").stdout
    finally:
        other.kill()
        other.wait()
    assert "98765" not in shown
    assert "sleep 100000" in shown
    assert "/proc/1\n" in shown


def test_processes_of_the_host_cannot_be_signalled(tiffin, sh):
    other = subprocess.Popen(["sleep", "98765"])
    try:
        done = sh(f"kill -9 {other.pid}")
        assert done.returncode != 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_files_of_the_host_are_not_seen(tiffin, sh):
    place = Path(f"/var/tmp/{MARK}")
    place.write_text("secret of the host")
    place.chmod(0o644)
    try:
        assert sh(f"cat {place}").returncode != 0
        assert sh(f"cat /proc/1/root{place}").returncode != 0
        found = sh(f"find / -name '{MARK}*' 2>/dev/null; ls /; cat /etc/passwd").stdout
    finally:
        place.unlink()
    assert MARK not in found
    assert set(found.splitlines()[:-2]) == {"bin", "dev", "etc", "proc", "root", "sys", "tmp"}
    # And its users are those of the image.
    assert [line.partition(":")[0] for line in found.splitlines()[-2:]] == ["root", "anna"]


def test_devices_of_the_host_are_out_of_reach(sh):
    root = os.stat("/").st_dev
    node = f"mknod /tmp/disk b {os.major(root)} {os.minor(root)}"  # with one id, what stands for it is empty
    shown = sh(f"({node} && head -c 1 /tmp/disk) 2>/dev/null | wc -c; ls /dev").stdout.splitlines()
    assert shown[0] == "0"
    allowed = {"console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"}
    allowed |= {"stderr", "stdin", "stdout", "tty", "urandom", "zero"}
    assert set(shown[1:]) <= allowed


def test_the_host_name_is_its_own(tiffin, box, sh):
    shown = sh("hostname; cat /etc/hostname; hostname taken-over").stdout.split()
    identity = tiffin("inspect", "--format", "{{.Id}}", box).stdout
    assert shown[:2] == [identity[:12]] * 2
    assert socket.gethostname() != "taken-over"
    assert sh("hostname").stdout.strip() == identity[:12]


def test_servers_on_the_hosts_loopback_are_out_of_reach(sh):
    server = socket.create_server(("127.0.0.1", 0))
    reached = threading.Event()

    def serve():
        with server.accept()[0]:
            reached.set()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        # busybox's nc ends with an error if nobody listens.
        assert sh(f"nc -w 2 127.0.0.1 {server.getsockname()[1]} < /dev/null").returncode != 0
        assert not reached.is_set()
    finally:
        with socket.create_connection(server.getsockname()):
            pass
        thread.join()
        server.close()


def test_interfaces_of_the_host_are_not_there(tiffin, busybox):
    shown = tiffin("run", "--rm", "--network", "none", busybox, "ls", "/sys/class/net").stdout.split()
    assert shown == ["lo"]


MASKED_FILES = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats")
MASKED_FOLDERS = ("/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap")


def test_what_tells_of_the_host_is_masked(sh):
    for path in MASKED_FILES:
        shown = sh(f"head -c 10 {path} | wc -c")
        assert shown.stdout.strip() == "0", path
    for path in MASKED_FOLDERS:
        assert sh(f"ls -A {path} 2>/dev/null").stdout == "", path


@pytest.mark.parametrize(
    "command",
    [
        "echo 1 > /proc/sys/vm/overcommit_memory",
        "echo h > /proc/sysrq-trigger",
        "echo 1 > /sys/kernel/mm/ksm/run",
        "echo x > /proc/sys/kernel/core_pattern",
        "mount -t tmpfs none /tmp",
        "mount -o remount,rw /sys",
        "umount /proc/kcore",
        "mkdir -p /tmp/groups; mount -t cgroup -o memory none /tmp/groups",
        "mkdir -p /tmp/groups; mount -t cgroup2 none /tmp/groups",
        "echo /bin/true > /sys/fs/cgroup/release_agent",
        "mkdir /sys/fs/cgroup/mine",
        "echo /bin/true > /proc/sys/kernel/modprobe",
        "unshare -U true",
        "chroot /proc/1/root/.. cat /etc/debian_version",
        "dmesg",
        "date -s 2001-01-01; test $(date +%Y) = 2001",
        "insmod /etc/passwd",
        "swapoff -a",
        "reboot -f",
        "ip link add dummy0 type dummy",
        "nice -n -20 true",
        "ulimit -Hn 10000000",
    ],
)
def test_root_inside_may_not(sh, command):
    done = sh(f"{command}")
    assert done.returncode != 0, done.stdout


def test_nothing_leaks_in(tiffin, busybox, folder):
    """Neither open files nor variables of whoever starts it."""
    secret = folder / "secret"
    secret.write_text(MARK)
    with secret.open() as opened:
        outside = {"HOST_SECRET": MARK, "AWS_SECRET_ACCESS_KEY": MARK}
        script = "ls /proc/self/fd; cat /proc/1/mountinfo; cat /proc/1/environ; exec env"
        done = tiffin("run", "--rm", busybox, "sh", "-c", script, env=outside, pass_fds=(opened.fileno(),))
    assert MARK not in done.stdout
    # The three streams, and the directory that ls reads.
    lines = done.stdout.splitlines()
    assert lines[:4] == ["0", "1", "2", "3"]
    assert not lines[4].isdigit()
    shown = tiffin("run", "--rm", busybox, "env", env=outside).stdout
    assert {line.partition("=")[0] for line in shown.splitlines()} == {"PATH", "HOME", "HOSTNAME"}


def test_containers_do_not_see_each_other(tiffin, busybox, box, sh):
    sh("echo mine > /tmp/mine; (echo hello | nc -l -p 7777 &)")
    script = "ls /tmp; cat /proc/[0-9]*/cmdline; nc -w 1 127.0.0.1 7777"
    done = tiffin("run", "--rm", busybox, "sh", "-c", script, check=False)
    assert "mine" not in done.stdout
    assert "100000" not in done.stdout
    assert "hello" not in done.stdout


def test_the_image_is_not_written(tiffin, busybox):
    tiffin("run", "--rm", busybox, "sh", "-c", "rm -r /etc/passwd /tmp && echo x > /bin/new")
    shown = tiffin("run", "--rm", busybox, "ls", "-d", "/etc/passwd", "/tmp", "/bin/new", check=False).stdout
    assert shown.split() == ["/etc/passwd", "/tmp"]


def test_host_network_only_when_asked(tiffin, busybox):
    inside = tiffin("run", "--rm", "--network", "host", busybox, "readlink", "/proc/self/ns/net").stdout
    assert inside.strip() == os.readlink("/proc/self/ns/net")
