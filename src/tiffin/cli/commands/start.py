"""tiffin start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, refuse, usage

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Start containers and print their names; attached, the status is the container's."""
    from tiffin.engine.running import start

    interactive = arguments.flag("interactive")
    attach = arguments.flag("attach") or interactive
    if attach and len(arguments.words) > 1:
        raise usage("only one container can be attached to", session.path)

    def act(name: str) -> str:
        start(engine, [name], attach=False, interactive=False)
        return name

    with session.engine() as engine:
        if attach:
            session.stdout.flush()
            return start(engine, list(arguments.words), attach=True, interactive=interactive)
        return session.each(arguments.words, act)


COMMAND = Command(
    "start [OPTIONS] CONTAINER [CONTAINER...]",
    run,
    options=(
        flag("-a, --attach", "Show its output and pass signals on"),
        flag("-i, --interactive", "Attach, and pass on standard input too"),
        *refuse("there is no key sequence to detach", "--detach-keys="),
        *refuse("checkpoints are not in this release", "--checkpoint=", "--checkpoint-dir="),
    ),
    words=(1, MANY),
    names="stopped",
    examples=("tiffin start serving",),
)
