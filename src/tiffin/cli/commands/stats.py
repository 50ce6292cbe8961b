"""tiffin stats."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag
from tiffin.cli.output import NO_TRUNC, format_option, print_rows
from tiffin.ui.columns import human_size

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.engine.usage import Usage

HEADINGS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_ANEW = "\x1b[H\x1b[2J"


def run(session: Session, arguments: Arguments) -> int:
    """Show what containers use, again and again unless it is to be once."""
    from tiffin.engine.usage import usages

    once, form = arguments.flag("no-stream"), arguments.text("format")
    with session.engine() as engine:
        while True:
            found = usages(engine, arguments.words, all_=arguments.flag("all"))
            rows = [usage_row(each, whole=arguments.flag("no-trunc")) for each in found]
            if not once:
                session.stdout.write(_ANEW)
            print_rows(session, rows, HEADINGS, COLUMNS, form)
            session.stdout.flush()
            running = any(each.sample for each in found)
            if once or (arguments.words and not running):
                return 0
            if not running:
                time.sleep(1)  # there was nothing to look at for so long


def usage_row(usage: Usage, *, whole: bool = False) -> Row:
    """The fields of a container, as text."""
    identity = usage.id if whole else usage.id[:12]
    row: Row = {"Container": identity, "ID": identity, "Name": usage.name}
    now = usage.sample
    if now is None:
        return {**row, **dict.fromkeys(COLUMNS[2:], "--"), "MemUsage": "-- / --"}
    share = now.memory / now.limit if now.limit else 0.0
    return {
        **row,
        "CPUPerc": f"{usage.cpu:.2%}",
        "MemUsage": f"{binary_size(now.memory)} / {binary_size(now.limit)}",
        "MemPerc": f"{share:.2%}",
        "NetIO": f"{human_size(now.received)} / {human_size(now.sent)}",
        "BlockIO": f"{human_size(now.read)} / {human_size(now.written)}",
        "PIDs": str(now.processes),
    }


def binary_size(size: float) -> str:
    """Bytes in powers of 1024 with four digits, as Docker shows memory: `1.5MiB`."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    at = 0
    while size >= 1024 and at < len(units) - 1:
        size, at = size / 1024, at + 1
    return f"{size:.4g}{units[at]}"


COMMAND = Command(
    "stats [OPTIONS] [CONTAINER...]",
    run,
    options=(
        flag("-a, --all", "Show also containers that do not run"),
        format_option(),
        flag("--no-stream", "Show it once, and end"),
        NO_TRUNC,
    ),
    words=(0, MANY),
    names="running",
    description=(
        "Memory is that of the container's cgroup if it has limits, else the sum of what its processes "
        "hold, in which shared pages count for each."
    ),
    examples=("tiffin stats --no-stream", "tiffin stats --format json serving"),
)
