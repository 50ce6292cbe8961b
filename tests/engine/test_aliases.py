"""Aliases: which image is taken for which name."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tiffin.engine.aliases import find_alias, real_name
from tiffin.errors import InvalidError
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


@pytest.mark.parametrize(("pattern", "target"), [("Python", "a/b"), ("python", "A/B")])
def test_names_that_are_none_are_refused_with_their_file(pattern, target):
    with pytest.raises(InvalidError, match=r"tiffin\.toml: the alias"):
        taken("python", file(**{pattern: target}))
