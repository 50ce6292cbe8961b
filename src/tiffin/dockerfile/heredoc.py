"""Here-documents: where a line announces them, and what they hold. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from tiffin.dockerfile.words import SPACE

_MARK = re.compile(rf"(\d*)<<(-?)[{SPACE}]*([^<]*)\Z")
_LEADING_TABS = re.compile("^\t+", re.MULTILINE)


class Mark(NamedTuple):
    """An announcement such as `<<-'EOF'`, at offsets of its line.

    Quotes in the delimiter forbid expansion.
    """

    name: str
    strip_tabs: bool
    expand: bool
    start: int
    end: int


class HereDocument(NamedTuple):
    """A here-document as written: `content` still has the tabs that `<<-` asks to strip."""

    name: str
    content: str
    expand: bool = True
    strip_tabs: bool = False

    @property
    def stripped(self) -> str:
        """The content, without leading tabs if it was announced by `<<-`."""
        return _LEADING_TABS.sub("", self.content) if self.strip_tabs else self.content


def find_marks(text: str, start: int = 0) -> list[Mark]:
    """Return the here-documents that `text` announces from offset `start` on, in order.

    Words are split as a shell does. `<<` within quotes or arithmetic, and `<<<`,
    announce nothing; nor does anything on a line whose quotes do not match.
    """
    marks = []
    offset = start
    while offset < len(text):
        if text[offset] in SPACE:
            offset += 1
            continue
        end = _word_end(text, offset)
        if end is None:
            return []
        mark = _mark(text, offset, end)
        if mark is not None:
            marks.append(mark)
        offset = end
    return marks


def _mark(text: str, start: int, end: int) -> Mark | None:
    match = _MARK.match(text, start, end)
    if match is None:
        return None
    name, quoted = _unquote(match[3])
    return Mark(name, match[2] == "-", not quoted, start, end) if name else None


def _word_end(text: str, offset: int) -> int | None:
    """Return where the word at `offset` ends, or None if a quote or brace in it does not."""
    while offset < len(text) and text[offset] not in SPACE:
        if text.startswith("<<", offset):
            offset += 3 if text.startswith("<<-", offset) else 2
            while offset < len(text) and text[offset] in SPACE:
                offset += 1  # blanks may stand between << and the delimiter
        else:
            after = _skip(text, offset)
            if after is None:
                return None
            offset = after
    return offset


def _skip(text: str, offset: int) -> int | None:
    """Return the offset after the character, quoted text, `${…}` or arithmetic at `offset`."""
    character = text[offset]
    if character == "\\":
        return min(offset + 2, len(text))
    if character == "'":
        end = text.find("'", offset + 1)
        return end + 1 if end >= 0 else None
    if character == '"':
        return _skip_to(text, offset + 1, '"')
    if text.startswith("${", offset):
        return _skip_to(text, offset + 2, "}")
    if text.startswith(("$((", "(("), offset):
        end = text.find("))", offset)
        return end + 2 if end >= 0 else offset + 1
    return offset + 1


def _skip_to(text: str, offset: int, closer: str) -> int | None:
    """Return the offset after `closer`, passing over what is nested before it."""
    closers = [closer]
    while offset < len(text):
        character = text[offset]
        if character == "\\":
            offset += 1
        elif character == closers[-1]:
            closers.pop()
            if not closers:
                return offset + 1
        elif text.startswith("${", offset):
            closers.append("}")
            offset += 1
        elif closers[-1] == "}" and character == '"':
            closers.append('"')
        elif closers[-1] == "}" and character == "'":
            offset = text.find("'", offset + 1)
            if offset < 0:
                return None
        offset += 1
    return None


def _unquote(word: str) -> tuple[str, bool]:
    """Return the delimiter `word` without quotes and escapes, and whether any part was quoted."""
    name = []
    quote = ""
    quoted = False
    offset = 0
    while offset < len(word):
        character = word[offset]
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
            quoted = True
        elif character == "\\" and quote != "'":
            following = word[offset + 1 : offset + 2]
            offset += 1
            name.append("\\" + following if quote and following not in '"$\\' else following)
        else:
            name.append(character)
        offset += 1
    return "".join(name), quoted
