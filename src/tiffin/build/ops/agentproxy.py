"""`RUN --mount=type=ssh`: a socket for one step, behind which an SSH agent answers and cannot be changed.

The protocol is draft-ietf-sshm-ssh-agent: frames of a length and a body whose first byte says what it is.
Only the questions for the keys and for a signature pass; to add, to remove and to lock, and every
extension, gets the answer that a failure has. What a step sends is hostile: frames are bounded, and so is
the number of connections.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tiffin.errors import FailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tiffin.build.agents import Agent

LARGEST_FRAME = 256 << 10  # what OpenSSH allows
_MOST_CONNECTIONS = 32
_REQUEST_IDENTITIES, _SIGN_REQUEST = b"\x0b", b"\x0d"
_ALLOWED = (_REQUEST_IDENTITIES, _SIGN_REQUEST)
_FAILURE = b"\x05"
_PATIENCE = 20  # seconds that an agent has to take a key


@contextmanager
def forwarded(agent: Agent, place: Path) -> Iterator[Path]:
    """Yield a socket in the new directory `place` behind which `agent` answers until the block ends.

    Its owner and mode are the caller's to set. Raises FailedError if an agent for keys cannot be started.
    """
    place.mkdir(mode=0o700)
    if agent.keys:
        with _holding(agent.keys) as upstream, _Proxy(place, upstream) as path:
            yield path
    else:
        with _Proxy(place, agent.socket) as path:
            yield path


class _Proxy:
    """Listens, and serves each connection in a thread of its own."""

    def __init__(self, place: Path, upstream: str) -> None:
        self._path = place / "agent"
        self._upstream = upstream
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._closed = False

    def __enter__(self) -> Path:
        self._listener = socket.socket(socket.AF_UNIX)
        directory = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # The path may be longer than the 108 bytes that the name of a socket can have.
            self._listener.bind(f"/proc/self/fd/{directory}/{self._path.name}")
        finally:
            os.close(directory)
        self._listener.listen(_MOST_CONNECTIONS)
        self._start(self._accept)
        return self._path

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._closed = True
            for each in (self._listener, *self._open):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True, name="ssh-agent")
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            upstream = socket.socket(socket.AF_UNIX)
            with self._guard:
                if self._closed or len(self._open) >= 2 * _MOST_CONNECTIONS:
                    client.close()
                    upstream.close()
                    continue
                self._open |= {client, upstream}
                self._start(self._serve, client, upstream)

    def _serve(self, client: socket.socket, upstream: socket.socket) -> None:
        try:
            upstream.connect(self._upstream)
            if self._closed:
                return
            while (request := _receive(client)) is not None:
                answer: bytes | None = _FAILURE
                if request[:1] in _ALLOWED:
                    _send(upstream, request)
                    answer = _receive(upstream)
                if answer is None:
                    return
                _send(client, answer)
        except OSError:
            return  # one of the two has gone: so has the conversation
        finally:
            with self._guard:
                self._open -= {client, upstream}
            client.close()
            upstream.close()


def _receive(connection: socket.socket) -> bytes | None:
    """Return the next frame's body; None at the end, or if it is too long to be one."""
    size = int.from_bytes(_exactly(connection, 4) or bytes(4), "big")
    return _exactly(connection, size) if 0 < size <= LARGEST_FRAME else None


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            return None
        data += part
    return data


def _send(connection: socket.socket, body: bytes) -> None:
    connection.sendall(len(body).to_bytes(4, "big") + body)


@contextmanager
def _holding(keys: Sequence[bytes]) -> Iterator[str]:
    """Yield the socket of an `ssh-agent` that holds `keys`; it ends with the block, and with this process."""
    import signal
    import subprocess
    from tempfile import TemporaryDirectory

    environment = {"PATH": os.environ.get("PATH", os.defpath), "SSH_ASKPASS_REQUIRE": "never"}
    with TemporaryDirectory(prefix="tiffin-") as folder:
        path = f"{folder}/agent"
        # An agent that was given a command lives no longer than that: here, than our end of a pipe.
        keeper = subprocess.Popen(
            ["ssh-agent", "-a", path, "sh", "-c", "echo $SSH_AGENT_PID; read end"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        with keeper:
            assert keeper.stdout is not None
            number = keeper.stdout.readline().strip()
            if not number.isdigit():
                raise FailedError(
                    "ssh-agent could not be started for the keys of --ssh",
                    code="no-ssh-agent",
                    hint="try it by hand: ssh-agent true; or give --ssh the socket of an agent that runs",
                )
            try:
                for key in keys:
                    _add(key, {**environment, "SSH_AUTH_SOCK": path})
                yield path
            finally:
                with suppress(ProcessLookupError):
                    os.kill(int(number), signal.SIGTERM)


def _add(key: bytes, environment: dict[str, str]) -> None:
    import subprocess

    try:
        done = subprocess.run(
            ["ssh-add", "-q", "-"],
            input=key if key.endswith(b"\n") else key + b"\n",
            env=environment,
            capture_output=True,
            check=False,
            timeout=_PATIENCE,
            start_new_session=True,  # without a terminal it asks for no passphrase
        )
    except subprocess.TimeoutExpired:
        raise _key_refused(f"it has not ended after {_PATIENCE} seconds") from None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise _key_refused(reason[-1] if reason else "it does not say why")


def _key_refused(why: str) -> FailedError:
    return FailedError(
        f"ssh-add does not take a key of --ssh: {why}",
        code="key-refused",
        hint="check it with: ssh-keygen -y -f KEY",
    )
