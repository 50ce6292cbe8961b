"""Aliases: which image is taken for which name."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tiffin.engine.aliases import find_alias, real_name
from tiffin.errors import InvalidError, NotFoundError
from tiffin.events import Notice
from tiffin.oci.reference import Reference
from tiffin.settingsfile import SettingsFile


def file(**aliases):
    return SettingsFile(Path("/etc/tiffin/tiffin.toml"), {}, aliases, ())


def taken(name, *files):
    alias = find_alias(files, Reference.parse(name).tagged())
    return alias and alias.target.familiar


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("python:3.11*", "python:3.11", True),
        ("python:3.11*", "python:3.11.8-slim", True),
        ("python:3.11*", "docker.io/library/python:3.11-bookworm", True),
        ("docker.io/library/python:*", "python:3.12", True),
        ("python:3.11*", "python:3.12", False),
        ("python:3.11*", "ghcr.io/them/python:3.11", False),
        ("*/python:3.11", "ghcr.io/them/python:3.11", True),
        ("python", "python", True),
        ("python", "python:latest", True),
        ("python", "python:3", False),
        ("python:3.?", "python:3.9", True),
        ("python:3.?", "python:3.11", False),
        ("python:*", "python:3@sha256:" + "a" * 64, False),
    ],
)
def test_a_name_fits_a_pattern_in_either_of_its_forms(pattern, name, fits):
    assert taken(name, file(**{pattern: "bases/python:3"})) == ("bases/python:3" if fits else None)


def test_the_most_exact_one_wins_and_the_users_before_the_machines():
    machine = file(**{"python:*": "a/all", "python:3.11*": "a/some", "python:3.11.8": "a/one"})
    assert taken("python:3.11.8", machine) == "a/one:latest"
    assert taken("python:3.11.9", machine) == "a/some:latest"
    assert taken("python:3.12", machine) == "a/all:latest"
    assert taken("python:3.12", file(**{"python:*": "b/mine"}), machine) == "b/mine:latest"


def test_an_image_is_no_alias_of_itself():
    assert taken("bases/python:3", file(**{"*python*": "bases/python:3"})) is None


def test_what_is_taken_is_said_once_a_name_and_noted(tmp_path):
    path = tmp_path / "tiffin.toml"
    path.write_text('[aliases]\n"python:3.11*" = "bases/python"\n')
    events = []
    settings = SimpleNamespace(environ={"TIFFIN_CONFIG": str(path)})
    engine, told = SimpleNamespace(settings=settings, emit=events.append), {}
    for _ in range(2):
        assert real_name(engine, "python:3.11-slim", told) == "bases/python:latest"
    assert real_name(engine, "ubuntu", told) == "ubuntu"
    assert real_name(engine, "a" * 64, told) == "a" * 64  # an image id
    assert told == {"python:3.11-slim": "bases/python:latest"}
    (notice,) = events
    assert isinstance(notice, Notice)
    assert notice.level == "warning"
    assert "python:3.11-slim is an alias here: bases/python:latest is taken" in notice.message
    assert str(path) in notice.message


@pytest.mark.parametrize(
    ("text", "name", "command"),
    [
        ("base:", "own", "tiffin base"),
        ("base:python", "own-python", "tiffin base --python"),
        ("base:bookworm", "bookworm", "tiffin base bookworm"),
        ("base:bookworm+python", "bookworm-python", "tiffin base bookworm --python"),
        ("base:trixie+build+python", "trixie-python-build", "tiffin base trixie --python --flavour build"),
    ],
)
def test_a_base_from_packages_has_a_name_of_its_own(text, name, command):
    alias = find_alias([file(python=text)], Reference.parse("python").tagged())
    assert alias.target.familiar == f"localhost/tiffin/base:{name}"
    assert alias.base.command == f"{command} -t localhost/tiffin/base:{name}"


def test_a_base_is_made_when_it_is_first_needed(tmp_path):
    path, tags, made = tmp_path / "tiffin.toml", {}, []
    path.write_text('[aliases]\n"python:3.11*" = "base:bookworm+python"\n')
    settings = SimpleNamespace(environ={"TIFFIN_CONFIG": str(path)})
    engine = SimpleNamespace(settings=settings, emit=lambda _event: None, tags=tags, base_maker=None)
    with pytest.raises(NotFoundError, match="is not made yet") as caught:
        real_name(engine, "python:3.11")
    assert "tiffin base bookworm --python -t localhost/tiffin/base:bookworm-python" in caught.value.hint

    def make(_engine, suite, name, **more):
        made.append((suite, name, more))
        tags[Reference.parse(name)] = "a descriptor"

    engine.base_maker = make
    for _ in range(2):
        assert real_name(engine, "python:3.11") == "localhost/tiffin/base:bookworm-python"
    assert made == [
        ("bookworm", "localhost/tiffin/base:bookworm-python", {"python": True, "build": False}),
    ]


@pytest.mark.parametrize(
    ("pattern", "target"), [("Python", "a/b"), ("python", "A/B"), ("python", "base:bookworm+ruby")]
)
def test_names_that_are_none_are_refused_with_their_file(pattern, target):
    with pytest.raises(InvalidError, match=r"tiffin\.toml: the alias"):
        taken("python", file(**{pattern: target}))
