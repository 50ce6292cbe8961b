"""tiffin rm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, refuse

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Remove containers and print their names."""
    from tiffin.engine.containers import rm
    from tiffin.errors import NotFoundError

    def act(name: str) -> str | None:
        try:
            rm(engine, [name], force=arguments.flag("force"), volumes=arguments.flag("volumes"))
        except NotFoundError:
            if arguments.flag("force"):  # what is to be gone is gone, as in Docker
                return None
            raise
        return name

    with session.engine() as engine:
        return session.each(arguments.words, act)


COMMAND = Command(
    "rm [OPTIONS] CONTAINER [CONTAINER...]",
    run,
    options=(
        flag("-f, --force", "Kill it first if it runs; no error if there is none"),
        flag("-v, --volumes", "Remove its anonymous volumes too"),
        *refuse("there are no links between containers", "-l, --link"),
    ),
    words=(1, MANY),
    names="containers",
    examples=("tiffin rm -f serving", "tiffin rm $(tiffin ps -aq --filter status=exited)"),
)
