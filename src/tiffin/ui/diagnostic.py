"""An error as a user reads it: what is wrong and where, the place itself, what to do.

The first line states the place and the failure, the excerpt points at it with
a caret, and the last line says what to do. Nothing is printed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.ui.text import display_width, sanitise

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from tiffin.errors import Excerpt, TiffinError, Where
    from tiffin.events import Notice

EXCERPT = 100  # columns of the line that are shown
LEAD = 40  # columns of it that are kept before the caret
RULE = "-" * 20

BOLD, RED, CYAN, YELLOW, RESET = "\x1b[1m", "\x1b[31m", "\x1b[36m", "\x1b[33m", "\x1b[0m"


def colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to colour what goes to `stream`: a capable terminal, and nobody asked for none."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM", "") not in ("", "dumb")


def render(error: TiffinError, *, colour: bool = False) -> list[str]:
    """Lines for `error`: the failure, an excerpt where there is a place, the hint."""
    where = error.where
    place = f"{sanitise(where.file)}:{where.line}: " if where else ""
    first, *rest = [sanitise(line) for line in error.message.splitlines()] or [""]
    lines = [_paint("error:", BOLD + RED, colour=colour) + f" {place}{first}"]
    lines += [f"  {line}" for line in rest]
    if error.excerpt is not None:
        lines += block(error.excerpt)
    elif where is not None and where.text:
        lines += excerpt(where, colour=colour)
    for position, line in enumerate(error.hint.splitlines()):
        lines.append(
            (_paint("hint:", BOLD + CYAN, colour=colour) + " " if position == 0 else "      ")
            + sanitise(line)
        )
    return lines


def notice(event: Notice, *, colour: bool = False) -> str:
    """One line for something that is no failure."""
    where = event.where
    place = f"{sanitise(where.file)}:{where.line}: " if where else ""
    rule = f"{event.rule}: " if event.rule else ""
    label = _paint(f"{event.level}:", BOLD + (YELLOW if event.level == "warning" else CYAN), colour=colour)
    return f"{label} {place}{rule}{sanitise(' '.join(event.message.split()))}"


def block(lines: Excerpt) -> list[str]:
    """Whole lines of a text between rules, those that are meant marked, as BuildKit shows them."""
    shown = []
    for number, line in enumerate(lines.lines, lines.first):
        mark = ">>>" if lines.start <= number <= lines.end else "   "
        shown.append(f"{number:4} | {mark} {sanitise(line)}")
    return [RULE, *shown, RULE]


def excerpt(where: Where, *, colour: bool = False) -> list[str]:
    """The line at fault, and below it carets under the columns meant; `end_column` is just past them."""
    text = where.text.rstrip("\r\n")
    start = min(max(where.column, 1) - 1, len(text))
    end = min(max(where.end_column - 1, start + 1), max(len(text), start + 1))
    before, marked, after = sanitise(text[:start]), sanitise(text[start:end]), sanitise(text[end:])
    if display_width(before) > EXCERPT - LEAD:
        before = "…" + before[-LEAD:]
    room = max(1, EXCERPT - display_width(before))
    carets = "^" * min(max(1, display_width(marked)), room)
    shown = before + (marked + after)[:room] + ("…" if len(marked + after) > room else "")
    number = str(where.line)
    margin = " " * len(number)
    return [
        f" {number} | {shown}",
        f" {margin} | {' ' * display_width(before)}{_paint(carets, BOLD + RED, colour=colour)}",
    ]


def _paint(text: str, code: str, *, colour: bool) -> str:
    return f"{code}{text}{RESET}" if colour else text
