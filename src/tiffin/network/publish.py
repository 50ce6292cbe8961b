"""What `-p` says: Docker's forms of a published port → values (pure).

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import socket

from tiffin.errors import InvalidError
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    Protocol = Literal["tcp", "udp"]

__all__ = ["Published", "Range", "all_exposed", "parse", "parse_all", "parse_exposed", "spelled"]


_PROTOCOLS: dict[str, Protocol] = {"tcp": "tcp", "udp": "udp"}
_FORMS = (
    "the forms are 8000, 8000:80, 127.0.0.1:8000:80, [::1]:8000:80, 8000-8005:80-85, each with /tcp or /udp"
)


class Published(NamedTuple):
    """One port of the container, offered on the host.

    An empty `address` means every address, IPv4 and IPv6; `host` 0 means that the system
    chooses a free port, or one of `choices` when a range was given for a single port.
    """

    container: int
    host: int = 0
    address: str = ""
    protocol: Protocol = "tcp"
    choices: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        """The binding as `docker ps` prints it."""
        address = f"[{self.address}]" if ":" in self.address else self.address or "0.0.0.0"  # noqa: S104
        return f"{address}:{self.host}->{self.container}/{self.protocol}"


class Range(NamedTuple):
    """Ports from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many ports these are."""
        return self.last - self.first + 1


def parse(text: str) -> list[Published]:
    """Return the ports that one value of `-p` publishes; `InvalidError` says which part is wrong."""
    rest, protocol = _split_protocol(text)
    address, rest = _split_address(text, rest)
    host_text, separator, container_text = rest.rpartition(":")
    if not separator:
        container_text, host_text = rest, ""
    container = _range(text, container_text, "container port")
    if not host_text:
        return [Published(port, 0, address, protocol) for port in range(container.first, container.last + 1)]
    host = _range(text, host_text, "host port", zero=True)
    if container.size == 1 and host.size > 1:
        return [Published(container.first, 0, address, protocol, (host.first, host.last))]
    if container.size != host.size:
        raise InvalidError(
            f"-p {text}: {host.size} host ports {host_text} do not match"
            f" {container.size} container ports {container_text}",
            hint="give two ranges of the same length",
        )
    return [
        Published(container.first + step, host.first + step if host.first else 0, address, protocol)
        for step in range(container.size)
    ]


def parse_all(values: Iterable[str]) -> list[Published]:
    """Return what all values publish together, each binding once."""
    found: list[Published] = []
    for value in values:
        for port in parse(value):
            if port not in found or port.host == 0:
                found.append(port)
    return found


def parse_exposed(text: str, option: str = "-p") -> tuple[Range, Protocol]:
    """Return the ports that an image's or `--expose`'s `80/tcp`, `53/udp` or `7000-7010` names."""
    rest, protocol = _split_protocol(text, option)
    return _range(text, rest, "port", option=option), protocol


def all_exposed(exposed: Iterable[str], published: Sequence[Published]) -> list[Published]:
    """Return what `-P` adds: every exposed port that is not published yet, on a free host port."""
    taken = {(port.container, port.protocol) for port in published}
    found = []
    for text in exposed:
        span, protocol = parse_exposed(text)
        found += [
            Published(port, protocol=protocol)
            for port in range(span.first, span.last + 1)
            if (port, protocol) not in taken
        ]
    return sorted(set(found))


def spelled(exposed: Iterable[str]) -> tuple[str, ...]:
    """Return each port once, with its protocol: `80/tcp`; what an image calls so and is none is left out."""
    ports: set[tuple[int, Protocol]] = set()
    for text in exposed:
        with contextlib.suppress(InvalidError):
            span, protocol = parse_exposed(text)
            ports |= {(port, protocol) for port in range(span.first, span.last + 1)}
    return tuple(f"{port}/{protocol}" for port, protocol in sorted(ports))


def _split_protocol(text: str, option: str = "-p") -> tuple[str, Protocol]:
    rest, separator, protocol = text.partition("/")
    found = _PROTOCOLS.get(protocol.lower() if separator else "tcp")
    if found is None:
        raise InvalidError(f"{option} {text}: unknown protocol {protocol!r}", hint="use /tcp or /udp")
    return rest, found


def _split_address(text: str, rest: str) -> tuple[str, str]:
    if rest.startswith("["):
        address, bracket, rest = rest[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise InvalidError(f"-p {text}: the address in brackets is not followed by a port", hint=_FORMS)
        return _valid_address(text, address), rest[1:]
    if rest.count(":") < 2:
        return "", rest
    address, _, rest = rest.partition(":")
    if rest.count(":") > 1:
        raise InvalidError(
            f"-p {text}: too many colons", hint="write an IPv6 address in brackets: [::1]:8000:80"
        )
    return _valid_address(text, address) if address else "", rest


def _valid_address(text: str, address: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, address))
    except OSError:
        raise InvalidError(
            f"-p {text}: {address!r} is not an IP address", hint="give an address of this machine, not a name"
        ) from None


def _range(text: str, part: str, what: str, *, zero: bool = False, option: str = "-p") -> Range:
    first, dash, last = part.partition("-")
    numbers = (first, last) if dash else (first, first)
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise InvalidError(f"{option} {text}: {what} {part!r} is not a number or range", hint=_FORMS)
    span = Range(int(numbers[0]), int(numbers[1]))
    lowest = 0 if zero and not dash else 1
    if not lowest <= span.first <= 65535 or not lowest <= span.last <= 65535:
        raise InvalidError(f"{option} {text}: {what} {part} is not between 1 and 65535", hint=_FORMS)
    if span.last < span.first:
        raise InvalidError(f"{option} {text}: {what} range {part} runs backwards", hint=_FORMS)
    return span
