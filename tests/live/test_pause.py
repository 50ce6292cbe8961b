"""Containers that are held still, seen from outside: how they stand, what they refuse, and how they end."""

import json
import os
import signal
from pathlib import Path

import pytest
from tests.live.test_run import row, until

from tiffin.container import control

pytestmark = pytest.mark.live

on_root = pytest.mark.parametrize("tiffin", ["root"], indirect=True)
CHECK = ("--health-cmd", "date +%N >> /checked", "--health-interval=20ms")


@pytest.fixture
def name(tiffin, busybox):
    """The name of a container that runs and checks its health; it is removed in the end."""
    given = f"still-{os.urandom(4).hex()}"
    words = ("--network", "none", "--name", given, *CHECK, "--wait-healthy", busybox)
    tiffin(
        "run",
        "-d",
        *words,
        "sh",
        "-c",
        "trap 'echo heard' USR2; trap 'exit 7' TERM; while :; do sleep 0.05; done",
    )
    yield given
    tiffin("rm", "-f", "-v", given, check=False)


def state(tiffin, name):
    return json.loads(tiffin("inspect", "--format", "{{json .State}}", name).stdout)


def test_a_paused_container_does_nothing_until_it_is_let_go(tiffin, busybox, name):
    assert tiffin("pause", name).stdout == f"{name}\n"
    assert "(Paused)" in row(tiffin, name)
    found = state(tiffin, name)
    assert (found["Status"], found["Running"], found["Paused"]) == ("paused", True, True)
    for wanted, there in (("paused", True), ("running", False)):
        ids = tiffin("ps", "-q", "--filter", f"status={wanted}", "--filter", f"name={name}").stdout
        assert bool(ids) is there
    for words, said in (
        (("exec", name, "true"), "is paused, unpause the container before exec"),
        (("pause", name), "is already paused"),
        (("start", name), "is paused, and cannot be started"),
        (("rm", name), "is paused"),
    ):
        done = tiffin(*words, check=False)
        assert done.returncode == 1, words
        assert said in done.stderr
    assert "sleep" in tiffin("top", name).stdout
    assert "sh -c trap" in tiffin("top", name).stdout
    assert tiffin("stats", "--no-stream", "--format", "{{.CPUPerc}} {{.PIDs}}", name).stdout[:5] == "0.00%"
    # What checks its health waits: it is a process in the container, too.
    copied = tiffin("cp", f"{name}:/checked", "-", text=False).stdout
    assert tiffin("cp", f"{name}:/checked", "-", text=False).stdout == copied
    assert tiffin("unpause", name).stdout == f"{name}\n"
    assert state(tiffin, name)["Status"] == "running"
    assert "is not paused" in tiffin("unpause", name, check=False).stderr
    assert tiffin("exec", name, "echo", "again").stdout == "again\n"
    until(lambda: tiffin("cp", f"{name}:/checked", "-", text=False).stdout != copied, "the next check")


def test_stop_lets_it_go_and_so_does_a_signal(tiffin, name):
    tiffin("pause", name)
    tiffin("kill", "-s", "USR2", name)  # as in Docker, where no stop signal of its own tells them apart
    assert not state(tiffin, name)["Paused"]
    until(lambda: tiffin("logs", name).stdout == "heard\n", "the signal")
    tiffin("pause", name)
    tiffin("stop", name)
    assert "Exited (7)" in row(tiffin, name)


def test_with_a_stop_signal_of_its_own_all_others_wait(tiffin, busybox, name):
    script = "trap 'echo heard' USR2; trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    tiffin("rm", "-f", name)
    words = ("--network", "none", "--name", name, "--stop-signal", "TERM", busybox)
    tiffin("run", "-d", *words, "sh", "-c", script)
    until(lambda: tiffin("logs", name).stdout == "ready\n", "readiness")
    tiffin("pause", name)
    tiffin("kill", "-s", "CONT", name)
    tiffin("kill", "-s", "USR2", name)
    assert state(tiffin, name)["Paused"]
    assert tiffin("logs", name).stdout == "ready\n"
    assert "sh -c trap" in tiffin("top", name).stdout
    tiffin("stop", name)
    assert "Exited (7)" in row(tiffin, name)
    assert tiffin("logs", name).stdout == "ready\nheard\n"


