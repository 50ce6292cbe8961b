"""tiffin system export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.archive import OUTPUT, written
from tiffin.cli.command import MANY, Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Write all images, and what bases were made from, into one archive."""
    from tiffin.engine.airgap import export_all
    from tiffin.engine.counted import counted

    with written(session, arguments, "tiffin system export") as out, session.engine() as engine:
        count = export_all(engine, arguments.words, out)
    if (output := arguments.text("output") or "-") != "-":
        session.print(f"Wrote {counted(count, 'image')} to {output}")
    return 0


COMMAND = Command(
    "export [OPTIONS] [IMAGE...]",
    run,
    options=(OUTPUT,),
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
