"""Names of signals as users write them: KILL, SIGKILL, sigkill, 9, RTMIN+3, RTMAX-1 (pure)."""

from __future__ import annotations

import signal

from tiffin.errors import InvalidError

__all__ = ["parse_signal"]


def parse_signal(text: str) -> int:
    """Return the number of the signal."""
    name = text.strip().upper().removeprefix("SIG")
    base, sign, offset = name.partition("-" if name.startswith("RTMAX-") else "+")
    if text.isascii() and text.isdigit() and 0 < int(text) <= signal.SIGRTMAX:
        return int(text)
    ranged = base in ("RTMIN", "RTMAX") and offset.isascii() and offset.isdigit()
    if f"SIG{base}" in signal.Signals.__members__ and (not sign or ranged):
        number = signal.Signals[f"SIG{base}"] + int(f"{sign}{offset}" or 0)
        if not ranged or signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
    raise InvalidError(
        f"there is no signal {text!r}", code="unknown-signal", hint="for example TERM, INT or 9"
    )
