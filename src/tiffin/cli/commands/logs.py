"""tiffin logs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, refuse, usage, value

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Write a container's output: its standard output to ours, its standard error to ours."""
    from tiffin.engine.logs import logs

    streams = {1: session.stdout.buffer, 2: session.stderr.buffer}
    with session.engine() as engine:
        chunks = logs(
            engine,
            arguments.words[0],
            follow=arguments.flag("follow"),
            tail=_tail(arguments, session.path),
            timestamps=arguments.flag("timestamps"),
            since=moment(arguments, "since"),
            until=moment(arguments, "until"),
        )
        for stream, data in chunks:
            streams[stream].write(data)
            streams[stream].flush()
    return 0


def _tail(arguments: Arguments, path: str) -> int | None:
    text = arguments.text("tail") or "all"
    if text == "all":
        return None
    try:
        count = int(text)
    except ValueError:
        raise usage(
            f'invalid argument "{text}" for "-n, --tail" flag: a number or all is needed', path
        ) from None
    return None if count < 0 else count


def moment(arguments: Arguments, name: str) -> int | None:
    """Nanoseconds since 1970 for an option like --since, None if it was not given."""
    text = arguments.text(name)
    if not text:
        return None
    from tiffin.cli.units import parse_nanoseconds

    return parse_nanoseconds(text, int(time.time() * 1e9), f"--{name}")


COMMAND = Command(
    "logs [OPTIONS] CONTAINER",
    run,
    options=(
        flag("-f, --follow", "Go on as the container writes, until it ends"),
        value("--since", "TIME", "Begin at this time, like 2026-01-31T12:00:00Z, or so long ago, like 42m"),
        value("-n, --tail", "LINES", "Begin so many lines before the end", default="all"),
        flag("-t, --timestamps", "Put the time before each line"),
        value("--until", "TIME", "End at this time, or so long ago"),
        *refuse("no log driver here keeps details", "--details"),
    ),
    words=(1, 1),
    names="containers",
    examples=("tiffin logs -f --tail 20 serving",),
)
