"""tiffin system export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import value
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Write all images, and what bases were made from, into one archive."""
    from tiffin.engine.airgap import export_all
    from tiffin.engine.replacedfile import replaced_file

    output = arguments.text("output") or "-"
    if output == "-" and session.stdout.isatty():
        raise InvalidError(
            "an archive is not for a terminal",
            code="is-terminal",
            hint="name a file: tiffin system export -o FILE",
        )
    with session.engine() as engine, replaced_file(output) as out:
        count = export_all(engine, arguments.words, out)
    if output != "-":
        session.print(f"Wrote {count} images to {output}")
    return 0


COMMAND = Command(
    "export [OPTIONS] [IMAGE...]",
    run,
    options=(value("-o, --output", "FILE", "Write into this file and not to standard output"),),
    words=(0, MANY),
    names="images",
    description=(
        "Write images, all if none is named, into one archive, with the locks and packages that bases were "
        "made from: on a machine without a network 'tiffin system import' takes all of it in."
    ),
    examples=(
        "tiffin system export -o store.tar",
        "tiffin system export app | ssh host tiffin system import",
    ),
)
