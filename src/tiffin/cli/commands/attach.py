"""tiffin attach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.clientflags import client, left
from tiffin.cli.command import Command
from tiffin.cli.options import flag, value

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

OPTIONS = (
    value("--detach-keys", "KEYS", "Leave the container by these keys, like ctrl-p,ctrl-q"),
    flag("--no-stdin", "Do not pass standard input on"),
    flag("--sig-proxy", "Pass signals on, where the container has no terminal", default=True),
)


def run(session: Session, arguments: Arguments) -> int:
    """Attach to a container that runs; the status is the container's."""
    from tiffin.engine.attached import attach

    wanted = client(session, arguments)
    if arguments.flag("no-stdin"):
        wanted = wanted.without_input()
    with session.engine() as engine:
        code = attach(engine, arguments.words[0], wanted)
    return left(session) if code is None else code


COMMAND = Command(
    "attach [OPTIONS] CONTAINER",
    run,
    options=OPTIONS,
    words=(1, 1),
    names="running",
    description=(
        "Standard streams become those of the container, beside those who are attached already; "
        "what it wrote before, 'tiffin logs' shows. "
        "The status is the container's. Ctrl-P Ctrl-Q leaves one that has a terminal and reads from it: "
        "it goes on, and the status is 1."
    ),
    examples=("tiffin attach work", "tiffin attach --no-stdin --sig-proxy=false serving"),
)
