"""Which runtime a name means, and what is said where there is none."""

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
