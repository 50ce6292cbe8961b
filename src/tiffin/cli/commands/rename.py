"""tiffin rename."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Give a container another name."""
    from tiffin.engine.attributes import rename

    with session.engine() as engine:
        rename(engine, *arguments.words)
    return 0


COMMAND = Command(
    "rename CONTAINER NEW_NAME",
    run,
    words=(2, 2),
    names="containers",
    examples=("tiffin rename serving serving-old",),
)
