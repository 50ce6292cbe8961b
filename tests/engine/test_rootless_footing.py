"""Where a command stands without root, and what it says if it cannot get there."""

import os
from types import SimpleNamespace

import pytest

from tiffin.engine import rootless
from tiffin.engine.rootless import Footing
from tiffin.errors import UnsupportedError


@pytest.fixture
def footing(monkeypatch, tmp_path):
    monkeypatch.setattr(rootless, "examine", lambda _place: None)
    decided = SimpleNamespace(enter=True, uids=(), gids=())
    monkeypatch.setattr(rootless, "decide", lambda _facts, _wanted: decided)
    return Footing(SimpleNamespace(home=SimpleNamespace(root=tmp_path), isolation=""))


@pytest.mark.parametrize(
    "reason", ["newuidmap could not map 0 1001 1: it ended with status 1", os.strerror(1)]
)
def test_why_the_user_namespace_cannot_be_entered_is_said(footing, monkeypatch, reason):
    def refuse(_uids, _gids):
        raise OSError(1, reason)

    monkeypatch.setattr(rootless, "enter_user_namespace", refuse)
    with pytest.raises(UnsupportedError) as caught:
        footing.enter()
    assert caught.value.message == f"this process cannot become root of a user namespace: {reason}"
    assert "tiffin doctor" in caught.value.hint
    assert "--isolation traced" in caught.value.hint
    entered = []
    monkeypatch.setattr(rootless, "enter_user_namespace", lambda *maps: entered.append(maps))
    footing.enter()
    footing.enter()
    assert len(entered) == 1
