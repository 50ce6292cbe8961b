"""Passwords of keys: from a file, the environment, a pipe, or a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from tiffin.cli.command import Session

VARIABLE = "COSIGN_PASSWORD"
_LONGEST = 1 << 16


def passphrase(session: Session, file: str | None, key: str) -> bytes:
    """The password that opens the key in the file `key`. Raises InvalidError where nobody can be asked."""
    if file is not None:
        return read_passphrase(file)
    if VARIABLE in session.environ:
        return session.environ[VARIABLE].encode(errors="surrogateescape")
    if not session.stdin.isatty():
        raise InvalidError(
            f"the key {key} is sealed with a password, and there is nobody to ask for it",
            code="no-password",
            hint=f"give it with --sign-passphrase-file FILE, or in {VARIABLE}",
        )
    from getpass import getpass

    return getpass(f"Password of {key}: ").encode()


def new_passphrase(session: Session) -> bytes:
    """A password for a new key: asked for twice, or from a pipe. Raises InvalidError if they differ."""
    if VARIABLE in session.environ:
        return session.environ[VARIABLE].encode(errors="surrogateescape")
    if not session.stdin.isatty():
        return session.stdin.readline(_LONGEST).rstrip("\r\n").encode()
    from getpass import getpass

    first = getpass("Password for the new private key: ")
    if getpass("The same again: ") != first:
        raise InvalidError("the two passwords differ, so no key was made", code="passwords-differ")
    return first.encode()


def read_passphrase(file: str) -> bytes:
    """The password in a file: its first line. Raises NotFoundError for a file that cannot be read."""
    try:
        with Path(file).open("rb") as stream:
            return stream.readline(_LONGEST).rstrip(b"\r\n")
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror}", code="no-such-file") from error
