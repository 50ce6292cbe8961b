"""Which runtime a name means, and what is said where there is none."""

import os
import signal
import subprocess
from types import SimpleNamespace

import pytest

from tiffin.engine import runtimes
from tiffin.engine.request import RunRequest
from tiffin.engine.settings import Settings
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError


@pytest.fixture
def settings(tmp_path):
    def make(**environ):
        return Settings.load({"TIFFIN_HOME": str(tmp_path), "PATH": str(tmp_path / "bin"), **environ})

    return make


@pytest.fixture
def program(tmp_path):
    """A program called crun, which wins over the system's."""
    path = tmp_path / "bin/crun"
    path.parent.mkdir()
    path.write_text("")
    path.chmod(0o755)
    return path


def test_known_names_are_looked_for_and_paths_are_taken(settings, program, tmp_path):
    assert runtimes.locate(settings(), "crun") == str(program)
    assert runtimes.locate(settings(), str(program)) == str(program)
    assert runtimes.locate(settings(TIFFIN_RUNTIMES=f"mine={program},crun={program}"), "mine") == str(program)
    for name in ("mine", "/etc/passwd", str(tmp_path / "none"), "sh"):
        with pytest.raises(NotFoundError, match=rf"there is no runtime {name} here; found are tiffin.*crun"):
            runtimes.locate(settings(), name)


@pytest.mark.parametrize("text", ["mine", "=/bin/crun", "mine=crun"])
def test_a_table_that_names_none_is_refused(settings, text):
    with pytest.raises(InvalidError, match="TIFFIN_RUNTIMES"):
        runtimes.locate(settings(TIFFIN_RUNTIMES=text), "crun")


@pytest.mark.parametrize(
    "word", [("userns", "host"), ("userns", "keep-id:uid=5"), ("ipc", "container:other")]
)
def test_what_only_our_own_does_is_refused(settings, program, word):
    engine = SimpleNamespace(settings=settings())
    with pytest.raises(UnsupportedError, match=rf"--{word[0]} .*--runtime crun"):
        runtimes.check(engine, RunRequest("image", runtime="crun", security=(word,)))
    runtimes.check(engine, RunRequest("image", runtime="crun", security=(("userns", "auto"),)))


def test_the_settings_name_the_runtime_of_containers_that_name_none(settings):
    engine = SimpleNamespace(settings=settings(TIFFIN_RUNTIME="crun"))
    assert runtimes.chosen(engine, RunRequest("image")) == "crun"
    assert runtimes.chosen(engine, RunRequest("image", runtime="runc")) == "runc"
    assert runtimes.chosen(engine, RunRequest("image", runtime="tiffin")) == ""


@pytest.mark.parametrize("stale", [False, True], ids=["its own", "another with its number"])
def test_what_a_runtime_left_that_was_uninstalled_is_taken_away(settings, tmp_path, stale):
    run = tmp_path / "run"
    engine = SimpleNamespace(settings=settings(), home=SimpleNamespace(run=run))
    record = SimpleNamespace(runtime="/opt/gone/runtime", short="abc", id="abcdef")
    place = runtimes.place_of(engine, record)
    place.mkdir(parents=True)
    child = subprocess.Popen(["sleep", "60"])
    try:
        (place / "pid").write_text(str(child.pid))
        if stale:
            os.utime(place / "pid", (10**9, 10**9))
        runtimes.forget(engine, record)
        assert not place.exists()
        assert (child.poll() is None) == stale or child.wait() == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()
