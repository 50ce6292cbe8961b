"""tiffin wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import value
from tiffin.container.conditions import CONDITIONS

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Wait for containers one after the other, and print the exit code of each."""
    from tiffin.engine.awaiting import wait

    condition = arguments.text("condition") or CONDITIONS[0]
    with session.engine() as engine:
        return session.each(
            arguments.words, lambda name: [str(code) for code in wait(engine, [name], condition)]
        )


COMMAND = Command(
    "wait [OPTIONS] CONTAINER [CONTAINER...]",
    run,
    options=(
        value(
            "--condition",
            "CONDITION",
            "Wait until it is so: not-running, next-exit, removed, running, healthy or unhealthy",
            default="not-running",
            choices=CONDITIONS,
        ),
    ),
    words=(1, MANY),
    names="containers",
    examples=("tiffin wait training", "tiffin wait --condition healthy serving"),
)
