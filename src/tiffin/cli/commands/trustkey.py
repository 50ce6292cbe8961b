"""tiffin trust key generate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import usage
from tiffin.cli.passphrase import VARIABLE, new_passphrase

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Write a new key pair, and print the names of the files."""
    verb, *rest = arguments.words
    if verb != "generate":
        raise usage(f"there is no 'trust key {verb}'", session.path, "'trust key generate' makes a key pair.")
    from tiffin.trust.keyfiles import new_key_pair
    from tiffin.trust.keys import need_library

    prefix = rest[0] if rest else "cosign"
    private, public = Path(f"{prefix}.key"), Path(f"{prefix}.pub")
    for path in (private, public):
        _check_free(path)
    need_library()
    pair = new_key_pair(new_passphrase(session))
    _write(private, pair.private, 0o600)
    _write(public, pair.public, 0o644)
    session.print(f"{private}\n{public}")
    return 0


def _check_free(path: Path) -> None:
    from tiffin.errors import ConflictError

    if path.is_symlink() or path.exists():
        raise ConflictError(
            f"there is a file {path} already, which may be the only copy of a key",
            code="file-exists",
            hint="give another prefix: tiffin trust key generate PREFIX",
        )


def _write(path: Path, data: bytes, mode: int) -> None:
    from tiffin.errors import FailedError

    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(fd)
    except OSError as error:
        raise FailedError(f"{path} cannot be written: {error.strerror}", code="write-failed") from error


COMMAND = Command(
    "key generate [PREFIX]",
    run,
    words=(1, 2),
    description=(
        "Make a key pair to sign images with: PREFIX.key, sealed with a password, and PREFIX.pub, for those "
        "who verify. Without PREFIX they are cosign.key and cosign.pub.\n\n"
        f"The password is read from {VARIABLE} if that is set, else asked for, or the first line of a pipe."
    ),
    examples=("tiffin trust key generate", "tiffin trust key generate finca"),
)
