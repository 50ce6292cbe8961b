"""Durations as Go writes them: `1m30s`, `1.5h`, `250ms`. Pure."""

from __future__ import annotations

import re

from tiffin.errors import InvalidError

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_LIMIT = 1 << 63
_MOST_DIGITS = 19


def parse_duration(text: str) -> int:
    """Return the nanoseconds of `text`. Raises InvalidError."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    total = 0
    offset = 0
    while offset < len(unsigned) or not unsigned:
        match = _PART.match(unsigned, offset)
        if match is None or not (match[1] or match[2]) or len(match[1].lstrip("0")) > _MOST_DIGITS:
            raise InvalidError(
                f"invalid duration {text!r}",
                code="invalid-duration",
                hint="write it as a number and a unit: 30s, 5m, 1h30m, 500ms",
            )
        unit = _UNITS[match[3]]
        fraction = (match[2] or "")[:_MOST_DIGITS]
        total += int(match[1] or "0") * unit + int(fraction or "0") * unit // 10 ** len(fraction)
        offset = match.end()
    if total >= _LIMIT:
        raise InvalidError(
            f"the duration {text} is too long", code="invalid-duration", hint="at most 290 years"
        )
    return -total if text.startswith("-") else total
