"""The ports of a container in one cell: neighbours as one range, as Docker prints them (pure)."""

from __future__ import annotations

import re

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_OFFERED = re.compile(r"(?:(?P<address>.*):(?P<host>\d+)->)?(?P<port>\d+)/(?P<protocol>\w+)")


class Port(NamedTuple):
    """A port of a container; without an `address` it is exposed and not offered."""

    container: int
    address: str
    host: int
    protocol: str


def read(texts: Iterable[str]) -> list[Port]:
    """The ports of `0.0.0.0:8000->80/tcp` and `80/tcp`, in Docker's order."""
    found = (_OFFERED.fullmatch(text) for text in texts)
    return sorted(
        Port(int(form["port"]), form["address"] or "", int(form["host"] or 0), form["protocol"])
        for form in found
        if form is not None
    )


def offered(texts: Iterable[str]) -> list[Port]:
    """Those of them that a port of this machine leads into."""
    return [port for port in read(texts) if port.address]


def column(texts: Iterable[str]) -> str:
    """The cell.

    >>> column(["0.0.0.0:81->81/tcp", "0.0.0.0:80->80/tcp", "53/udp", "[::]:8000->90/tcp"])
    '53/udp, 0.0.0.0:80-81->80-81/tcp, [::]:8000->90/tcp'
    """
    groups: dict[tuple[str, str], tuple[int, int]] = {}
    done: list[str] = []
    elsewhere: list[str] = []
    for port in read(texts):
        if port.address and port.host != port.container:
            elsewhere.append(f"{port.address}:{port.host}->{port.container}/{port.protocol}")
            continue
        key = (port.address, port.protocol)
        first, last = groups.get(key, (port.container, port.container - 1))
        if port.container > last + 1:
            done.append(_group(key, first, last))
            first = port.container
        groups[key] = (first, port.container)
    return ", ".join([*done, *(_group(key, *span) for key, span in groups.items()), *elsewhere])


def _group(key: tuple[str, str], first: int, last: int) -> str:
    address, protocol = key
    span = str(first) if first == last else f"{first}-{last}"
    return f"{address}:{span}->{span}/{protocol}" if address else f"{span}/{protocol}"
