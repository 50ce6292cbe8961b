"""Limits and restart policies of containers that run, changed: in the kernel, in what is told, and later."""

import json
import os
from pathlib import Path

import pytest
from tests.live.test_run import row, until

pytestmark = [pytest.mark.live, pytest.mark.parametrize("tiffin", ["root"], indirect=True)]
MB = 1 << 20


@pytest.fixture
def name(tiffin):
    """A name for one container, which is removed in the end."""
    given = f"changed-{os.urandom(4).hex()}"
    yield given
    tiffin("rm", "-f", "-v", given, check=False)


def asked(tiffin, name):
    (document,) = json.loads(tiffin("inspect", name).stdout)
    return document["HostConfig"]


def state_of(tiffin, name):
    identity = tiffin("inspect", "--format", "{{.Id}}", name).stdout.strip()
    return json.loads((tiffin.store / "containers" / identity / "state.json").read_text())


def kept(tiffin, name, *files):
    """What the first of these files says that the container's cgroup has."""
    places = [Path(path).parent / file for path in state_of(tiffin, name)["cgroups"] for file in files]
    return next(place for place in places if place.exists()).read_text().strip()


def test_limits_are_changed_while_it_runs_and_for_its_later_lives(tiffin, busybox, name):
    options = ("--network", "none", "--name", name, "--memory", "64m", "--pids-limit", "50")
    tiffin("run", "-d", "--restart", "always", *options, busybox, "sleep", "1000")
    assert tiffin("update", "--memory", "192m", "--pids-limit", "7", name).stdout == f"{name}\n"

    def check():
        assert kept(tiffin, name, "memory.max", "memory.limit_in_bytes") == str(192 * MB)
        assert kept(tiffin, name, "pids.max") == "7"

    check()
    found = asked(tiffin, name)
    assert (found["Memory"], found["MemorySwap"], found["PidsLimit"]) == (192 * MB, 384 * MB, 7)
    # By the policy its supervisor starts it again, by the command another one does.
    started = tiffin("inspect", "--format", "{{.State.StartedAt}}", name).stdout
    os.kill(int(tiffin("inspect", "--format", "{{.State.Pid}}", name).stdout), 9)
    until(
        lambda: (
            tiffin("inspect", "--format", "{{.State.Status}}", name).stdout == "running\n"
            and tiffin("inspect", "--format", "{{.State.StartedAt}}", name).stdout != started
        ),
        "the next life",
    )
    check()
    tiffin("restart", "-t", "0", name)
    check()


def test_what_is_refused_changes_nothing(tiffin, busybox, name):
    options = ("--network", "none", "--name", name, "--pids-limit", "50", "--cpuset-cpus", "0")
    tiffin("run", "-d", *options, busybox, "sleep", "1000")
    for words, said in (
        (("--pids-limit", "9", "--cpuset-cpus", "0,4000"), "cpuset.cpus cannot be set to 0,4000"),
        (("--pids-limit", "9", "--memory", "1m"), "below 6 MB"),
        (("--pids-limit", "9", "--restart", "sometimes"), "there is no such policy"),
        (("--pids-limit", "9", "--memory-swap", "64m"), "needs --memory"),
        ((), "one or more options"),
    ):
        done = tiffin("update", *words, name, check=False)
        assert done.returncode
        assert said in done.stderr
        assert kept(tiffin, name, "pids.max") == "50"
        assert asked(tiffin, name)["PidsLimit"] == 50
    tiffin("update", "--pids-limit", "-1", name)
    assert kept(tiffin, name, "pids.max") == "max"
    assert asked(tiffin, name)["PidsLimit"] is None


# Loops whose processes are gone and come again all the time, beside one that waits. Without pauses the
# kernel keeps a hundred megabytes of what has ended.
FORKING = "for i in 1 2 3 4; do (while :; do sleep 0.01; done) & done; touch /ready; exec sleep 1000"


def test_a_container_that_began_without_limits_gets_a_cgroup_with_all_that_runs_in_it(tiffin, busybox, name):
    tiffin("run", "-d", "--network", "none", "--name", name, busybox, "sh", "-c", FORKING)
    until(lambda: not tiffin("exec", name, "test", "-e", "/ready", check=False).returncode, "the loops")
    tiffin("update", "--pids-limit", "40", name)
    assert kept(tiffin, name, "pids.max") == "40"
    tiffin("update", "--memory", "192m", name)
    assert kept(tiffin, name, "memory.max", "memory.limit_in_bytes") == str(192 * MB)
    assert kept(tiffin, name, "pids.max") == "40"
    pid = int(tiffin("inspect", "--format", "{{.State.Pid}}", name).stdout)
    inside = set(kept(tiffin, name, "cgroup.procs").split())
    # Those of the loops: their parents are in it, and nothing that is born leaves it.
    loops = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(loops) == 4
    assert {str(pid), *loops} <= inside
    tiffin("exec", "-d", name, "sleep", "2000")
    until(lambda: "192MiB" in tiffin("stats", "--no-stream", name).stdout, "the limit in what is told")
    words = ("sh", "-c", "dd if=/dev/zero of=/dev/null bs=500M count=1")
    assert tiffin("exec", name, *words, check=False).returncode == 137  # it begins in the group, too
    places = state_of(tiffin, name)["cgroups"]
    tiffin("rm", "-f", name)
    assert not any(Path(place).exists() for place in places)


def test_what_cannot_be_limited_is_told_and_goes_on(tiffin, busybox, name):
    tiffin("run", "-d", "--rm", "--network", "none", "--name", name, busybox, "sleep", "1000")
    done = tiffin("update", "--cpuset-cpus", "4000", name, check=False)
    assert done.returncode
    assert "cpuset.cpus cannot be set to 4000" in done.stderr
    assert asked(tiffin, name)["CpusetCpus"] == ""
    assert "it is removed when it stops" in tiffin("update", "--restart", "always", name, check=False).stderr
    tiffin("rm", "-f", name)
    tiffin("create", "--network", "none", "--name", name, busybox, "sleep", "1000")
    tiffin("update", "--memory", "64m", name)
    tiffin("start", name)
    assert kept(tiffin, name, "memory.max", "memory.limit_in_bytes") == str(64 * MB)


def test_a_policy_is_heard_of_at_once(tiffin, busybox, name):
    tiffin(
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        name,
        busybox,
        "sh",
        "-c",
        "test -e /ran || sleep 1000; exit 3",
    )
    tiffin("exec", name, "touch", "/ran")
    tiffin("update", "--restart", "always", name)
    assert asked(tiffin, name)["RestartPolicy"]["Name"] == "always"
    os.kill(int(tiffin("inspect", "--format", "{{.State.Pid}}", name).stdout), 9)
    until(lambda: "Restarting (3)" in row(tiffin, name), "a pause between two lives")
    tiffin("update", "--restart", "no", name)
    until(lambda: "Exited (3)" in row(tiffin, name), "the end")
