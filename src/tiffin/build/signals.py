"""The argument of STOPSIGNAL, checked after expansion. Pure."""

from __future__ import annotations

import re

from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import InvalidError

# Numbers 1 to 31 of Linux in order (signal(7)), then other names of the same.
# fmt: off
_SIGNALS = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE",
    "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
    "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU",
    "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS", "IOT",
    "CLD", "POLL",
)
# fmt: on
_REAL_TIME = re.compile("RTMIN(?:[+](?:[1-9]|1[0-5]))?|RTMAX(?:-(?:[1-9]|1[0-4]))?")
_LARGEST_SIGNAL = 64


def check_signal(text: str) -> None:
    """Raise InvalidError if `text` is neither the name nor the number of a signal."""
    if text.isascii() and text.isdigit():
        if not 0 < int(text[:4]) <= _LARGEST_SIGNAL:
            raise InvalidError(
                f"there is no signal {text}",
                code="invalid-signal",
                hint=f"signals are 1 to {_LARGEST_SIGNAL}",
            )
        return
    name = text.upper().removeprefix("SIG")
    if name not in _SIGNALS and not _REAL_TIME.fullmatch(name):
        raise InvalidError(
            f"there is no signal {text or '(empty)'}",
            code="invalid-signal",
            hint=did_you_mean(
                f"SIG{name}", [f"SIG{known}" for known in _SIGNALS], "write SIGTERM, for example"
            ),
        )
