"""Limits of containers, seen from inside, and what is said when they are reached or cannot be kept."""

import json
import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

HUNGRY = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo $x | wc -c"


def run(tiffin, *words):
    return tiffin("run", "--rm", "--network", "none", *words, check=False)


def lacks(tiffin, done, controller):
    """Whether this account has no such controller; then the message has to say so, and nothing was run.

    Root has all that the machine has, and a machine that runs these tests has those that they ask for.
    """
    if tiffin.rung == "root" or done.returncode != 125:
        return False
    assert f"controller {controller}" in done.stderr or f"{controller} (" in done.stderr, done.stderr
    assert done.stdout == ""
    return True


def test_a_container_that_runs_out_of_memory(tiffin, busybox):
    done = run(tiffin, "--memory", "32m", "--memory-swap", "32m", busybox, "sh", "-c", HUNGRY)
    if lacks(tiffin, done, "memory"):
        return
    assert done.returncode == 137, done.stderr
    assert "out of memory" in done.stderr
    assert "at the limit of 32 MB" in done.stderr


def test_more_processes_than_the_limit(tiffin, busybox):
    script = "i=0; while [ $i -lt 30 ]; do sleep 5 & i=$((i+1)); done; echo all"
    done = run(tiffin, "--pids-limit", "10", busybox, "sh", "-c", script)
    if not lacks(tiffin, done, "pids"):
        assert "all" not in done.stdout
        assert "can't fork" in done.stderr


def test_limits_of_the_process_are_kept_on_every_rung(tiffin, busybox):
    options = ("--ulimit", "nofile=100:200", "--oom-score-adj", "900")
    done = run(tiffin, *options, busybox, "sh", "-c", "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj")
    assert done.stdout.split() == ["100", "200", "900"], done.stderr


def test_another_process_is_in_the_group_too_and_the_state_tells_of_it(tiffin, busybox):
    words = ("-d", "--network", "none", "--name", "limited", "--memory", "32m", "--memory-swap", "32m")
    done = tiffin("run", *words, busybox, "sleep", "1000", check=False)
    try:
        if lacks(tiffin, done, "memory"):
            return
        assert tiffin("exec", "limited", "sh", "-c", HUNGRY, check=False).returncode == 137
        tiffin("kill", "limited")
        (document,) = json.loads(tiffin("inspect", "limited").stdout)
        assert document["State"]["OOMKilled"] is True
        assert (document["HostConfig"]["Memory"], document["HostConfig"]["MemorySwap"]) == (1 << 25, 1 << 25)
    finally:
        tiffin("rm", "-f", "limited", check=False)


def test_a_container_sees_its_own_group_and_no_other(tiffin, busybox):
    """It is at the top of what it sees, and cannot write there; one without limits sees no groups at all."""
    look = "cut -d: -f3 /proc/self/cgroup | sort -u; cat /sys/fs/cgroup/*/pids.max /sys/fs/cgroup/pids.max"
    look += "; for d in /sys/fs/cgroup /sys/fs/cgroup/pids; do mkdir $d/mine && echo made; done"
    done = run(tiffin, "--pids-limit", "77", busybox, "sh", "-c", look)
    if not lacks(tiffin, done, "pids"):
        assert done.stdout.split() == ["/", "77"], done.stderr
        assert "Read-only file system" in done.stderr
    assert run(tiffin, busybox, "ls", "/sys/fs/cgroup").stdout == ""


def test_a_group_below_another_one(tiffin, busybox):
    """It is made below the parent that was named, which is one of ours: nothing else is there."""
    parent = f"/tiffin-test-{os.getpid()}"
    words = ("-d", "--network", "none", "--name", "below", "--cgroup-parent", parent, "--pids-limit", "50")
    done = tiffin("run", *words, busybox, "sleep", "1000", check=False)
    try:
        if done.returncode and tiffin.rung != "root":
            assert "group" in done.stderr
            return
        (document,) = json.loads(tiffin("inspect", "below").stdout)
        assert document["HostConfig"]["CgroupParent"] == parent
        lines = Path(f"/proc/{document['State']['Pid']}/cgroup").read_text().splitlines()
        assert any(line.split(":", 2)[2].startswith(f"{parent}/") for line in lines)
    finally:
        tiffin("rm", "-f", "below", check=False)
        for place in [*Path("/sys/fs/cgroup").glob(f"*{parent}"), Path(f"/sys/fs/cgroup{parent}")]:
            if place.exists():
                place.rmdir()
