"""Names of signals as users write them: KILL, SIGKILL, sigkill, 9, RTMIN+3 (pure)."""

from __future__ import annotations

import signal

from tiffin.errors import InvalidError

__all__ = ["parse_signal"]


def parse_signal(text: str) -> int:
    """Return the number of the signal."""
    name = text.strip().upper().removeprefix("SIG")
    base, plus, offset = name.partition("+")
    if text.isascii() and text.isdigit() and 0 < int(text) <= signal.SIGRTMAX:
        return int(text)
    if f"SIG{base}" in signal.Signals.__members__ and (not plus or (base == "RTMIN" and offset.isdigit())):
        number = signal.Signals[f"SIG{base}"] + int(offset or 0)
        if number <= signal.SIGRTMAX:
            return number
    raise InvalidError(
        f"there is no signal {text!r}", code="unknown-signal", hint="for example TERM, INT or 9"
    )
