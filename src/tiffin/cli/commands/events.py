"""tiffin events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.commands.logs import moment
from tiffin.cli.options import value, values

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.events import Event


def run(session: Session, arguments: Arguments) -> int:
    """Show what happens, as it happens, or what has happened."""
    from tiffin.cli.units import parse_filters
    from tiffin.engine.events import FILTERS, events

    filters = parse_filters(arguments.texts("filter"), FILTERS)
    show = form_of(arguments.text("format"))
    with session.engine() as engine:
        for event in events(engine, filters, *(_seconds(arguments, name) for name in ("since", "until"))):
            session.print(show(event))
            session.stdout.flush()
    return 0


def form_of(form: str | None) -> Callable[[Event], str]:
    """How an event is printed: as Docker's line, as JSON, or by a template."""
    if not form:
        return line
    from tiffin.ui.evaluate import FUNCTIONS, render, to_json
    from tiffin.ui.template import parse

    if form == "json":
        return lambda event: to_json(document(event))
    nodes = parse(form)

    def by_template(event: Event) -> str:
        whole = document(event)
        named = fields(whole)
        functions = {**FUNCTIONS, "json": lambda found: to_json(whole if found is named else found)}
        return render(nodes, named, functions)

    return by_template


def line(event: Event) -> str:
    """`2026-01-31T12:00:00.123456789+01:00 container start ID (image=a, name=b)`."""
    about = ", ".join(f"{name}={event.about[name]}" for name in sorted(event.about))
    text = f"{_stamp(event.time)} {event.type} {event.action} {event.id}{f' ({about})' if about else ''}"
    # A label, or the words of a command, must not reach the terminal as orders to it.
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def document(event: Event) -> dict[str, object]:
    """The event as Docker's API has it; the first three fields are those of its first version."""
    old: dict[str, object] = {}
    if event.type in ("container", "image"):
        old = {"status": event.action, "id": event.id}
    if event.type == "container":
        old["from"] = event.about.get("image", "")
    return {
        **old,
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": dict(event.about)},
        "scope": "local",
        "time": event.time // 1_000_000_000,
        "timeNano": event.time,
    }


def fields(whole: dict[str, object]) -> dict[str, object]:
    """The same document by the names that templates use."""
    old = {"Status": whole.get("status", ""), "ID": whole.get("id", ""), "From": whole.get("from", "")}
    kept = {name: whole[name] for name in ("Type", "Action", "Actor")}
    return {**old, **kept, "Scope": whole["scope"], "Time": whole["time"], "TimeNano": whole["timeNano"]}


def _stamp(nanoseconds: int) -> str:
    local = time.localtime(nanoseconds // 1_000_000_000)
    zone = time.strftime("%z", local)
    offset = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{nanoseconds % 1_000_000_000:09}{offset}"


def _seconds(arguments: Arguments, name: str) -> float | None:
    found = moment(arguments, name)
    return None if found is None else found / 1e9


COMMAND = Command(
    "events [OPTIONS]",
    run,
    options=(
        values(
            "-f, --filter",
            "NAME=VALUE",
            "Show only some: by container, event, image, label, network, type or volume",
        ),
        value("--format", "FORMAT", "Print as 'json', or by a template with fields like {{.Action}}"),
        value("--since", "TIME", "Begin with those since a time stamp, or so long ago, like 10m"),
        value("--until", "TIME", "End at a time stamp, or show only what was before so long ago"),
    ),
    description=(
        "There is no daemon that would remember: whatever changes something writes it into a journal of the "
        "store, which keeps the last 4 to 8 MB."
    ),
    examples=(
        "tiffin events --since 1h --until 0s",
        "tiffin events --filter container=serving --filter event=die --format '{{json .}}'",
    ),
)
