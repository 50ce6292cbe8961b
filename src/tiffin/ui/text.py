"""Text that came from elsewhere, made fit for a terminal (pure).

Output of steps arrives in chunks that end anywhere, with progress bars, colours
and worse in it. `LineSplitter` gives whole lines; `sanitise` takes away whatever
could move the cursor, change the title or hide text.
"""

from __future__ import annotations

import codecs
import re

LONGEST_LINE = 64 * 1024
TAB_STOP = 8

# ECMA-48: CSI, the string sequences (OSC, DCS, SOS, PM, APC) up to their terminator, any other escape.
_SEQUENCE = (
    r"\x1b\[[0-?]*[ -/]*(?:[@-~]|$)"
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"
    r"|\x1b[ -/]*(?:[0-~]|$)"
    r"|\x9b[0-?]*[ -/]*(?:[@-~]|$)"
)
# What is left of C0 and C1, and the marks that reorder or hide the text around them.
_CONTROL = "[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"


def sanitise(text: str) -> str:
    """`text` as one printable line: no control sequences, no control characters, tabs as blanks."""
    if text.isascii() and text.isprintable():
        return text
    # Compiled when the first text comes: most commands show none from elsewhere.
    without = re.sub(_SEQUENCE, "", text, flags=re.DOTALL)
    return re.sub(_CONTROL, "", without).expandtabs(TAB_STOP)


def overwritten(line: str) -> str:
    """What a terminal would show last of a line that carriage returns write over."""
    if "\r" not in line:
        return line
    return next((part for part in reversed(line.split("\r")) if part), "")


class LineSplitter:
    """Bytes in, whole lines out; UTF-8 sequences and lines may be cut anywhere between chunks."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their line ends."""
        *lines, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = ""
        return [overwritten(line) for line in lines]

    @property
    def partial(self) -> str:
        """The line begun and not yet ended."""
        return overwritten(self._rest)

    def finish(self) -> list[str]:
        """The last line, if it had no line end."""
        rest = self._rest + self._decoder.decode(b"", final=True)
        self._rest = ""
        return [overwritten(rest)] if overwritten(rest) else []


def display_width(text: str) -> int:
    """Columns that sanitised `text` takes on a terminal: wide characters count two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def fit(text: str, width: int) -> str:
    """`text` cut to at most `width` columns, with an ellipsis where something was cut."""
    if display_width(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        step = display_width(character)
        if used + step > width - 1:
            break
        kept.append(character)
        used += step
    return "".join(kept) + "…" if width > 0 else ""
