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
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.engine.containers import ContainerSummary

COMMAND_WIDTH = 20
FILTERS = (
    "ancestor",
    "before",
    "exited",
    "health",
    "id",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
)
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
    values("-f, --filter", "NAME=VALUE", f"Show only some: {', '.join(FILTERS)}"),
    format_option(),
    number("-n, --last", "COUNT", "Show the last COUNT containers, running or not", default=-1),
    flag("-l, --latest", "Show the last container, running or not"),
    NO_TRUNC,
    flag("-q, --quiet", "Show only ids"),
    flag("-s, --size", "Show how much the container has written"),
)


def run(session: Session, arguments: Arguments) -> int:
    """List containers, the newest first."""
    from tiffin.engine.containers import ps

    filters = arguments.texts("filter")
    last = 1 if arguments.flag("latest") else arguments.number("last")
    asked_state = any(item.startswith(("status=", "exited=")) for item in filters)
    everything = arguments.flag("all") or asked_state or (last is not None and last > 0)
    with session.engine() as engine:
        found = ps(engine, everything, sizes=arguments.flag("size"))
        found = sorted(found, key=lambda container: -container.created)
    found = select(found, filters)
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
        "Ports": ", ".join(container.ports),
        "Names": container.name,
        "Size": _size(container),
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": _label_of(labels),
        "Mounts": ",".join(mount if whole else shorten(mount, 15) for mount in container.mounts),
        "LocalVolumes": str(len(container.mounts)),
        "Networks": container.network,
    }


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


def select(containers: Sequence[ContainerSummary], filters: tuple[str, ...]) -> list[ContainerSummary]:
    """Those containers that all filters let through; values of one filter are alternatives."""
    if not filters:
        return list(containers)
    from tiffin.cli.units import has_labels, parse_filters

    wanted = parse_filters(filters, FILTERS)
    tests: Mapping[str, Callable[[ContainerSummary, str], bool]] = {
        "ancestor": lambda one, text: (
            text in (one.image, f"{one.image}:latest", one.image_id) or f"{text}:latest" == one.image
        ),
        "exited": lambda one, text: one.state == "exited" and str(one.exit_code) == text,
        "health": lambda one, text: (one.health or "none") == text,
        "id": lambda one, text: one.id.startswith(text),
        "name": _name_matches,
        "network": lambda one, text: one.network == text,
        "publish": _publishes,
        "status": lambda one, text: one.state == text,
        "volume": lambda one, text: text in one.mounts,
    }
    chosen = [one for one in containers if has_labels(dict(one.labels), wanted.get("label", []))]
    for name, test in tests.items():
        if name in wanted:
            chosen = [one for one in chosen if any(test(one, text) for text in wanted[name])]
    for text in wanted.get("before", []):
        limit = _moment_of(containers, text)
        chosen = [one for one in chosen if one.created < limit]
    for text in wanted.get("since", []):
        limit = _moment_of(containers, text)
        chosen = [one for one in chosen if one.created > limit]
    return chosen


def _publishes(container: ContainerSummary, text: str) -> bool:
    """Whether a port of this machine leads into it: `8000`, `53/udp` or `8000-8010`, tcp if none is said."""
    import re

    form = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp))?", text)
    if form is None:
        from tiffin.errors import InvalidError

        raise InvalidError(f"the filter publish={text} names no port", code="usage")
    first, last = int(form[1]), int(form[2] or form[1])
    found = (re.search(r":(\d+)->\d+/(\w+)$", port) for port in container.ports)
    return any(
        port is not None and first <= int(port[1]) <= last and port[2] == (form[3] or "tcp") for port in found
    )


def _name_matches(container: ContainerSummary, text: str) -> bool:
    """Docker takes the value for a regular expression, found anywhere in the name."""
    import re

    try:
        return (
            re.search(text, container.name) is not None or re.search(text, f"/{container.name}") is not None
        )
    except re.error as error:
        from tiffin.errors import InvalidError

        raise InvalidError(
            f"the filter name={text} is no regular expression: {error}", code="usage"
        ) from error


def _moment_of(containers: Sequence[ContainerSummary], name: str) -> float:
    for container in containers:
        if container.name == name or container.id.startswith(name):
            return container.created
    from tiffin.errors import NotFoundError

    raise NotFoundError(
        f"the filter names the container {name}, and there is none", hint="see 'tiffin ps -a'"
    )


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
