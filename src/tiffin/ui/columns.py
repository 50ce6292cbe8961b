"""Tables, sizes and ages as Docker prints them (pure).

Scripts read these columns, so spacing and rounding follow Docker's output to
the character. Imports nothing, so that a listing costs no start time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
CELL = 10  # the narrowest column, its padding included
PADDING = 3
ELLIPSIS = "…"

MINUTE = 60
HOUR = 60 * MINUTE


def human_size(count: float, digits: int = 3) -> str:
    """A number of bytes with so many significant digits: `1.23GB`, `45.6MB`, `999B`.

    >>> human_size(238_412_345), human_size(238_412_345, 4)
    ('238MB', '238.4MB')
    """
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    text = f"{value:.{digits}g}"
    if "e" in text and unit < len(UNITS) - 1:  # 999.6 rounds to 1000: that is one of the next unit
        text, unit = "1", unit + 1
    return text + UNITS[unit]


def human_duration(seconds: float) -> str:
    """A span of time in words: `2 minutes`, `About an hour`, `3 weeks`."""
    whole = int(seconds)
    hours = int(seconds / HOUR + 0.5)
    steps = (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < MINUTE, f"{whole} seconds"),
        (whole < 2 * MINUTE, "About a minute"),
        (whole < HOUR, f"{whole // MINUTE} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 7 * 2, f"{hours // 24} days"),
        (hours < 24 * 30 * 2, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    )
    for holds, words in steps:
        if holds:
            return words
    return f"{whole // HOUR // 24 // 365} years"


def ago(then: float, now: float) -> str:
    """The age of something: `2 minutes ago`."""
    return f"{human_duration(max(0.0, now - then))} ago"


def elapsed(seconds: float) -> str:
    """A running time for progress lines: `0.3s`, `75.0s`."""
    return f"{seconds:.1f}s"


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` characters, its end replaced by an ellipsis."""
    return text if len(text) <= width else text[: max(0, width - 1)] + ELLIPSIS


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns; the last column is not padded, as in Docker."""
    widths: list[int] = []
    for row in rows:
        for position, cell in enumerate(row[:-1]):
            if position == len(widths):
                widths.append(CELL)
            widths[position] = max(widths[position], len(cell) + PADDING)
    return [
        "".join(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)) + row[-1]
        for row in rows
        if row
    ]
