"""Text → logical lines: directives, comments, continuations, here-documents. Pure.

A logical line is one instruction: its physical lines joined, and the
here-documents that follow it. It remembers where each character came from, so
that a message can point at it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from tiffin.dockerfile.array import NotStringsError, parse_array
from tiffin.dockerfile.head import Head, split_head
from tiffin.dockerfile.heredoc import HereDocument, Mark, find_marks
from tiffin.dockerfile.source import Source, Span
from tiffin.dockerfile.words import SPACE
from tiffin.errors import InvalidError

_DIRECTIVE = re.compile(rf"#[{SPACE}]*([A-Za-z][A-Za-z0-9]*)[{SPACE}]*=[{SPACE}]*(.*[^{SPACE}])[{SPACE}]*\Z")
_DIRECTIVES = ("syntax", "escape", "check")
_WITH_DOCUMENTS = ("ADD", "COPY", "RUN")


class Directives(NamedTuple):
    """The parser directives at the top of a Dockerfile, and how many lines they are."""

    syntax: str | None = None
    escape: str = "\\"
    check: str | None = None
    lines: int = 0


class Piece(NamedTuple):
    """From `offset` of the logical line on, the characters stand at `line` from `column` on."""

    offset: int
    line: int
    column: int


class LogicalLine(NamedTuple):
    """One instruction as text; `last_line` is where it ends, here-documents included.

    `comments` stand above it: all since the last instruction or empty comment.
    """

    source: Source
    text: str
    pieces: tuple[Piece, ...]
    last_line: int
    documents: tuple[HereDocument, ...] = ()
    marks: tuple[Mark, ...] = ()
    comments: tuple[str, ...] = ()

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """Return the place of the characters from `start` to `end`."""
        first = self._place(start)
        if end is None:
            column = len(self.source.line(self.last_line)) + 1
            return Span(self.source.file, *first, self.last_line, column, self.source.line(first[0]))
        line, column = self._place(max(start, end - 1))
        return Span(self.source.file, *first, line, column + (end > start), self.source.line(first[0]))

    def _place(self, offset: int) -> tuple[int, int]:
        piece = self.pieces[bisect_right(self.pieces, offset, key=lambda piece: piece.offset) - 1]
        return piece.line, piece.column + offset - piece.offset


class Lexed(NamedTuple):
    """A Dockerfile in logical lines, and the empty lines within continued ones."""

    source: Source
    directives: Directives
    lines: tuple[LogicalLine, ...]
    empty_lines: tuple[Span, ...]


def lex(source: Source) -> Lexed:
    """Return the logical lines of `source`. Raises InvalidError for text that cannot be one."""
    for number, line in enumerate(source.lines, 1):
        if "\0" in line:
            raise InvalidError(
                "not a text file: it contains a NUL byte",
                code="dockerfile-not-text",
                where=source.whole_line(number).where._replace(text=""),
                hint="give the Dockerfile with -f",
            )
    directives = _directives(source)
    reader = _Reader(source, directives)
    lines = tuple(reader.read())
    return Lexed(source, directives, lines, tuple(reader.empty_lines))


def is_comment(line: str) -> bool:
    """Whether the physical `line` is a comment."""
    return line.lstrip(SPACE).startswith("#")


def _directives(source: Source) -> Directives:
    found: dict[str, str] = {}
    for number in range(1, len(source.lines) + 1):
        match = _DIRECTIVE.match(source.line(number).lstrip(SPACE))
        name = match[1].lower() if match else ""
        if match is None or name not in _DIRECTIVES:
            break
        span = source.whole_line(number)
        if name in found:
            raise InvalidError(
                f"only one {name} parser directive can be used",
                code="dockerfile-directive",
                where=span.where,
                hint="remove this line",
            )
        if name == "escape" and match[2] not in ("\\", "`"):
            raise InvalidError(
                f"invalid escape character {match[2]!r}",
                code="dockerfile-directive",
                where=span.where,
                hint="the escape directive takes \\ or `",
            )
        found[name] = match[2]
    return Directives(found.get("syntax"), found.get("escape", "\\"), found.get("check"), len(found))


class _Reader:
    """Walks the physical lines once."""

    def __init__(self, source: Source, directives: Directives) -> None:
        self.source = source
        self.escape = directives.escape
        self.next = directives.lines + 1  # the number of the line to read next
        self.empty_lines: list[Span] = []
        self.comments: list[str] = []

    def read(self) -> list[LogicalLine]:
        lines = []
        while self.next <= len(self.source.lines):
            line = self._instruction()
            if line is not None:
                lines.append(line)
        return lines

    def _take(self) -> str:
        self.next += 1
        return self.source.line(self.next - 1)

    def _instruction(self) -> LogicalLine | None:
        first = self.next
        physical = self._take()
        text = physical.lstrip(SPACE)
        if is_comment(physical):
            comment = text[1:].strip(SPACE)
            self.comments = [*self.comments, comment] if comment else []
            return None
        column = len(physical) - len(text) + 1
        text, continued = self._continuation(text)
        pieces = [Piece(0, first, column)]
        parts = [text]
        length = len(text)
        empty = 0
        while continued and self.next <= len(self.source.lines):
            physical = self._take()
            if is_comment(physical):
                continue
            if not physical.strip(SPACE):
                empty = empty or self.next - 1
                continue
            text, continued = self._continuation(physical)
            pieces.append(Piece(length, self.next - 1, 1))
            parts.append(text)
            length += len(text)
        line = LogicalLine(self.source, "".join(parts), tuple(pieces), self.next - 1)
        if not line.text.strip(SPACE):
            return None
        line = line._replace(comments=tuple(self.comments))
        self.comments = []
        if empty:
            self.empty_lines.append(self.source.whole_line(empty))
        return self._with_documents(line)

    def _continuation(self, line: str) -> tuple[str, bool]:
        """Return `line` without its final escape, and whether it had one; a doubled one is none."""
        stripped = line.rstrip(" \t")
        if stripped.endswith(self.escape) and not stripped.endswith(self.escape * 2):
            return stripped[:-1], True
        return line, False

    def _with_documents(self, line: LogicalLine) -> LogicalLine:
        if "<<" not in line.text:
            return line
        head = split_head(line.text, self.escape)
        if head.keyword.text.upper() == "ONBUILD":
            head = split_head(line.text, self.escape, head.rest)
        if head.keyword.text.upper() not in _WITH_DOCUMENTS or _is_array(line.text, head):
            return line
        marks = find_marks(line.text, head.rest)
        documents = tuple(self._document(line, mark) for mark in marks)
        return line._replace(documents=documents, marks=tuple(marks), last_line=self.next - 1)

    def _document(self, line: LogicalLine, mark: Mark) -> HereDocument:
        content: list[str] = []
        while self.next <= len(self.source.lines):
            physical = self._take()
            if (physical.lstrip("\t") if mark.strip_tabs else physical) == mark.name:
                return HereDocument(mark.name, "".join(content), mark.expand, mark.strip_tabs)
            content.append(self.source.lines[self.next - 2])
        raise InvalidError(
            f"the here-document {mark.name} does not end",
            code="dockerfile-heredoc",
            where=line.span(mark.start, mark.end).where,
            hint=f"end it with a line that holds only {mark.name}",
        )


def _is_array(text: str, head: Head) -> bool:
    try:
        return parse_array(text[head.rest : head.end]) is not None
    except NotStringsError:
        return True
