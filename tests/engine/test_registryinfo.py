"""What `info` and `doctor` say of mirrors and aliases."""

import pytest

from tiffin.engine.registryinfo import registry_facts
from tiffin.errors import InvalidError


def facts(tmp_path, text="", **environ):
    path = tmp_path / "tiffin.toml"
    path.write_text(text)
    # Whatever this machine has for other engines does not count where there are mirrors of our own.
    none = tmp_path / "registries.conf"
    none.write_text("")
    own = {"HOME": str(tmp_path), "TIFFIN_CONFIG": str(path), "CONTAINERS_REGISTRIES_CONF": str(none)}
    return registry_facts({**own, **environ})


def test_what_the_file_says(tmp_path):
    text = (
        'insecure-registries = ["lab:5000"]\n[mirrors]\n"docker.io" = ["http://a.example", "b.example/hub"]\n'
        '"ghcr.io" = "c.example"\n[aliases]\n"python:3*" = "bases/python"\n'
    )
    found = facts(tmp_path, text)
    assert found.mirrors == {"docker.io": ("http://a.example", "b.example/hub"), "ghcr.io": ("c.example",)}
    assert found.aliases == {"python:3*": "bases/python"}
    assert "lab:5000" in found.insecure
    assert found.files == (str(tmp_path / "tiffin.toml"),)
    assert "docker.io by http://a.example, b.example/hub; ghcr.io by c.example" in found.summary()
    assert "python:3* is bases/python" in found.summary()


def test_the_variable_stands_for_all_mirrors(tmp_path):
    text = '[mirrors]\n"ghcr.io" = "c.example"\n'
    assert facts(tmp_path, text, TIFFIN_MIRRORS="d.example").mirrors == {"docker.io": ("d.example",)}
    assert facts(tmp_path, text, TIFFIN_MIRRORS="").mirrors == {}


def test_offline_is_said(tmp_path):
    assert facts(tmp_path, TIFFIN_OFFLINE="1").offline
    assert "offline" in facts(tmp_path, TIFFIN_OFFLINE="1").summary()
    assert not facts(tmp_path).offline


def test_a_mirror_that_is_no_address_is_said_with_the_file(tmp_path):
    with pytest.raises(InvalidError, match=r"tiffin\.toml: .* is no address of a mirror"):
        facts(tmp_path, '[mirrors]\n"docker.io" = "ftp://a.example"\n')
