"""Tokens of HCL, one at a time: what is text inside quotes is read by the template reader.

Pure. A newline is a token where it ends something, and blank space between brackets;
the parser says which it wants.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.language.text import invalid

if TYPE_CHECKING:
    from tiffin.bake.language.text import Place, Text

_BLANK = re.compile(r"(?:[ \t]|\r(?=\n)|/\*.*?\*/|(?:#|//)[^\n]*)*", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<newline>\n)
      | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (?P<name>[^\W\d][\w-]*)
      | (?P<heredoc><<-?[^\W\d][\w-]*\r?\n)
      | (?P<quote>")
      | (?P<symbol>\.\.\.|==|!=|<=|>=|&&|\|\||=>|[{}\[\](),.:?=+\-*/%!<>~])""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """A piece of the text: `newline`, `number`, `name`, `heredoc`, `quote`, `symbol` or `end`."""

    kind: str
    text: str
    start: int
    end: int


class Lexer:
    """The position in a text, and the next token there."""

    __slots__ = ("_peeked", "_whole", "position", "source")

    def __init__(self, source: Text, whole: Place | None = None) -> None:
        self.source = source
        self.position = 0
        self._whole = whole
        self._peeked: tuple[int, bool, Token] | None = None

    def place(self, start: int, end: int) -> Place:
        """Return a range as messages speak of it; of a text that was decoded, always the `whole`."""
        return self._whole or self.source.place(start, end)

    def peek(self, *, newlines: bool) -> Token:
        """Return the next token; without `newlines` they are skipped as blanks."""
        if self._peeked is not None and self._peeked[:2] == (self.position, newlines):
            return self._peeked[2]
        text, position = self.source.text, self.position
        while True:
            blank = _BLANK.match(text, position)
            position = blank.end() if blank else position
            if newlines or position >= len(text) or text[position] != "\n":
                break
            position += 1
        token = self._token(position)
        self._peeked = (self.position, newlines, token)
        return token

    def take(self, token: Token) -> Token:
        """Go on behind `token`."""
        self.position = token.end
        return token

    def _token(self, position: int) -> Token:
        text = self.source.text
        if position >= len(text):
            return Token("end", "", position, position)
        found = _TOKEN.match(text, position)
        if found is None:
            raise self._strange(position)
        return Token(found.lastgroup or "", found[0], position, found.end())

    def _strange(self, position: int) -> Exception:
        char = self.source.text[position]
        hint = {
            "'": 'strings are written in double quotes, "like this"',
            "|": "the operator is ||",
            "&": "the operator is &&",
            ";": "items are separated by newlines, or by commas in lists",
            "`": 'strings are written in double quotes, "like this"',
        }.get(char, "")
        if self.source.text.startswith("/*", position):
            return invalid("a comment that begins with /* has no end", self.place(position, position + 2))
        return invalid(
            f"the character {char!r} means nothing here", self.place(position, position + 1), hint=hint
        )
