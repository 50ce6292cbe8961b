"""--ssh as Docker reads it, and what it finds wrong before any step runs."""

import socket
import subprocess

import pytest

from tiffin.build import agents
from tiffin.build.agents import Agent, AgentFlag, find_agents, needs_passphrase, parse_agent
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default", AgentFlag("default")),
        ("github", AgentFlag("github")),
        ("default=/run/agent", AgentFlag("default", ("/run/agent",))),
        ("id=a,b", AgentFlag("id", ("a", "b"))),
        ("id=a=b", AgentFlag("id", ("a=b",))),
    ],
)
def test_flags(text, expected):
    assert parse_agent(text) == expected


@pytest.mark.parametrize("text", ["", "=", "=/a", "id=", "id=a,"])
def test_what_is_no_flag(text):
    with pytest.raises(InvalidError, match="--ssh"):
        parse_agent(text)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A key in each format, plain and with a passphrase."""
    folder = tmp_path_factory.mktemp("keys")
    for name, kind, passphrase, form in (
        ("new", "ed25519", "", "RFC4716"),
        ("new-locked", "ed25519", "secret", "RFC4716"),
        ("pem", "rsa", "", "PEM"),
        ("pem-locked", "rsa", "secret", "PEM"),
        ("pkcs8", "rsa", "", "PKCS8"),
        ("pkcs8-locked", "rsa", "secret", "PKCS8"),
    ):
        command = ["ssh-keygen", "-q", "-t", kind, "-m", form, "-N", passphrase, "-f", folder / name]
        subprocess.run(command, check=True)
    return folder


@pytest.mark.parametrize("form", ["new", "pem", "pkcs8"])
def test_keys_with_a_passphrase_are_known(keys, form):
    assert not needs_passphrase((keys / form).read_bytes())
    assert needs_passphrase((keys / f"{form}-locked").read_bytes())
    with pytest.raises(UnsupportedError, match="passphrase") as caught:
        find_agents([f"id={keys}/{form}-locked"], {})
    assert "--ssh id" in caught.value.hint


def test_the_agent_of_the_caller(tmp_path):
    path = tmp_path / "agent"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        environ = {"SSH_AUTH_SOCK": str(path)}
        assert find_agents(["default", f"other={path}"], environ) == {
            "default": Agent(str(path)),
            "other": Agent(str(path)),
        }
        with pytest.raises(InvalidError, match="either one socket or"):
            find_agents([f"default={path},{path}"], {})
    with pytest.raises(NotFoundError, match="SSH_AUTH_SOCK is not set"):
        find_agents(["default"], {})
    with pytest.raises(InvalidError, match="given before"):
        find_agents(["default"] * 2, environ)


def test_keys_are_read_at_once(keys):
    found = find_agents([f"id={keys}/new,{keys}/pem"], {})
    assert found["id"].keys == ((keys / "new").read_bytes(), (keys / "pem").read_bytes())


def test_files_that_hold_no_key(keys, tmp_path):
    (tmp_path / "large").write_bytes(b"-----BEGIN PRIVATE KEY-----" + bytes(agents.LARGEST_KEY))
    for path, error, message in (
        (keys / "new.pub", InvalidError, "no private key"),
        (tmp_path / "large", InvalidError, "no private key"),
        (tmp_path, InvalidError, "neither a socket nor a file"),
        (tmp_path / "none", NotFoundError, "No such file"),
    ):
        with pytest.raises(error, match=message):
            find_agents([f"id={path}"], {})


def test_keys_need_openssh(keys, monkeypatch):
    monkeypatch.setattr(agents.shutil, "which", lambda _tool: None)
    with pytest.raises(UnsupportedError, match="ssh-agent, which is not installed"):
        find_agents([f"id={keys}/new"], {})
