"""An archive as the result of a command: into the file of `--output`, or to standard output."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from tiffin.cli.options import value
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

OUTPUT = value("-o, --output", "FILE", "Write into this file and not to standard output")


@contextmanager
def written(session: Session, arguments: Arguments, example: str) -> Iterator[BinaryIO]:
    """Give what the archive is written to; a file takes its place when all went well.

    Raises InvalidError for a terminal, with the `example` of a command whose output goes elsewhere.
    """
    output = arguments.text("output") or "-"
    if output != "-":
        from tiffin.engine.replacedfile import replaced_file

        with replaced_file(output) as out:
            yield out
        return
    if session.stdout.isatty():
        raise InvalidError(
            "an archive is not for a terminal",
            code="is-terminal",
            hint=f"name a file with -o, or send the output elsewhere: {example} > FILE",
        )
    session.stdout.flush()
    yield session.stdout.buffer
    session.stdout.buffer.flush()
