"""The proxy before an SSH agent: which questions pass, and what hostile clients can do."""

import socket
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.build.agents import Agent
from tiffin.build.ops import agentproxy
from tiffin.build.ops.agentproxy import LARGEST_FRAME, forwarded
from tiffin.errors import FailedError

IDENTITIES, SIGN = b"\x0b", b"\x0d"
FAILURE = b"\x05"


def frame(body):
    return len(body).to_bytes(4, "big") + body


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(path))
    return client


def ask(client, body):
    client.sendall(frame(body))
    return agentproxy._receive(client)


@contextmanager
def echoing(path):
    """An agent that answers with what it was asked, backwards, and remembers it."""
    asked = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve(client):
            with client:
                while (body := agentproxy._receive(client)) is not None:
                    asked.append(body)
                    client.sendall(frame(body[::-1]))

        def accept():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def proxied(tmp_path):
    with (
        echoing(tmp_path / "upstream") as asked,
        forwarded(Agent(str(tmp_path / "upstream")), tmp_path / "proxy") as path,
    ):
        yield path, asked


def test_only_keys_and_signatures_can_be_asked_for(proxied):
    path, asked = proxied
    with connect(path) as client:
        for kind in range(256):
            body = bytes([kind]) + b"rest"
            assert ask(client, body) == (body[::-1] if kind in (11, 13) else FAILURE)
    assert asked == [IDENTITIES + b"rest", SIGN + b"rest"]


def test_a_frame_that_is_too_long_or_empty_ends_the_conversation(proxied):
    path, asked = proxied
    for size in (0, LARGEST_FRAME + 1, 0xFFFFFFFF):
        with connect(path) as client:
            client.sendall(size.to_bytes(4, "big"))
            assert client.recv(1) == b""
    with connect(path) as client:
        body = IDENTITIES + bytes(LARGEST_FRAME - 1)
        assert ask(client, body) == body[::-1]
    assert len(asked) == 1


@given(st.binary(max_size=64))
def test_noise_is_no_question(tmp_path_factory, noise):
    folder = tmp_path_factory.mktemp("noise")
    with (
        echoing(folder / "up") as asked,
        forwarded(Agent(str(folder / "up")), folder / "proxy") as path,
        connect(path) as client,
    ):
        with suppress(ConnectionError):  # the rest of what was sent may never be read
            client.sendall(noise)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
        assert all(body[:1] in (IDENTITIES, SIGN) for body in asked)


def test_many_connections_are_bounded_and_ended(proxied):
    path, _ = proxied
    answered = 0
    with ExitStack() as end:
        for _ in range(agentproxy._MOST_CONNECTIONS + 8):
            client = end.enter_context(connect(path))
            with suppress(ConnectionError):
                answered += ask(client, IDENTITIES) == IDENTITIES
    assert answered == agentproxy._MOST_CONNECTIONS


def test_the_end_does_not_wait_for_clients(tmp_path):
    with echoing(tmp_path / "up"):
        with forwarded(Agent(str(tmp_path / "up")), tmp_path / "proxy") as path:
            client = connect(path)
            assert ask(client, IDENTITIES) == IDENTITIES
        assert client.recv(1) == b""
        client.close()


def test_an_agent_that_has_gone_is_the_end_of_the_conversation(tmp_path):
    with forwarded(Agent(str(tmp_path / "nobody")), tmp_path / "proxy") as path, connect(path) as client:
        assert client.recv(1) == b""


def test_the_path_may_be_longer_than_a_socket_name(tmp_path):
    place = tmp_path / ("d" * 120) / "proxy"
    place.parent.mkdir()
    with forwarded(Agent("/nowhere"), place) as path:
        assert path.is_socket()
        assert len(str(path)) > 120


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def agents(monkeypatch):
    """The sockets of the agents that were started."""
    started = []
    hold = agentproxy._holding

    @contextmanager
    def holding(keys):
        with hold(keys) as path:
            started.append(Path(path))
            yield path

    monkeypatch.setattr(agentproxy, "_holding", holding)
    return started


def test_keys_get_an_agent_of_their_own(key, agents, tmp_path):
    """With OpenSSH's own client: the key is shown and signs, and cannot be taken away."""
    with forwarded(Agent(keys=(key.read_bytes().rstrip(),)), tmp_path / "proxy") as path:

        def add(*arguments):
            environment = {"SSH_AUTH_SOCK": str(path), "PATH": "/usr/bin"}
            return subprocess.run(
                ["ssh-add", *arguments], env=environment, capture_output=True, text=True, check=False
            )

        assert key.with_suffix(".pub").read_text().split()[1] in add("-L").stdout
        assert add("-T", key.with_suffix(".pub")).returncode == 0
        assert add("-D").returncode != 0
        assert add("-d", key.with_suffix(".pub")).returncode != 0
        assert "The agent has no identities" not in add("-l").stdout
        assert [agent.is_socket() for agent in agents] == [True]
    assert [agent.parent.exists() for agent in agents] == [False]


def test_what_ssh_add_does_not_take_is_said(tmp_path):
    with (
        pytest.raises(FailedError, match="ssh-add does not take"),
        forwarded(Agent(keys=(b"-----BEGIN PRIVATE KEY-----\nno\n",)), tmp_path / "proxy"),
    ):
        pass


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """Replace programs of OpenSSH by scripts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def put(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("name", "script", "message"),
    [
        ("ssh-agent", "exit 1", "ssh-agent could not be started"),
        ("ssh-add", "exec sleep 60", "it has not ended after"),
        ("ssh-add", "exit 1", "it does not say why"),
    ],
)
def test_what_openssh_cannot_do_is_said_with_a_remedy(tools, monkeypatch, tmp_path, name, script, message):
    tools(name, script)
    if "sleep" in script:
        monkeypatch.setattr(agentproxy, "_PATIENCE", 0.2)
    with (
        pytest.raises(FailedError, match=message) as caught,
        forwarded(Agent(keys=(b"key",)), tmp_path / "proxy"),
    ):
        pass
    assert caught.value.hint
