"""tiffin export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.archive import OUTPUT, written
from tiffin.cli.command import Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Write the files of a container as a tar: into a file, or to standard output."""
    from tiffin.engine.written import export

    with written(session, arguments, "tiffin export CONTAINER") as out, session.engine() as engine:
        export(engine, arguments.words[0], out)
    return 0


COMMAND = Command(
    "export [OPTIONS] CONTAINER",
    run,
    options=(OUTPUT,),
    words=(1, 1),
    names="containers",
    description="Volumes and other mounts are not in it.",
    examples=("tiffin export -o serving.tar serving", "tiffin export serving | tiffin import - copy"),
)
