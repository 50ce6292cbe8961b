"""Holding the processes of a container still, by each way that there is."""

import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tiffin.errors import UnsupportedError
from tiffin.runtime import freezer, members

pytestmark = pytest.mark.live

# It writes all the time, by itself and by children that come and go; one process has stopped itself.
BUSY = """
    sh -c 'kill -STOP $$; echo woken' &
    (while true; do (echo child); done) &
    while true; do echo first; done
"""
WAYS = {
    "unified": freezer.unified,
    "legacy": freezer.legacy,
    "stops": freezer.Stops,
}


@pytest.fixture
def busy(box):
    child, output = box.start(box.plan("sh", "-c", BUSY))
    poll = select.poll()
    poll.register(output, select.POLLIN)
    seen = b""
    while not (b"child" in seen and b"first" in seen and stopped(child.pid)):
        poll.poll()
        seen += os.read(output, 1 << 16)
    yield child, output
    child.end()
    os.close(output)


def stopped(first):
    """The processes of the container that are stopped as by SIGSTOP."""
    states = {pid: members.state_of(pid) for pid in members.pids_of(first)}
    return [pid for pid, state in states.items() if state is not None and state[0] == "T"]


def is_silent(output):
    """Whether nothing more comes once all that was written before is read."""
    poll = select.poll()
    poll.register(output, select.POLLIN)
    os.set_blocking(output, False)
    try:
        while os.read(output, 1 << 16):
            pass
    except BlockingIOError:
        return not poll.poll(200)
    finally:
        os.set_blocking(output, True)
    return False


@pytest.mark.parametrize("way", WAYS)
def test_nothing_moves_until_it_is_let_go(busy, way):
    child, output = busy
    (sleeper,) = stopped(child.pid)
    held = WAYS[way](lambda: members.pids_of(child.pid))
    assert held is not None, "a machine that runs these tests has both versions of cgroups"
    for _ in range(2):
        held.freeze()
        assert is_silent(output)
        held.thaw()
        seen = b""
        while not (b"child" in seen and b"first" in seen):
            seen += os.read(output, 1 << 16)
        # What had stopped by itself is not woken.
        assert b"woken" not in seen
        assert sleeper in stopped(child.pid)
    held.freeze()
    if way == "legacy":
        held.thaw()  # there even SIGKILL waits
    child.end()
    held.close()
    assert not held.place or not os.path.exists(held.place)


@pytest.mark.parametrize("make", [freezer.unified, freezer.legacy])
def test_what_is_held_when_its_supervisor_was_killed_is_let_go_and_its_group_removed(busy, make):
    child, _ = busy
    held = make(lambda: members.pids_of(child.pid))
    held.freeze()
    child.kill(signal.SIGKILL)
    freezer.release(held.place)
    assert child.wait() == 128 + signal.SIGKILL
    assert not os.path.exists(held.place)
    freezer.release(held.place)  # once more does no harm


def test_the_best_way_is_taken_and_a_cgroup_of_its_own_is_one(busy, tmp_path):
    child, _ = busy
    found = freezer.freezer_of(child.pid, ())
    assert isinstance(found, freezer.Unified)
    (tmp_path / "cgroup.freeze").touch()
    (tmp_path / "cgroup.procs").write_text(f"{child.pid}\n")
    own = freezer.freezer_of(child.pid, (str(tmp_path / "cgroup.procs"),))
    assert isinstance(own, freezer.Unified)
    assert own.place == ""
    own.close()
    assert tmp_path.exists()
    child.end()
    found.close()
    assert not os.path.exists(found.place)


def test_processes_that_are_not_ours_alone_are_never_held():
    with pytest.raises(UnsupportedError, match="in no container"):
        freezer.freezer_of(os.getpid(), ())


def test_processes_in_namespaces_within_belong_to_it_too():
    words = ["unshare", "-p", "-f", "--kill-child", "sh", "-c"]
    script = "unshare -p -f --kill-child sh -c 'echo $$; exec sleep 1000' & exec sleep 1000"
    with subprocess.Popen([*words, script], stdout=subprocess.PIPE, text=True) as outer:
        try:
            assert outer.stdout.readline() == "1\n"
            (first,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
            names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in members.pids_of(int(first))]
            # Each shell becomes `sleep`, when its turn comes.
            found = sorted(name.replace("sleep", "sh") for name in names)
            assert found == ["sh", "sh", "unshare"]
            assert members.has_own_space(int(first))
            assert not members.has_own_space(os.getpid())
        finally:
            outer.kill()
