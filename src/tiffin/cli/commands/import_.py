"""tiffin import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tiffin.cli.command import Command
from tiffin.cli.options import value, values
from tiffin.cli.platformflag import PLATFORM, platform_of
from tiffin.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Make an image of the files in a tar, and print its id."""
    from tiffin.engine.committing import Committed, import_

    source, *image = arguments.words
    message = arguments.text("message") or f"Imported from {source}"
    wanted = Committed(image[0] if image else None, arguments.texts("change"), message)
    with session.engine() as engine, _open(session, source) as stream:
        session.print(str(import_(engine, stream, wanted, platform_of(arguments) or engine.platform)))
    return 0


def _open(session: Session, source: str) -> BinaryIO:
    if source == "-":
        return session.stdin.buffer
    if "://" in source:
        raise InvalidError(
            "an archive from the network is not imported by its address",
            code="is-url",
            hint=f"fetch it first: curl -L {source} | tiffin import -",
        )
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise NotFoundError(f"{source}: {error.strerror}", code="no-such-file") from error


COMMAND = Command(
    "import [OPTIONS] FILE|- [IMAGE[:TAG]]",
    run,
    options=(
        values(
            "-c, --change", "INSTRUCTION", "Change the config by a line of a Dockerfile, like 'CMD serve'"
        ),
        value("-m, --message", "TEXT", "What to write into the history"),
        PLATFORM,
    ),
    words=(1, 2),
    description="The tar may be compressed. For archives of images, use 'tiffin load'.",
    examples=("tiffin import -c 'CMD [\"sh\"]' rootfs.tar.gz base:mine",),
)
