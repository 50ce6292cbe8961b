"""tiffin kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import value

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Send a signal to containers and print their names."""
    from tiffin.engine.containers import kill

    def act(name: str) -> str:
        kill(engine, [name], arguments.text("signal") or "KILL")
        return name

    with session.engine() as engine:
        return session.each(arguments.words, act)


COMMAND = Command(
    "kill [OPTIONS] CONTAINER [CONTAINER...]",
    run,
    options=(value("-s, --signal", "SIGNAL", "The signal, by name or number", default="KILL"),),
    words=(1, MANY),
    names="running",
    examples=("tiffin kill -s HUP serving",),
)
