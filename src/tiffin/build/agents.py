"""SSH agents of a build: `--ssh` → where the agent of an id listens, or the keys that it is to hold.

Only steps that mount an agent reach it, and then by way of `ops.agentproxy`. Keys are read once, held in
memory, and part of no cache key, of no message, and of nothing that is written.
"""

from __future__ import annotations

import base64
import binascii
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LARGEST_KEY = 64 << 10
_DEFAULT = "default"
_VARIABLE = "SSH_AUTH_SOCK"
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_OPENSSH_MAGIC = b"openssh-key-v1\0"
_TOOLS = ("ssh-agent", "ssh-add")


class AgentFlag(NamedTuple):
    """One `--ssh`: its id, and the files that it names: a socket, or keys; none for the caller's agent."""

    id: str
    paths: tuple[str, ...] = ()


class Agent(NamedTuple):
    """An agent to forward: the socket that it listens on, or the private keys for one of our own."""

    socket: str = ""
    keys: tuple[bytes, ...] = ()


def parse_agent(text: str) -> AgentFlag:
    """Return what `--ssh text` says. Raises InvalidError."""
    identity, equals, rest = text.partition("=")
    paths = tuple(rest.split(",")) if equals else ()
    if not identity or not all(paths):
        raise _invalid(text, "an id, and after = a socket or keys, are needed")
    return AgentFlag(identity, paths)


def find_agents(flags: Iterable[str], environ: Mapping[str, str]) -> dict[str, Agent]:
    """Return the agent of each id, its files looked at: what cannot be forwarded is said before any step.

    Raises InvalidError, NotFoundError or UnsupportedError.
    """
    found: dict[str, Agent] = {}
    for text in flags:
        flag = parse_agent(text)
        if flag.id in found:
            raise _invalid(text, f"the id {flag.id} was given before")
        found[flag.id] = _find(text, flag, environ)
    return found


def needs_passphrase(key: bytes) -> bool:
    """Tell whether the private key, in any of the formats of ssh-keygen, is encrypted."""
    if not key.startswith(_OPENSSH):
        return b"ENCRYPTED" in key
    body = b"".join(line for line in key.splitlines() if not line.startswith(b"-----"))
    try:
        data = base64.b64decode(body[:64])
    except binascii.Error:
        return False
    # The magic, then the name of the cipher with its length before it.
    cipher = data[len(_OPENSSH_MAGIC) :]
    return data.startswith(_OPENSSH_MAGIC) and cipher[4 : 4 + int.from_bytes(cipher[:4], "big")] != b"none"


def _find(text: str, flag: AgentFlag, environ: Mapping[str, str]) -> Agent:
    paths = flag.paths
    if not paths:
        if not environ.get(_VARIABLE):
            raise NotFoundError(
                f"--ssh {text}: there is no SSH agent to forward: {_VARIABLE} is not set",
                code="no-agent",
                hint=f"start one: eval $(ssh-agent); ssh-add; or name a key: --ssh {flag.id}=KEYFILE",
            )
        paths = (environ[_VARIABLE],)
    kinds = [_is_socket(text, path) for path in paths]
    if kinds == [True]:
        return Agent(socket=os.path.abspath(paths[0]))
    if any(kinds):
        raise _invalid(text, "it is either one socket or files with keys")
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise UnsupportedError(
            f"--ssh {text}: keys need the program {missing[0]}, which is not installed",
            code="no-ssh-agent",
            hint="install OpenSSH's client, or forward an agent that runs: --ssh default",
        )
    return Agent(keys=tuple(_read_key(text, path) for path in paths))


def _is_socket(text: str, path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise NotFoundError(
            f"--ssh {text}: {path}: {error.strerror}", code="no-agent", hint="check the path"
        ) from error
    if not stat.S_ISSOCK(mode) and not stat.S_ISREG(mode):
        raise _invalid(text, f"{path} is neither a socket nor a file")
    return stat.S_ISSOCK(mode)


def _read_key(text: str, path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            key = file.read(LARGEST_KEY + 1)
    except OSError as error:
        raise NotFoundError(
            f"--ssh {text}: the key cannot be read: {error.strerror}: {path}", code="no-agent"
        ) from error
    if b"PRIVATE KEY-----" not in key or len(key) > LARGEST_KEY:
        raise _invalid(text, f"{path} holds no private key")
    if needs_passphrase(key):
        raise UnsupportedError(
            f"--ssh {text}: {path} is protected by a passphrase, and a build asks for none",
            code="key-with-passphrase",
            hint=f"give it to an agent and forward that: ssh-add {path}, then --ssh {text.partition('=')[0]}",
        )
    return key


def _invalid(text: str, why: str) -> InvalidError:
    return InvalidError(
        f"--ssh {text}: {why}",
        code="invalid-ssh",
        hint="write --ssh default, --ssh ID=SOCKET or --ssh ID=KEY[,KEY]",
    )
