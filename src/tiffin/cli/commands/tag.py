"""tiffin tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Give an image a further name."""
    from tiffin.engine.images import tag

    source, target = arguments.words
    with session.engine() as engine:
        tag(engine, source, target)
    return 0


COMMAND = Command(
    "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    run,
    words=(2, 2),
    names="images",
    examples=("tiffin tag finca-serving registry.example.org/finca/serving:1.2",),
)
