"""tiffin stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import number, value

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


OPTIONS = (
    number(
        "-t, --timeout",
        "SECONDS",
        "Wait so long before killing it (10 seconds, unless the container says else)",
    ),
    number("--time", "SECONDS", ""),
    value("-s, --signal", "SIGNAL", "Ask with this signal, and not with the container's own"),
)


def run(session: Session, arguments: Arguments) -> int:
    """Ask containers to stop, kill those that do not in time, and print their names."""
    from tiffin.engine.containers import stop

    def act(name: str) -> str:
        stop(engine, [name], seconds(arguments), arguments.text("signal"))
        return name

    with session.engine() as engine:
        return session.each(arguments.words, act)


def seconds(arguments: Arguments) -> int | None:
    """How long to wait before the container is killed, if that was said."""
    return arguments.number("time") if "time" in arguments.given else arguments.number("timeout")


COMMAND = Command(
    "stop [OPTIONS] CONTAINER [CONTAINER...]",
    run,
    options=OPTIONS,
    words=(1, MANY),
    names="running",
    examples=("tiffin stop serving", "tiffin stop -t 30 $(tiffin ps -q)"),
)
