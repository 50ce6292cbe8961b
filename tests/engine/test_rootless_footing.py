"""Where a command stands without root, and what it says if it cannot get there."""

import os
from types import SimpleNamespace

import pytest

from tiffin.engine import rootless
from tiffin.engine.engine import Engine
from tiffin.engine.rootless import Footing
from tiffin.engine.settings import Settings
from tiffin.errors import ConflictError, UnsupportedError
from tiffin.layer.owners import RecordedModes


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


def test_a_store_keeps_one_way_of_owners(tmp_path):
    environ = {"TIFFIN_HOME": str(tmp_path / "store")}
    with Engine.open(Settings.load(environ, isolation="traced")) as engine:
        assert isinstance(engine.owners, RecordedModes)
        assert engine.footing.records
    (tmp_path / "store/owners").write_text("true\n")
    with pytest.raises(ConflictError, match="made with true owners, and the rung traced keeps traced ones"):
        Engine.open(Settings.load(environ, isolation="traced"))
