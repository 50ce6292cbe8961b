"""Texts of others, such as commands and lines of files, short enough to stand in a line of ours. Pure."""

from __future__ import annotations

WIDTH = 60


def short(text: str, width: int = WIDTH) -> str:
    """Return `text` on one line, cut to `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
