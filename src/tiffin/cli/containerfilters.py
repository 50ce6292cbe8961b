"""`ps --filter`: which containers are shown (pure)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.cli.portcolumn import offered
from tiffin.cli.units import has_labels, nobody, parse_filters, parse_truth
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.engine.ancestry import Ancestor
    from tiffin.engine.containers import ContainerSummary

    Test = Callable[[ContainerSummary, str], bool]

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTH = ("none", "starting", "healthy", "unhealthy")
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")


class Filters:
    """What `--filter` asked for, by filters of these `names`, looked through before anything is looked up."""

    def __init__(self, items: Sequence[str], names: Sequence[str]) -> None:
        self._wanted = parse_filters(tuple(items), tuple(names))
        for name, allowed in (("status", STATES), ("health", HEALTH)):
            for text in self._wanted.get(name, ()):
                if text not in allowed:
                    raise _wrong(name, text, f"must be one of {', '.join(allowed)}", allowed)
        for text in self._wanted.get("exited", ()):
            if not re.fullmatch(r"-?\d+", text):
                raise _wrong("exited", text, "an exit code is a number")
        for name in ("publish", "expose"):
            for text in self._wanted.get(name, ()):
                _ports(name, text)
        for text in self._wanted.get("is-task", ()):
            parse_truth("is-task", text)
        for text in self._wanted.get("name", ()):
            _pattern(text)

    @property
    def ancestors(self) -> tuple[str, ...]:
        """The images that the containers have to stem from, in the user's words."""
        return tuple(self._wanted.get("ancestor", ()))

    @property
    def of_stopped(self) -> bool:
        """Whether they ask for containers that do not run, and so are shown without `--all`."""
        return "status" in self._wanted or "exited" in self._wanted

    def select(
        self, containers: Sequence[ContainerSummary], ancestors: Mapping[str, Ancestor]
    ) -> list[ContainerSummary]:
        """Those that all filters let through; values of one filter are alternatives, but for labels."""
        wanted = self._wanted
        tests: Mapping[str, Test] = {
            **_TESTS,
            "ancestor": lambda one, text: _stems(one, text, ancestors.get(text)),
        }
        chosen = [one for one in containers if has_labels(dict(one.labels), wanted.get("label", []))]
        for name, test in tests.items():
            if name in wanted:
                chosen = [one for one in chosen if any(test(one, text) for text in wanted[name])]
        for text in wanted.get("before", ()):
            limit = _moment_of(containers, "before", text)
            chosen = [one for one in chosen if one.created < limit]
        for text in wanted.get("since", ()):
            limit = _moment_of(containers, "since", text)
            chosen = [one for one in chosen if one.created > limit]
        return chosen


def _ports(name: str, text: str) -> tuple[range, str]:
    """Ports and protocol: `8000`, `53/udp` or `8000-8010`; tcp if none is said."""
    form = _PORTS.fullmatch(text)
    if form is None:
        raise _wrong(name, text, "a port is needed, like 8000, 53/udp or 8000-8010")
    return range(int(form[1]), int(form[2] or form[1]) + 1), form[3] or "tcp"


def _publishes(container: ContainerSummary, text: str) -> bool:
    ports, protocol = _ports("publish", text)
    return any(one.host in ports and one.protocol == protocol for one in offered(container.ports))


def _exposes(container: ContainerSummary, text: str) -> bool:
    ports, protocol = _ports("expose", text)
    own = [one.rpartition("/") for one in container.exposed]
    own += [(str(one.container), "/", one.protocol) for one in offered(container.ports)]
    return any(int(port) in ports and kind == protocol for port, _, kind in own)


def _pattern(text: str) -> re.Pattern[str]:
    """Docker takes the value for a regular expression, found anywhere in the name."""
    try:
        return re.compile(text)
    except re.error as error:
        raise _wrong("name", text, f"it is no regular expression: {error}") from error


def _named(container: ContainerSummary, text: str) -> bool:
    pattern = _pattern(text)
    return any(pattern.search(name) for name in (container.name, f"/{container.name}"))


def _stems(container: ContainerSummary, text: str, ancestor: Ancestor | None) -> bool:
    """Whether its image is that one, or has all layers of that one below its own."""
    if ancestor is None:
        return container.image in (
            text,
            f"{text}:latest",
        )  # the name has gone, and the container is still here
    own = container.layers[: len(ancestor.layers)]
    return container.image_id == ancestor.image_id or (bool(own) and own == ancestor.layers)


_TESTS: Mapping[str, Test] = {
    "exited": lambda one, text: one.state == "exited" and one.exit_code == int(text),
    "expose": _exposes,
    "health": lambda one, text: (one.health or "none") == text,
    "id": lambda one, text: one.id.startswith(text),
    "is-task": lambda _one, text: not parse_truth("is-task", text),  # tasks are Swarm's
    "name": _named,
    "network": lambda one, text: text in one.network.split(","),
    "publish": _publishes,
    "status": lambda one, text: one.state == text,
    "volume": lambda one, text: text in (*one.mounts, *one.targets),
}


def _moment_of(containers: Sequence[ContainerSummary], filter_: str, name: str) -> float:
    for container in containers:
        if container.name == name or container.id.startswith(name):
            return container.created
    raise nobody(filter_, "container", name, (container.name for container in containers), "tiffin ps -a")


def _wrong(name: str, text: str, why: str, allowed: Sequence[str] = ()) -> InvalidError:
    from difflib import get_close_matches

    near = get_close_matches(text, allowed, 1)
    return InvalidError(
        f"invalid filter '{name}={text}': {why}",
        code="usage",
        hint=f"did you mean {near[0]}?" if near else "",
    )
