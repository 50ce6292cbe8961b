"""tiffin create."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.clientflags import client
from tiffin.cli.command import MANY, Command
from tiffin.cli.commands import run as running
from tiffin.cli.containerflags import OPTIONS

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.ui.progress import Mode

_OF_RUN = ("detach", "detach-keys", "sig-proxy", "wait", "wait-healthy", "wait-timeout")


def run(session: Session, arguments: Arguments) -> int:
    """Make a container without starting it, and print its id."""
    from tiffin.engine.creation import create

    asked = client(session, arguments) if "attach" in arguments.given else None
    wanted = running.request(arguments, detach=False, client=asked)
    mode: Mode = "quiet" if arguments.flag("quiet") else "auto"
    with session.later_reporter(mode) as reporter, session.engine(reporter.emit) as engine:
        record = create(engine, wanted)
    running.write_cidfile(arguments, record.id)
    session.print(record.id)
    return 0


COMMAND = Command(
    "create [OPTIONS] IMAGE [COMMAND] [ARG...]",
    run,
    options=tuple(option for option in OPTIONS if option.long not in _OF_RUN),
    words=(1, MANY),
    names="images",
    wraps=True,
    description=(
        "The options are those of 'tiffin run'. 'tiffin start' starts the container, "
        "and before that 'tiffin cp' can put files into it."
    ),
    examples=("tiffin create --name serving -p 8000:8000 finca-serving", "tiffin start -a serving"),
)
