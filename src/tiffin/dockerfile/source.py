"""Texts and places in them: what a message about a Dockerfile points at.

Pure. A place is counted from 1, in characters, as editors do.
"""

from __future__ import annotations

from typing import NamedTuple

from tiffin.errors import Excerpt, Where

BOM = "\ufeff"


class Span(NamedTuple):
    """A range of a text: from `line`:`column` up to, not including, `end_line`:`end_column`.

    `text` is the first line of the range, for an excerpt.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str

    @property
    def where(self) -> Where:
        """The range within its first line, as errors carry it."""
        end = self.end_column if self.end_line == self.line else len(self.text) + 1
        return Where(self.file, self.line, self.column, max(end, self.column), self.text)


class Source(NamedTuple):
    """A text by lines, each with its line ending as it was read."""

    file: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, text: str | bytes, file: str) -> Source:
        """Return `text` in lines, without byte order mark; what is not UTF-8 survives as surrogates."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        lines = text.removeprefix(BOM).split("\n")
        last = lines.pop()
        return cls(file, (*(line + "\n" for line in lines), *([last] if last else [])))

    def line(self, number: int) -> str:
        """Return line `number` without its ending; empty beyond the end."""
        return self.lines[number - 1].rstrip("\r\n") if 0 < number <= len(self.lines) else ""

    def excerpt(self, start: int, end: int) -> Excerpt:
        """Return the lines from `start` to `end` with some around them, as BuildKit shows them."""
        around = 2 if start == end else 1
        # What follows the last line ending is a line too, if an empty one.
        last = len(self.lines) + bool(self.lines and self.lines[-1].endswith("\n"))
        first, end = max(1, start - around), min(end, last)
        numbers = range(first, min(last, end + around) + 1)
        return Excerpt(first, tuple(self.line(number) for number in numbers), start, end)

    def whole_line(self, number: int) -> Span:
        """Return the range of line `number` without its leading blanks."""
        text = self.line(number)
        start = len(text) - len(text.lstrip())
        return Span(self.file, number, start + 1, number, len(text) + 1, text)
