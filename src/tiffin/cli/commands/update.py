"""tiffin update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli import containerflags
from tiffin.cli.command import MANY, Command
from tiffin.cli.options import usage

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

LIMITS = tuple(name for name in containerflags.LIMITS if name != "oom-score-adj")
_REFUSED = ("cpu-rt-period", "cpu-rt-runtime", "kernel-memory")


def run(session: Session, arguments: Arguments) -> int:
    """Change containers and print their names."""
    from tiffin.engine.updating import update

    limits = {name: text for name in LIMITS if (text := arguments.text(name)) is not None}
    restart = arguments.text("restart") if "restart" in arguments.given else None
    if not limits and restart is None:
        raise usage("give one or more options: what is to be changed", session.path)

    def act(name: str) -> str:
        update(engine, name, limits, restart)
        return name

    with session.engine() as engine:
        return session.each(arguments.words, act)


COMMAND = Command(
    "update [OPTIONS] CONTAINER [CONTAINER...]",
    run,
    options=tuple(
        option for option in containerflags.OPTIONS if option.long in (*LIMITS, "restart", *_REFUSED)
    ),
    words=(1, MANY),
    names="containers",
    description=(
        "What is changed counts at once, and whenever the container is started again. While it runs, only "
        "those limits can be changed whose controllers its cgroup has: it was started with such limits."
    ),
    examples=("tiffin update --memory 4g --memory-swap 4g serving", "tiffin update --restart always serving"),
)
