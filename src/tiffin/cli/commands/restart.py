"""tiffin restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.commands.stop import OPTIONS, seconds

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Stop containers, start them, and print their names."""
    from tiffin.engine.containers import restart

    def act(name: str) -> str:
        restart(engine, [name], seconds(arguments), arguments.text("signal"))
        return name

    with session.engine() as engine:
        return session.each(arguments.words, act)


COMMAND = Command(
    "restart [OPTIONS] CONTAINER [CONTAINER...]",
    run,
    options=OPTIONS,
    words=(1, MANY),
    names="containers",
    examples=("tiffin restart serving",),
)
