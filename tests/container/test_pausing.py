"""What a supervisor does about pauses, with a container that only remembers what was done to it."""

import signal
from types import SimpleNamespace

import pytest

from tiffin.container import pausing
from tiffin.container.pausing import Holding, check
from tiffin.container.state import State
from tiffin.errors import ConflictError
from tiffin.runtime import freezer


class Supervised:
    """A supervisor, its loop and its container in one."""

    def __init__(self) -> None:
        self.done = []
        self.standing = State("running", 12)
        self.failing = self.full = False
        self.later_calls = []
        self.place = "/group"
        self.job = SimpleNamespace(note=lambda action: self.done.append(f"note {action}"))
        self.loop = SimpleNamespace(later=lambda _seconds, call: self.later_calls.append(call))

    def put(self, **changes):
        self.standing = self.standing._replace(**changes)
        if self.full:
            raise OSError(28, "No space left on device")

    def check_health(self, *, wanted):
        self.done.append(f"checks {wanted}")

    def freeze(self):
        self.done.append("freeze")
        if self.failing:
            raise OSError(16, "Device or resource busy")

    def thaw(self):
        self.done.append("thaw")

    def close(self):
        self.done.append("close")


@pytest.fixture
def supervised(monkeypatch):
    one = Supervised()
    monkeypatch.setattr(freezer, "freezer_of", lambda _pid, _joins: one)
    one.holding = Holding(one)
    return one


def ask(supervised, verb, caller=None, **more):
    return supervised.holding.answer(caller, {"verb": verb, **more})


def test_in_turns(supervised):
    for _ in range(2):
        assert ask(supervised, "pause") == {"ok": True}
        assert (supervised.standing.status, supervised.standing.freezer) == ("paused", "/group")
        assert "already paused" in ask(supervised, "pause")["error"]["message"]
        assert ask(supervised, "unpause") == {"ok": True}
        assert supervised.standing.status == "running"
        assert "not paused" in ask(supervised, "unpause")["error"]["message"]
    once = ["checks False", "freeze", "note pause", "thaw", "note unpause", "checks True"]
    assert supervised.done == once * 2
    supervised.holding.close()
    assert supervised.done[-1] == "close"


@pytest.mark.parametrize("paused", [True, False])
def test_a_group_that_was_made_to_hold_it_is_given_up_for_one_with_limits(monkeypatch, tmp_path, paused):
    done = []

    class Way(freezer.Unified):
        def freeze(self):
            done.append(f"freeze {self._directory.name}")

        def thaw(self):
            done.append(f"thaw {self._directory.name}")

    made, limited = tmp_path / "made", tmp_path / "limited"
    group = SimpleNamespace(delete=lambda: done.append("delete made"))
    monkeypatch.setattr(freezer, "freezer_of", lambda _pid, _joins: Way(made, group, list))
    monkeypatch.setattr(freezer, "unified_of", lambda _joins: Way(limited, None, list))
    supervised = Supervised()
    holding = Holding(supervised)
    holding.answer(None, {"verb": "pause"})
    if not paused:
        holding.answer(None, {"verb": "unpause"})
    done.clear()
    with holding.moved(("x",)):
        done.append("moved")
    # What was held stays so: it is moved into a group that is held.
    assert done == [*(["freeze limited"] if paused else []), "moved", "delete made"]
    assert supervised.standing.freezer == ""
    done.clear()
    holding.answer(None, {"verb": "unpause" if paused else "pause"})
    assert done == ["thaw limited" if paused else "freeze limited"]
    with holding.moved(("x",)):  # the next time it is in one with limits already
        pass
    assert "delete made" not in done


@pytest.mark.parametrize("broken", [False, True])
def test_who_was_moved_half_way_can_be_let_go(monkeypatch, tmp_path, broken):
    done = []

    class Way(freezer.Unified):
        def freeze(self):
            done.append(f"freeze {self._directory.name}")
            if broken and done == ["freeze limited", "freeze made"]:
                raise OSError(16, "Device or resource busy")

        def thaw(self):
            done.append(f"thaw {self._directory.name}")

    group = SimpleNamespace(delete=lambda: done.append("delete made"))
    monkeypatch.setattr(freezer, "freezer_of", lambda _pid, _joins: Way(tmp_path / "made", group, list))
    monkeypatch.setattr(freezer, "unified_of", lambda _joins: Way(tmp_path / "limited", None, list))
    supervised = Supervised()
    holding = Holding(supervised)
    holding.answer(None, {"verb": "pause"})
    done.clear()
    with pytest.raises(OSError, match="no room"), holding.moved(("x",)):
        raise OSError(28, "no room")
    # They are moved back into the group that an unpause thaws, and go on where that is not possible.
    assert done == ["freeze limited", "freeze made", *(["thaw made"] if broken else []), "thaw limited"]
    assert supervised.standing.status == ("running" if broken else "paused")
    assert supervised.standing.freezer


@pytest.mark.parametrize("what", ["failing", "full"])
def test_what_cannot_be_held_goes_on(supervised, what):
    setattr(supervised, what, True)
    assert ask(supervised, "pause")["error"]["message"]
    assert supervised.standing.status == "running"
    assert "note pause" not in supervised.done
    if what == "failing":
        assert supervised.done == ["checks False", "freeze", "thaw", "checks True"]


def test_what_comes_into_it_a_moment_later_is_held_too(supervised):
    ask(supervised, "pause")
    (call,) = supervised.later_calls
    supervised.done.clear()
    call()
    assert supervised.done == ["freeze"]
    ask(supervised, "unpause")
    supervised.done.clear()
    call()
    assert supervised.done == []


def test_signals(supervised):
    supervised.holding.signalled(signal.SIGTERM, wake=True)
    assert supervised.done == []
    ask(supervised, "pause")
    supervised.done.clear()
    supervised.holding.signalled(signal.SIGUSR1, wake=False)
    assert supervised.done == []
    supervised.holding.signalled(signal.SIGCONT, wake=False)
    assert supervised.done == ["freeze"]
    supervised.holding.signalled(signal.SIGUSR1, wake=True)
    assert supervised.standing.status == "running"


def test_it_is_let_go_when_the_caller_for_whom_it_is_held_goes(supervised):
    one, other = object(), object()
    ask(supervised, "pause", one, **{"while": True})
    supervised.holding.gone(other)
    assert supervised.standing.status == "paused"
    supervised.holding.gone(one)
    assert supervised.standing.status == "running"
    ask(supervised, "pause", one)
    supervised.holding.gone(one)
    assert supervised.standing.status == "paused"


@pytest.mark.parametrize(
    ("verb", "status", "said"),
    [
        ("pause", "created", "x is not running"),
        ("pause", "exited", "x is not running"),
        ("pause", "restarting", "x is restarting"),
        ("pause", "paused", "x is already paused"),
        ("unpause", "running", "x is not paused"),
        ("unpause", "exited", "x is not paused"),
    ],
)
def test_dockers_words(verb, status, said):
    with pytest.raises(ConflictError) as caught:
        check(verb, status, "x")
    assert caught.value.message == said
    assert caught.value.exit_status == 1


def test_what_can_be():
    check("pause", "running")
    check("unpause", "paused")
    assert "unpause the container before exec" in pausing.refuse_exec("x").message