@on_root
def test_kill_and_rm_and_restart(tiffin, name):
    tiffin("pause", name)
    tiffin("restart", name)
    assert state(tiffin, name)["Status"] == "running"
    tiffin("pause", name)
    tiffin("kill", name)
    assert "Exited (137)" in row(tiffin, name)
    assert "is not running" in tiffin("pause", name, check=False).stderr
    tiffin("start", name)
    tiffin("pause", name)
    tiffin("rm", "-f", name)
    assert row(tiffin, name) is None


def test_nothing_is_left_of_one_whose_supervisor_was_killed(tiffin, name):
    tiffin("pause", name)
    identity = tiffin("inspect", "--format", "{{.Id}}", name).stdout.strip()
    wire = json.loads((tiffin.store / "containers" / identity / "state.json").read_text())
    first, supervisor, group = wire["pid"], wire["supervisor"][0], wire["freezer"]
    if tiffin.rung == "root":
        assert str(first) in (Path(group) / "cgroup.procs").read_text().split()
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: "Exited (137)" in row(tiffin, name), "its end")
    tiffin("rm", name)
    until(lambda: not Path(f"/proc/{first}").exists(), "the end of its processes")
    assert not group or not Path(group).exists()
    told = ("--since=0", "--until=0s", "--filter", f"container={name}", "--format", "{{.Action}}")
    assert tiffin("events", *told).stdout.split()[-3:] == ["pause", "die", "destroy"]


@on_root
def test_it_goes_on_when_who_holds_it_for_a_while_is_gone(tiffin, name):
    identity = tiffin("inspect", "--format", "{{.Id}}", name).stdout.strip()
    places = (Path("/run/tiffin"), tiffin.store / "run")
    place = next(path for one in places if (path := one / "containers" / identity[:12]).exists())
    for ending in ("close", "unpause"):
        holder = control.connect(place)
        with holder:
            holder.send({"verb": "pause", "while": True})
            assert holder.receive()[0] == {"ok": True}
            assert state(tiffin, name)["Paused"]
            if ending == "unpause":
                tiffin("unpause", name)
                tiffin("pause", name)
        if ending == "close":
            until(lambda: not state(tiffin, name)["Paused"], "that it goes on")
        else:  # what a user has paused since is not the holder's
            assert state(tiffin, name)["Paused"]


@on_root
def test_a_commit_holds_it_still(tiffin, busybox, name):
    script = "i=0; while :; do i=$((i+1)); echo $i >> /one; echo $i >> /two; done"
    tiffin("exec", "-d", name, "sh", "-c", script)
    until(lambda: tiffin("exec", name, "test", "-s", "/two", check=False).returncode == 0, "numbers")
    done = tiffin("commit", name, "held")
    assert done.stderr == ""
    assert state(tiffin, name)["Status"] == "running"
    told = tiffin("run", "--rm", "--network", "none", "held", "tail", "-qn1", "/one", "/two").stdout
    one, two = map(int, told.split())
    assert one - two in (0, 1)
    tiffin("pause", name)
    tiffin("commit", name, "held")
    assert state(tiffin, name)["Status"] == "paused"
    tiffin("unpause", name)
    tiffin("commit", "--pause=false", name, "held")


@pytest.mark.parametrize(
    ("tiffin", "options"),
    [
        ("root", ("--pid", "host")),
        ("root", ("--runtime", "runc")),
        ("rootless", ("--runtime", "crun")),
        ("single-id", ("--pid", "host")),
    ],
    indirect=["tiffin"],
    scope="session",  # or each case gets an account and a store of its own
)
def test_others_processes_and_other_runtimes(tiffin, busybox, name, options):
    tiffin("rm", "-f", name)
    words = ("--network", "none", "--name", name, *options, busybox)
    tiffin("run", "-d", *words, "sh", "-c", "trap 'exit 7' TERM; while :; do date +%N; sleep 0.01; done")
    tiffin("pause", name)
    said = tiffin("logs", name).stdout
    assert tiffin("logs", name).stdout == said
    tiffin("unpause", name)
    until(lambda: tiffin("logs", name).stdout != said, "further words")
    tiffin("pause", name)
    tiffin("stop", name)
    assert "Exited (7)" in row(tiffin, name)
