"""tiffin ps."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, number, values
from tiffin.cli.output import NO_TRUNC, format_option, print_rows
from tiffin.ui.columns import ago, human_duration, human_size, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.cli.command import Session
    from tiffin.cli.containerfilters import Filters
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.engine.ancestry import Ancestor
    from tiffin.engine.containers import ContainerSummary
    from tiffin.engine.engine import Engine

COMMAND_WIDTH = 20
FILTERS = "ancestor before exited expose health id is-task label name network publish since status volume"
_HEALTH = {"starting": "health: starting"}
HEADINGS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "State": "STATE",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
}

OPTIONS = (
    flag("-a, --all", "Show also containers that do not run"),
    values("-f, --filter", "NAME=VALUE", f"Show only some: {FILTERS.replace(' ', ', ')}"),
    format_option(),
    number("-n, --last", "COUNT", "Show the last COUNT containers, running or not", default=-1),
    flag("-l, --latest", "Show the last container, running or not"),
    NO_TRUNC,
    flag("-q, --quiet", "Show only ids"),
    flag("-s, --size", "Show how much the container has written"),
)


def run(session: Session, arguments: Arguments) -> int:
    """List containers, the newest first."""
    from tiffin.container.state import RUNNING
    from tiffin.engine.containers import ps

    filters = _filters(arguments)
    last = 1 if arguments.flag("latest") else arguments.number("last")
    everything = arguments.flag("all") or (last is not None and last > 0)
    with session.engine() as engine:
        found = ps(engine, everything or filters is not None, sizes=arguments.flag("size"))
        found = sorted(found, key=lambda container: -container.created)
        if filters is not None:
            found = filters.select(found, _ancestors(engine, filters))
            if not (everything or filters.of_stopped):
                found = [container for container in found if container.state in RUNNING]
    if last is not None and last > 0:
        found = found[:last]
    whole, form = arguments.flag("no-trunc"), arguments.text("format")
    rows = [container_row(container, time.time(), whole=whole) for container in found]
    if arguments.flag("quiet") and form in (None, "table"):
        for row in rows:
            session.print(str(row["ID"]))
        return 0
    columns = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"]
    print_rows(session, rows, HEADINGS, [*columns, "Size"] if arguments.flag("size") else columns, form)
    return 0


def _filters(arguments: Arguments) -> Filters | None:
    if not arguments.texts("filter"):
        return None
    from tiffin.cli.containerfilters import Filters

    return Filters(arguments.texts("filter"), FILTERS.split())


def _ancestors(engine: Engine, filters: Filters) -> Mapping[str, Ancestor]:
    if not filters.ancestors:
        return {}
    from tiffin.engine.ancestry import ancestors

    return ancestors(engine, filters.ancestors)


def container_row(container: ContainerSummary, now: float, *, whole: bool = False) -> Row:
    """The fields of a container, as text."""
    command = json.dumps(shorten_command(container.command, whole=whole), ensure_ascii=False)
    labels = dict(container.labels)
    return {
        "ID": container.id if whole else container.id[:12],
        "Image": container.image,
        "Command": command,
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(container.created)),
        "RunningFor": ago(container.created, now),
        "State": container.state,
        "Status": status(container, now),
        "Ports": _ports(container),
        "Names": container.name,
        "Size": _size(container),
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": _label_of(labels),
        "Mounts": ",".join(mount if whole else shorten(mount, 15) for mount in container.mounts),
        "LocalVolumes": str(len(container.mounts)),
        "Networks": container.network,
    }


def _ports(container: ContainerSummary) -> str:
    if not container.ports:
        return ""
    from tiffin.cli.portcolumn import column

    return column(container.ports)


def shorten_command(command: Sequence[str], *, whole: bool) -> str:
    """The command line, cut as Docker cuts it."""
    text = " ".join(command)
    return text if whole else shorten(text, COMMAND_WIDTH)


def status(container: ContainerSummary, now: float) -> str:
    """How it is with the container, in words: `Up 2 minutes`, `Exited (0) 3 hours ago`."""
    match container.state:
        case "running":
            health = f" ({_HEALTH.get(container.health, container.health)})" if container.health else ""
            return f"Up {human_duration(now - (container.started or now))}{health}"
        case "restarting":
            return f"Restarting ({container.exit_code}) {ago(container.finished or now, now)}"
        case "paused":
            return f"Up {human_duration(now - (container.started or now))} (Paused)"
        case "exited" if container.finished is not None:
            return f"Exited ({container.exit_code}) {ago(container.finished, now)}"
        case "exited":
            return f"Exited ({container.exit_code})"
        case "dead":
            return "Dead"
        case _:
            return container.state.capitalize()


def _size(container: ContainerSummary) -> str:
    written = human_size(container.size)
    return f"{written} (virtual {human_size(container.image_size)})" if container.image_size else written


def _label_of(labels: Mapping[str, str]) -> Callable[[str], str]:
    return lambda key: labels.get(key, "")


COMMAND = Command(
    "ps [OPTIONS]",
    run,
    options=OPTIONS,
    examples=(
        "tiffin ps -a",
        "tiffin ps -q --filter status=exited",
        "tiffin ps --format 'table {{.Names}}\\t{{.Status}}\\t{{.Ports}}'",
    ),
)
