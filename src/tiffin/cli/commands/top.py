"""tiffin top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Show the processes of a container."""
    from tiffin.engine.processes import top
    from tiffin.ui.columns import table

    name, *options = arguments.words
    with session.engine() as engine:
        titles, rows = top(engine, name, options)
    for line in table([list(titles), *map(list, rows)]):
        session.print(line)
    return 0


COMMAND = Command(
    "top CONTAINER [PS OPTIONS]",
    run,
    words=(1, MANY),
    names="running",
    wraps=True,
    description=(
        "Users and process numbers are those of this machine. "
        "With options, this machine's ps is asked; it must show the column PID."
    ),
    examples=("tiffin top serving", "tiffin top serving -o pid,rss,args"),
)
