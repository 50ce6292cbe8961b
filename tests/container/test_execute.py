"""Who asks for a process that cannot be had is answered, and the container goes on."""

from __future__ import annotations

import os

import pytest

from tiffin.container import control, execute
from tiffin.container.job import Job
from tiffin.container.loop import Loop
from tiffin.container.supervisor import Supervisor
from tiffin.network.plan import NetworkPlan
from tiffin.runtime import model
from tiffin.runtime.process import Process


@pytest.fixture
def supervisor(tmp_path):
    """One whose container has no process: it is about to be started, or to be started again."""
    plan = model.pack(model.Plan(0, (), (), (), (), Process(("true",))))
    made = Supervisor(
        Job("a" * 64, str(tmp_path), str(tmp_path / "run"), plan, NetworkPlan("none", "a" * 64, ""))
    )
    yield made
    made.loop.close()


def test_between_two_starts_there_is_nothing_to_enter(supervisor):
    ours, theirs = control.pair()
    supervisor._greet(theirs)
    with ours:
        ours.send({"verb": "exec"}, (0,) * execute.DESCRIPTORS)
        supervisor.loop.turn()
        message, _ = ours.receive()
        assert (message["error"]["code"], message["error"]["exit_status"]) == ("not-running", 1)
        assert "waits to be started again" in message["error"]["message"]
        assert ours.receive() is None


def test_a_process_that_cannot_be_started_is_told_of(monkeypatch):
    def full(*_arguments, **_options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawn", full)
    ours, theirs = control.pair()
    loop = Loop()
    with ours, theirs:
        execute.spawn(loop, theirs, (str(os.getpid()),), (0, 0, 0, 0))
        message, _ = ours.receive()
    assert "temporarily unavailable" in message["error"]["message"]
    loop.close()
