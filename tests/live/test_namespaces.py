"""Namespaces of this machine and of other containers, seen from inside, and what is left at the end."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.live


def run(tiffin, *words):
    return tiffin("run", "--rm", "--network", "none", *words, check=False)


def living(mark):
    """Processes of this machine with the mark among their arguments."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in place.read_bytes().split(b"\0"):
                found.append(place)
        except OSError:
            continue
    return found


@pytest.fixture
def donor(tiffin, busybox):
    """A container that shares its IPC, with a file in its memory."""
    words = ("-d", "--network", "none", "--name", "donor", "--ipc", "shareable")
    tiffin("run", *words, busybox, "sh", "-c", "echo there > /dev/shm/f; exec sleep 1000.5")
    yield "donor"
    tiffin("rm", "-f", "donor")


def test_the_processes_of_the_machine_are_seen_and_those_left_over_are_killed(tiffin, busybox):
    mark = f"{os.getpid()}.125"
    script = f"(sleep {mark} &); (setsid sleep {mark} &); cat /proc/{os.getpid()}/stat; echo $$"
    done = run(tiffin, "--pid", "host", busybox, "sh", "-c", script)
    assert done.stdout.startswith(f"{os.getpid()} ("), done.stderr
    assert done.stdout.split()[-1] != "1"
    assert living(mark) == []
    assert run(tiffin, "--pid", "host", busybox, "kill", "-0", str(os.getpid())).returncode != 0


def test_a_stopped_container_of_the_machine_s_processes_ends_whole(tiffin, busybox):
    mark = f"{os.getpid()}.25"
    stranger = subprocess.Popen(["sleep", f"{os.getpid()}.5"])
    try:
        script = f"sleep {mark} & exec sleep {mark}"
        words = ("-d", "--network", "none", "--name", "sharing", "--pid", "host")
        tiffin("run", *words, busybox, "sh", "-c", script)
        tiffin("exec", "-d", "sharing", "sleep", mark)
        assert tiffin("top", "sharing").stdout.count(f"sleep {mark}") == 3
        tiffin("stop", "-t", "5", "sharing")
        assert living(mark) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        tiffin("rm", "-f", "sharing")


def test_what_a_killed_supervisor_leaves_of_it_ends_with_the_next_command(tiffin, busybox):
    """It is known by its cgroup, which only root can make for it everywhere."""
    if tiffin.rung != "root":
        return
    mark = f"{os.getpid()}.75"
    words = ("-d", "--network", "none", "--name", "orphaned", "--pid", "host", busybox)
    tiffin("run", *words, "sh", "-c", f"sleep {mark} & exec sleep {mark}")
    first = int(tiffin("inspect", "-f", "{{.State.Pid}}", "orphaned").stdout)
    status = Path(f"/proc/{first}/status").read_text()
    os.kill(int(status.partition("PPid:")[2].split()[0]), signal.SIGKILL)
    tiffin("rm", "-f", "orphaned")
    assert living(mark) == []


def test_processes_and_memory_of_another_container(tiffin, busybox, donor):
    mark = f"{os.getpid()}.0625"
    shared = ("--pid", f"container:{donor}", "--ipc", f"container:{donor}")
    script = f"tr '\\0' ' ' < /proc/1/cmdline; cat /dev/shm/f; (sleep {mark} &); kill -0 1 && echo reached"
    done = run(tiffin, *shared, busybox, "sh", "-c", script)
    assert done.stdout.split() == ["sleep", "1000.5", "there", "reached"], done.stderr
    assert living(mark) == []
    assert tiffin("exec", donor, "cat", "/dev/shm/f").stdout.strip() == "there"


def test_a_container_that_shares_is_entered_and_started_again(tiffin, busybox, donor):
    shared = ("--network", f"container:{donor}", "--pid", f"container:{donor}")
    tiffin("create", "--name", "guest", *shared, busybox, "sleep", "9999")
    try:
        for _ in range(2):
            tiffin("start", "guest")
            assert "sleep 1000.5" in tiffin("exec", "guest", "ps").stdout
            look = ("exec", "guest", "sh", "-c", "for p in 1 self; do readlink /proc/$p/ns/net; done")
            assert len(set(tiffin(*look).stdout.split())) == 1
            assert tiffin("top", "guest").stdout.count("sleep 9999") == 1
            tiffin("stop", "-t", "0", "guest")
        tiffin("stop", "-t", "0", donor)
        done = tiffin("start", "guest", check=False)
        assert "donor is not running" in done.stderr
    finally:
        tiffin("rm", "-f", "guest")


def test_ipc_that_is_not_shared_cannot_be_joined(tiffin, busybox):
    tiffin("run", "-d", "--network", "none", "--name", "closed", busybox, "sleep", "1000")
    try:
        done = run(tiffin, "--ipc", "container:closed", busybox, "true")
        assert (done.returncode, done.stdout) == (125, "")
        assert "the IPC of closed is its own" in done.stderr
        assert (
            "there is no container nobody" in run(tiffin, "--pid", "container:nobody", busybox, "true").stderr
        )
    finally:
        tiffin("rm", "-f", "closed")


def test_no_shared_memory_and_the_cgroups_of_the_machine(tiffin, busybox):
    assert run(tiffin, "--ipc", "none", busybox, "ls", "/dev/shm").returncode != 0
    script = (
        "cat /proc/self/cgroup; for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/x && echo made; done"
    )
    done = run(tiffin, "--cgroupns", "host", busybox, "sh", "-c", script)
    ours = {line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    assert {line.split(":", 2)[2] for line in done.stdout.splitlines()} == ours, done.stderr
