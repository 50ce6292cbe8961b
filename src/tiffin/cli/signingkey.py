"""The key to sign with, as the command line names it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.cli.passphrase import passphrase
from tiffin.errors import NotFoundError

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.engine.signing import Signing


def signing_of(session: Session, key: str, passphrase_file: str | None, identity: str = "") -> Signing:
    """How to sign with the key in a file: its password is in another, the environment or a person's head."""
    from tiffin.engine.signing import Signing
    from tiffin.trust.keyfiles import load_private_key

    found = load_private_key(read_file(key), lambda: passphrase(session, passphrase_file, key), key)
    return Signing(found, identity)


def read_file(name: str, most: int = 4 << 20) -> bytes:
    """The beginning of a file, one byte more than `most` if it is longer. Raises NotFoundError."""
    try:
        with Path(name).open("rb") as stream:
            return stream.read(most + 1)
    except OSError as error:
        raise NotFoundError(f"{name} cannot be read: {error.strerror}", code="no-such-file") from error
