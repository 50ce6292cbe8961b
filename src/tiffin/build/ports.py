"""The arguments of EXPOSE and STOPSIGNAL, checked after expansion. Pure."""

from __future__ import annotations

import re

from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import InvalidError

_PROTOCOLS = ("tcp", "udp", "sctp")
_LARGEST = 65535
_NUMBER = re.compile("[0-9]{1,5}")

# Numbers 1 to 31 of Linux in order (signal(7)), then other names of the same.
_SIGNALS = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP"
    " TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS IOT CLD POLL"
).split()
_REAL_TIME = re.compile("RTMIN(?:[+](?:[1-9]|1[0-5]))?|RTMAX(?:-(?:[1-9]|1[0-4]))?")
_LARGEST_SIGNAL = 64


def parse_ports(text: str) -> list[str]:
    """Return the ports of one argument of EXPOSE as `PORT/PROTOCOL`, a range as each of its ports.

    Docker lets an address and a port of the host stand before it, as for
    `run -p`, and forgets them; so do we. Raises InvalidError.
    """
    container = text.rpartition(":")[2]
    ports, slash, protocol = container.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise _invalid_port(text, did_you_mean(protocol, _PROTOCOLS, f"a protocol is {', '.join(_PROTOCOLS)}"))
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


def check_signal(text: str) -> None:
    """Raise InvalidError if `text` is neither the name nor the number of a signal."""
    if text.isascii() and text.isdigit():
        if not 0 < int(text[:4]) <= _LARGEST_SIGNAL:
            raise InvalidError(
                f"there is no signal {text}", code="invalid-signal", hint=f"signals are 1 to {_LARGEST_SIGNAL}"
            )
        return
    name = text.upper().removeprefix("SIG")
    if name not in _SIGNALS and not _REAL_TIME.fullmatch(name):
        raise InvalidError(
            f"there is no signal {text or '(empty)'}",
            code="invalid-signal",
            hint=did_you_mean(f"SIG{name}", [f"SIG{known}" for known in _SIGNALS], "write SIGTERM, for example"),
        )
