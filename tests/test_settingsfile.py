"""The settings file: found, read, and refused with its name in the error."""

import pytest

from tiffin.engine.settings import has_file
from tiffin.errors import InvalidError
from tiffin.settingsfile import read_settings


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc/tiffin").mkdir(parents=True)
    (tmp_path / "home/.config/tiffin").mkdir(parents=True)
    return tmp_path


def environ(root, **more):
    return {"HOME": str(root / "home"), **more}


def test_without_a_file_nothing_is_set(root):
    assert read_settings(environ(root), root) == ()


def test_the_users_comes_before_the_machines(root):
    (root / "etc/tiffin/tiffin.toml").write_text('[mirrors]\n"docker.io" = "a.example/hub"\n')
    (root / "home/.config/tiffin/tiffin.toml").write_text(
        'insecure-registries = ["10.0.0.0/8"]\n[mirrors]\n"ghcr.io" = ["b.example", "c.example"]\n'
        '[aliases]\n"python:3.11*" = "bases/python:3.11"\n'
    )
    user, machine = read_settings(environ(root), root)
    assert user.mirrors == {"ghcr.io": ("b.example", "c.example")}
    assert user.aliases == {"python:3.11*": "bases/python:3.11"}
    assert user.insecure == ("10.0.0.0/8",)
    assert machine.mirrors == {"docker.io": ("a.example/hub",)}
    assert has_file(environ(root))


def test_the_variable_names_the_only_one_or_none(root):
    (root / "home/.config/tiffin/tiffin.toml").write_text('[mirrors]\n"ghcr.io" = "b.example"\n')
    other = root / "other.toml"
    other.write_text('[mirrors]\n"quay.io" = "d.example"\n')
    (found,) = read_settings(environ(root, TIFFIN_CONFIG=str(other)), root)
    assert found.mirrors == {"quay.io": ("d.example",)}
    assert read_settings(environ(root, TIFFIN_CONFIG=""), root) == ()
    with pytest.raises(InvalidError, match=r"TIFFIN_CONFIG names .*no-such"):
        read_settings(environ(root, TIFFIN_CONFIG=str(root / "no-such")), root)
    assert has_file(environ(root, TIFFIN_CONFIG=str(other)))
    assert not has_file(environ(root, TIFFIN_CONFIG=""))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mirrors = [", "is not valid TOML"),
        ("mirrors = 3", "mirrors is no table"),
        ('[mirrors]\n"ghcr.io" = 3', "mirrors.ghcr.io is neither a text nor a list"),
        ('[aliases]\npython = ["a", "b"]', "aliases.python is no text"),
        ("[mirror]\na = 'b'", "there is no setting 'mirror'"),
        ("insecure-registries = [1]", "insecure-registries is neither"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(root, text, message):
    path = root / "etc/tiffin/tiffin.toml"
    path.write_text(text)
    with pytest.raises(InvalidError, match=message) as caught:
        read_settings(environ(root), root)
    assert caught.value.message.startswith(str(path))
    assert caught.value.code == "settings-file"
