"""The arguments of EXPOSE, after expansion. Pure."""

from __future__ import annotations

import re

from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import InvalidError

_PROTOCOLS = ("tcp", "udp", "sctp")
_LARGEST = 65535
_NUMBER = re.compile("[0-9]{1,5}")


def parse_ports(text: str) -> list[str]:
    """Return the ports of one argument of EXPOSE as `PORT/PROTOCOL`, a range as each of its ports.

    Docker lets an address and a port of the host stand before it, as for
    `run -p`, and forgets them; so do we. Raises InvalidError.
    """
    container = text.rpartition(":")[2]
    ports, _, protocol = container.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise _invalid_port(
            text, did_you_mean(protocol, _PROTOCOLS, f"a protocol is {', '.join(_PROTOCOLS)}")
        )
    first, dash, last = ports.partition("-")
    start = _port(text, first)
    end = _port(text, last) if dash else start
    if end < start:
        raise _invalid_port(text, "a range goes from the smaller to the larger port")
    return [f"{port}/{protocol}" for port in range(start, end + 1)]


def _port(text: str, number: str) -> int:
    if not _NUMBER.fullmatch(number) or int(number) > _LARGEST:
        raise _invalid_port(text, "write EXPOSE 8000, EXPOSE 8000/udp or EXPOSE 8000-8010")
    return int(number)


def _invalid_port(text: str, hint: str) -> InvalidError:
    return InvalidError(f"invalid port to expose: {text}", code="invalid-port", hint=hint)
