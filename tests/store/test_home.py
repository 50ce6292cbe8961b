import errno
import json
import os
from pathlib import Path

import pytest

from tiffin.errors import InvalidError
from tiffin.oci.digest import DiffID, Digest
from tiffin.store.home import Home

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("environ", "euid", "expected"),
    [
        ({}, 0, "/var/lib/tiffin"),
        ({"HOME": "/home/ana"}, 1000, "/home/ana/.local/share/tiffin"),
        ({"HOME": "/home/ana", "XDG_DATA_HOME": "/data"}, 1000, "/data/tiffin"),
        ({"HOME": "/home/ana", "XDG_DATA_HOME": "not/absolute"}, 1000, "/home/ana/.local/share/tiffin"),
        ({"HOME": "/home/ana", "TIFFIN_HOME": "/scratch/t"}, 1000, "/scratch/t"),
        ({"TIFFIN_HOME": "/scratch/t"}, 0, "/scratch/t"),
        ({"HOME": "/root", "XDG_DATA_HOME": "/data"}, 0, "/var/lib/tiffin"),
    ],
)
def test_the_store_lies_where_the_environment_says(environ, euid, expected):
    assert Home.locate(environ, euid).root == Path(expected)


def test_a_relative_home_is_below_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Home.locate({"TIFFIN_HOME": "store"}, 0).root == tmp_path / "store"


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_nowhere_to_go_is_an_error_with_a_remedy(environ):
    with pytest.raises(InvalidError) as caught:
        Home.locate(environ, 1000)
    assert "TIFFIN_HOME" in caught.value.hint


def test_running_things_live_in_the_runtime_directory(tmp_path):
    environ = {"HOME": "/home/ana", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert Home.locate(environ, 1000).run == tmp_path / "tiffin"


@pytest.mark.parametrize("runtime", [None, "/nowhere/at/all", "relative"])
def test_without_a_runtime_directory_they_live_in_the_store(runtime):
    environ = {"HOME": "/home/ana"} | ({"XDG_RUNTIME_DIR": runtime} if runtime else {})
    home = Home.locate(environ, 1000)
    assert home.run == home.root / "run"


def test_the_runtime_directory_of_another_user_is_none_of_ours(tmp_path, monkeypatch):
    """As `su` leaves it in the environment: nobody may even look into it."""

    def refuse(_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(os, "stat", refuse)
    home = Home.locate({"HOME": "/home/ana", "XDG_RUNTIME_DIR": str(tmp_path)}, 1000)
    assert home.run == home.root / "run"


def test_locating_makes_nothing(tmp_path):
    Home.locate({"TIFFIN_HOME": str(tmp_path / "t"), "XDG_RUNTIME_DIR": str(tmp_path / "r")}, 1000)
    assert os.listdir(tmp_path) == []


def test_a_new_home_is_an_image_layout_for_its_owner_alone(tmp_path):
    home = Home(tmp_path / "deep" / "root", tmp_path / "run").create()
    assert json.loads((home.root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((home.root / "index.json").read_text())
    assert (index["schemaVersion"], index["manifests"]) == (2, [])
    for place in (home.root, home.blobs / "sha256", home.layers, home.work, home.containers, home.run):
        assert place.stat().st_mode & 0o777 == 0o700, place


def test_creating_again_keeps_what_is_there(tmp_path):
    home = Home(tmp_path / "root", tmp_path / "run").create()
    (home.root / "index.json").write_text("mine")
    (home.layers / "x").touch()
    home.create()
    assert (home.root / "index.json").read_text() == "mine"
    assert os.listdir(home.layers) == ["x"]


def test_names_in_the_store_are_free_of_colons(tmp_path):
    home = Home(tmp_path, tmp_path)
    assert home.blob(Digest(f"sha256:{HEX}")) == tmp_path / "blobs" / "sha256" / HEX
    assert home.layer(DiffID(f"sha256:{HEX}")) == tmp_path / "layers" / HEX
