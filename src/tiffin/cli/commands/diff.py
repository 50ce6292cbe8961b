"""tiffin diff."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Print what a container has changed in its files."""
    from tiffin.engine.written import diff

    with session.engine() as engine:
        for change in diff(engine, arguments.words[0]):
            session.print(f"{change.kind} {change.path}")
    return 0


COMMAND = Command(
    "diff CONTAINER",
    run,
    words=(1, 1),
    names="containers",
    description="A line for each path: A is added, C changed, D deleted. Mounts do not count.",
    examples=("tiffin diff serving",),
)
