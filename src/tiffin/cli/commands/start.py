"""tiffin start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, refuse, usage, value

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Start containers and print their names; attached, the status is the container's."""
    from tiffin.cli.clientflags import client
    from tiffin.engine.running import start

    interactive = arguments.flag("interactive")
    attach = arguments.flag("attach") or interactive
    if attach and len(arguments.words) > 1:
        raise usage("only one container can be attached to", session.path)

    def act(name: str) -> str:
        start(engine, [name])
        return name

    wanted = client(session, arguments)._replace(streams=()) if attach else None
    with session.engine() as engine:
        if wanted is not None:
            session.stdout.flush()
            return start(engine, arguments.words, client=wanted, interactive=interactive) or 0
        return session.each(arguments.words, act)


COMMAND = Command(
    "start [OPTIONS] CONTAINER [CONTAINER...]",
    run,
    options=(
        flag("-a, --attach", "Show its output and pass signals on"),
        flag("-i, --interactive", "Attach, and pass on standard input too"),
        value("--detach-keys", "KEYS", "Leave a container with a terminal by these keys, like ctrl-p,ctrl-q"),
        *refuse("checkpoints are not in this release", "--checkpoint=", "--checkpoint-dir="),
    ),
    words=(1, MANY),
    names="stopped",
    examples=("tiffin start serving",),
)
