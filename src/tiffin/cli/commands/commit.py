"""tiffin commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, value, values

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Make an image of a container and print its id."""
    from tiffin.engine.committing import Committed, commit

    name, *image = arguments.words
    wanted = Committed(
        image[0] if image else None,
        arguments.texts("change"),
        arguments.text("message") or "",
        arguments.text("author") or "",
        pause=arguments.flag("pause"),
    )
    with session.engine() as engine:
        session.print(str(commit(engine, name, wanted)))
    return 0


COMMAND = Command(
    "commit [OPTIONS] CONTAINER [IMAGE[:TAG]]",
    run,
    options=(
        value("-a, --author", "AUTHOR", "Who made it"),
        values(
            "-c, --change", "INSTRUCTION", "Change the config by a line of a Dockerfile, like 'CMD serve'"
        ),
        value("-m, --message", "TEXT", "What to write into the history"),
        flag("-p, --pause", "Hold the container still while its files are read", default=True),
    ),
    words=(1, 2),
    names="containers",
    description="What was mounted is not in the image. To be able to make it again, write a Dockerfile.",
    examples=("tiffin commit -m 'try it' -c 'CMD [\"serve\"]' serving serving:tried",),
)
