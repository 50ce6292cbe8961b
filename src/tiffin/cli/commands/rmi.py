"""tiffin rmi."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, refuse

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Remove names, and images that lose their last one; print a line for each."""
    from tiffin.engine.images import remove

    with session.engine() as engine:
        return session.each(
            arguments.words, lambda name: remove(engine, [name], force=arguments.flag("force"))
        )


COMMAND = Command(
    "rmi [OPTIONS] IMAGE [IMAGE...]",
    run,
    options=(
        flag("-f, --force", "Remove an image with several names, or one that a stopped container uses"),
        *refuse("what an image was built on stays as long as the build cache needs it", "--no-prune"),
        *refuse("an image of several platforms is removed as a whole", "--platform="),
    ),
    words=(1, MANY),
    names="images",
    examples=("tiffin rmi finca-serving:1.2",),
)
