"""A bake file's text, and places in it for messages.

Pure. Places are offsets; lines and columns are counted only when somebody is told of them.
"""

from __future__ import annotations

from typing import NamedTuple

from tiffin.errors import InvalidError, Where


class Text(NamedTuple):
    """A text and the name of the file it came from."""

    name: str
    text: str

    def place(self, start: int, end: int) -> Place:
        """Return the range of offsets as a place."""
        return Place(self, start, end)


class Place(NamedTuple):
    """A range of a text."""

    source: Text
    start: int
    end: int

    @property
    def where(self) -> Where:
        """The range within its first line, as errors carry it."""
        text = self.source.text
        start = min(self.start, len(text))
        begin = text.rfind("\n", 0, start) + 1
        stop = text.find("\n", start)
        stop = len(text) if stop < 0 else stop
        column = start - begin + 1
        end = max(min(self.end, stop) - begin + 1, column + 1)
        line = text[begin:stop].rstrip("\r")
        return Where(self.source.name, text.count("\n", 0, start) + 1, column, end, line)


def invalid(message: str, place: Place | None, *, hint: str = "", code: str = "bake-invalid") -> InvalidError:
    """Return the error for what stands at `place`."""
    return InvalidError(message, code=code, hint=hint, where=place.where if place else None)
