"""Limits for a container that runs: its processes are moved into the group, or the caller hears that not."""

from types import SimpleNamespace

import pytest

from tiffin.container import limiting
from tiffin.container.state import State

MESSAGE = {"limits": ([], [("memory", "memory.max", "1")])}


@pytest.fixture
def supervisor():
    one = SimpleNamespace(standing=State("running", 12), holding=None, probed=[])
    one.life = SimpleNamespace(grow=lambda _writes: ("/group/cgroup.procs",))
    one.loop = SimpleNamespace(later=lambda _seconds, _call: None)
    one.probe_by = one.probed.append

    def put(**changes):
        one.standing = one.standing._replace(**changes)

    one.put = put
    return one


def test_who_could_not_be_moved_is_moved_by_the_next_who_asks(supervisor, monkeypatch):
    tried = []

    def gather(files, pids):
        tried.append(files)
        if len(tried) == 1:
            raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(limiting.members, "gather", gather)
    assert "busy" in limiting.answer(supervisor, MESSAGE)["error"]["message"]
    assert limiting.answer(supervisor, MESSAGE) == {"ok": True}
    assert tried == [("/group/cgroup.procs",)] * 2
    assert limiting.answer(supervisor, MESSAGE) == {"ok": True}  # they are in it now
    assert len(tried) == 2
    assert supervisor.probed == [("/group/cgroup.procs",)]
