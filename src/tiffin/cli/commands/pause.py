"""tiffin pause, tiffin unpause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Pause containers and print their names."""
    from tiffin.engine.pausing import pause

    def act(name: str) -> str:
        pause(engine, name)
        return name

    with session.engine() as engine:
        return session.each(arguments.words, act)


def run_unpause(session: Session, arguments: Arguments) -> int:
    """Let containers go on and print their names."""
    from tiffin.engine.pausing import unpause

    def act(name: str) -> str:
        unpause(engine, name)
        return name

    with session.engine() as engine:
        return session.each(arguments.words, act)


COMMAND = Command(
    "pause CONTAINER [CONTAINER...]",
    run,
    words=(1, MANY),
    names="running",
    description=(
        "By a cgroup where one can be made, and no process notices. Elsewhere each process gets SIGSTOP, "
        "which its parent in the container can see. 'stop', 'kill' and 'rm -f' let it go on by themselves."
    ),
    examples=("tiffin pause serving",),
)
UNPAUSE = Command(
    "unpause CONTAINER [CONTAINER...]",
    run_unpause,
    words=(1, MANY),
    names="paused",
    examples=("tiffin unpause serving",),
)
