"""tiffin port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Print where the ports of a container are offered, or where one of them is."""
    from tiffin.engine.attributes import ports

    name, *wanted = arguments.words
    with session.engine() as engine:
        for binding in ports(engine, name, *wanted):
            session.print(binding.host if wanted else f"{binding.container} -> {binding.host}")
    return 0


COMMAND = Command(
    "port CONTAINER [PORT[/PROTO]]",
    run,
    words=(1, 2),
    names="running",
    examples=("tiffin port serving", "tiffin port serving 8000"),
)
