"""tiffin export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import value
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Write the files of a container as a tar: into a file, or to standard output."""
    from tiffin.engine.replacedfile import replaced_file
    from tiffin.engine.written import export

    output = arguments.text("output") or "-"
    if output == "-" and session.stdout.isatty():
        raise InvalidError(
            "an archive is not for a terminal",
            code="is-terminal",
            hint="name a file with -o, or send the output elsewhere: tiffin export CONTAINER > FILE",
        )
    session.stdout.flush()
    with session.engine() as engine, replaced_file(output) as out:
        export(engine, arguments.words[0], out)
    return 0


COMMAND = Command(
    "export [OPTIONS] CONTAINER",
    run,
    options=(value("-o, --output", "FILE", "Write into this file and not to standard output"),),
    words=(1, 1),
    names="containers",
    description="Volumes and other mounts are not in it.",
    examples=("tiffin export -o serving.tar serving", "tiffin export serving | tiffin import - copy"),
)
