"""tiffin load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, refuse, value
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from typing import BinaryIO

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Take in images from a tar archive: from a file, or from standard input."""
    source = arguments.text("input")
    if source is not None:
        from pathlib import Path

        with Path(source).open("rb") as stream:
            return _load(session, arguments, stream)
    if session.stdin.isatty():
        raise InvalidError(
            "an archive is expected on standard input, and that is a terminal",
            code="is-terminal",
            hint="name the archive with -i, or send it in: tiffin load < FILE",
        )
    return _load(session, arguments, session.stdin.buffer)


def _load(session: Session, arguments: Arguments, stream: BinaryIO) -> int:
    from tiffin.engine.archives import load

    quiet = arguments.flag("quiet")
    with session.reporter("quiet" if quiet else "auto") as reporter, session.engine(reporter.emit) as engine:
        names = load(engine, stream)
    for name in names:
        session.print(f"Loaded image ID: {name}" if name.startswith("sha256:") else f"Loaded image: {name}")
    return 0


COMMAND = Command(
    "load [OPTIONS]",
    run,
    options=(
        value("-i, --input", "FILE", "Read this file and not standard input"),
        flag("-q, --quiet", "Do not show progress"),
        *refuse("an archive is taken in with all platforms that it has", "--platform="),
    ),
    description="Understands archives of Docker and tiffin, and OCI archives, compressed or not.",
    examples=("tiffin load -i finca-serving.tar",),
)
