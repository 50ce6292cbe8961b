"""How commands are attached to containers: what is asked of the engine, and what is said of it."""

import sys
from io import StringIO

import pytest

from tiffin.engine.request import Client


class Screen(StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Screen())


def asked(engine):
    """How the last `run` was attached."""
    return engine.calls[-1][1].client


@pytest.mark.parametrize(
    ("words", "client"),
    [
        ((), Client()),
        (("-it",), Client()),
        (("--detach-keys=ctrl-a,x",), Client(keys=b"\x01x")),
        (("--sig-proxy=false",), Client(proxy=False)),
        (("-a", "STDERR", "-a", "stdout"), Client(streams=("stdout", "stderr"))),
        (("-ia", "stdin"), Client(streams=("stdin",))),
    ],
)
def test_run_says_how_it_is_attached(tiffin, engine, words, client):
    engine.answers("running", run=lambda _request, announce: 0)
    assert tiffin("run", *words, "image").status == 0
    assert asked(engine) == client


def test_keys_come_from_dockers_settings_unless_they_are_given(tiffin, engine, monkeypatch, tmp_path):
    engine.answers("running", run=lambda _request, announce: 0, start=0)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    settings = tmp_path / "config.json"
    for text, keys in (
        ('{"detachKeys": "ctrl-e"}', b"\x05"),
        ('{"detachKeys": 5}', Client().keys),
        ("[", Client().keys),
    ):
        settings.write_text(text)
        assert tiffin("run", "-it", "image").status == 0
        assert asked(engine).keys == keys
    settings.write_text('{"detachKeys": "ctrl-e"}')
    tiffin("run", "-it", "--detach-keys", "z", "image")
    assert asked(engine).keys == b"z"
    tiffin("start", "-ai", "c")
    assert engine.calls[-1][2]["client"].keys == b"\x05"


def test_keys_and_streams_that_there_are_not(tiffin, engine):
    engine.answers("running", run=lambda _request, announce: 0)
    result = tiffin("run", "--detach-keys=ctrl-1", "image")
    assert (result.status, "invalid detach keys (ctrl-1)" in result.err) == (125, True)
    result = tiffin("run", "-a", "out", "image")
    assert (result.status, "valid streams are STDIN, STDOUT and STDERR" in result.err) == (125, True)
    result = tiffin("run", "-d", "-a", "stdout", "image")
    assert (result.status, "cannot specify both --attach and --detach" in result.err) == (125, True)
    assert not [call for call in engine.calls if call[0] == "run"]


def test_who_leaves_a_container_ends_as_in_docker(tiffin, engine):
    engine.answers("running", run=lambda _request, announce: None, start=None)
    engine.answers("containers", exec_=None)
    engine.answers("attached", attach=None)
    assert tiffin("run", "-it", "image").status == 0
    assert tiffin("start", "-ai", "c").status == 0
    for words in (("exec", "-it", "c", "sh"), ("attach", "c"), ("container", "attach", "c")):
        result = tiffin(*words)
        assert (result.status, result.err) == (1, "read escape sequence\n")


def test_attach_passes_on_the_status(tiffin, engine):
    engine.answers("attached", attach=7)
    assert tiffin("attach", "--no-stdin", "--sig-proxy=false", "c").status == 7
    assert engine.calls[-1][1:] == ("c", Client(streams=("stdout", "stderr"), proxy=False))


def test_what_is_fed_alone_is_told_by_its_id(tiffin, engine):
    def run(_request, announce):
        announce("c" * 64)

    engine.answers("running", run=run)
    assert tiffin("run", "-i", "-a", "stdin", "image").out == "c" * 64 + "\n"
    assert tiffin("run", "-i", "-a", "stdin", "-a", "stdout", "image").out == ""
