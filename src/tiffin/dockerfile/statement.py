"""A logical line taken as an instruction: its arguments, and errors that point into it. Pure."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiffin.dockerfile.array import NotStringsError, parse_array
from tiffin.dockerfile.ast import Command, ExecForm, ShellForm
from tiffin.dockerfile.head import split_head
from tiffin.dockerfile.words import Word, split_words
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.dockerfile.heredoc import HereDocument
    from tiffin.dockerfile.lexer import LogicalLine
    from tiffin.dockerfile.source import Span


class Statement:
    """An instruction before it is understood; `start` is where it begins, after ONBUILD for a trigger."""

    def __init__(self, line: LogicalLine, escape: str, start: int = 0) -> None:
        self.line = line
        self.escape = escape
        self.head = split_head(line.text, escape, start)
        self.keyword = self.head.keyword.text.upper()

    @property
    def span(self) -> Span:
        """The place of the whole instruction."""
        return self.line.span(self.head.keyword.start)

    @property
    def text(self) -> str:
        """The instruction as written, in one line."""
        return self.line.text[self.head.keyword.start : self.head.end]

    @property
    def arguments(self) -> str:
        """What follows the keyword and its flags."""
        return self.line.text[self.head.rest : self.head.end]

    def words(self) -> list[Word]:
        """Return the arguments, separated by blanks."""
        return split_words(self.line.text, self.head.rest, self.head.end)

    def array(self, start: int | None = None) -> tuple[str, ...] | None:
        """Return the arguments from `start` on as a JSON array, or None if they are none."""
        begin = self.head.rest if start is None else start
        try:
            return parse_array(self.line.text[begin : self.head.end])
        except NotStringsError:
            raise self.error(
                "the JSON array holds something that is no string",
                Word("", begin, self.head.end),
                'write every item in double quotes: ["one", "2"]',
            ) from None

    def command(self, start: int | None = None) -> Command:
        """Return the arguments from `start` on as a command; nothing is an empty one, as in Docker."""
        items = self.array(start)
        if items is not None:
            return ExecForm(items)
        return ShellForm(self.line.text[self.head.rest if start is None else start : self.head.end])

    def document_words(self) -> tuple[list[Word], list[tuple[Word, HereDocument]]]:
        """Return the arguments without here-documents, and the here-documents with their place."""
        words: list[Word] = []
        start = self.head.rest
        found = []
        for mark, document in zip(self.line.marks, self.line.documents, strict=True):
            words += split_words(self.line.text, start, mark.start)
            found.append((Word(self.line.text[mark.start : mark.end], mark.start, mark.end), document))
            start = mark.end
        return [*words, *split_words(self.line.text, start, self.head.end)], found

    def error(self, message: str, at: Word | None = None, hint: str = "") -> InvalidError:
        """Return an error that points at the word `at`, or at the keyword."""
        word = at or self.head.keyword
        where = self.line.span(word.start, word.end).where
        return InvalidError(message, code="dockerfile-syntax", hint=hint, where=where)

    def missing(self, what: str, hint: str = "") -> InvalidError:
        """Return the error for an instruction that lacks `what`."""
        return self.error(f"{self.keyword} needs {what}", hint=hint)

    @contextmanager
    def pointing_at(self, word: Word) -> Iterator[None]:
        """Let an error that has no place yet point at `word`."""
        try:
            yield
        except InvalidError as error:
            error.where = error.where or self.line.span(word.start, word.end).where
            raise
