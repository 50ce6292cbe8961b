"""Words of a line, and what Docker takes for white space. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

# unicode.IsSpace of Go, in whose terms Docker's rules are written. str.isspace also takes U+001C to U+001F.
SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)

# What separates the arguments of an instruction.
_PLAIN_WORD = re.compile("[^\t\v\f\r ]+")


class Word(NamedTuple):
    """A piece of a text, and the offsets where it begins and ends there."""

    text: str
    start: int
    end: int


def split_words(text: str, start: int = 0, end: int | None = None) -> list[Word]:
    """Return the words of `text[start:end]`, separated by blanks; quotes mean nothing."""
    found = _PLAIN_WORD.finditer(text, start, len(text) if end is None else end)
    return [Word(match[0], match.start(), match.end()) for match in found]


def quoted_words(text: str, escape: str, start: int, end: int) -> list[Word]:
    """Return the words of `text[start:end]`; quotes and escapes keep blanks within a word, and are kept.

    An escape that has nothing to escape, at the end, is dropped.
    """
    words = []
    offset = start
    while offset < end:
        if text[offset] in SPACE:
            offset += 1
            continue
        begin = offset
        offset = _quoted_word_end(text, escape, offset, end)
        word = text[begin : end - 1 if offset > end else offset]
        offset = min(offset, end)
        if word:
            words.append(Word(word, begin, offset))
    return words


def _quoted_word_end(text: str, escape: str, offset: int, end: int) -> int:
    """Return where the word at `offset` ends; beyond `end` if its last character is an escape."""
    quote = ""
    while offset < end:
        character = text[offset]
        if character == quote:
            quote = ""
        elif character == escape and quote != "'":
            offset += 1
        elif not quote and character in "'\"":
            quote = character
        elif not quote and character in SPACE:
            break
        offset += 1
    return offset
