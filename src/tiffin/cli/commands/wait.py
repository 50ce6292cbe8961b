"""tiffin wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Wait for containers one after the other, and print the exit code of each."""
    from tiffin.engine.containers import wait

    with session.engine() as engine:
        return session.each(arguments.words, lambda name: [str(code) for code in wait(engine, [name])])


COMMAND = Command(
    "wait CONTAINER [CONTAINER...]",
    run,
    words=(1, MANY),
    names="containers",
    examples=("tiffin wait training",),
)
