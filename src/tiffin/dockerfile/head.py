"""The beginning of an instruction: its keyword and the flags before its first argument. Pure."""

from __future__ import annotations

from typing import NamedTuple

from tiffin.dockerfile.words import SPACE, Word, split_words

_QUOTES = "'\""


class Head(NamedTuple):
    """An instruction without knowledge of what it means.

    `flags` are the words that begin with `--`, quotes and escapes taken away;
    the arguments are the text from offset `rest` to offset `end`.
    """

    keyword: Word
    flags: tuple[Word, ...]
    rest: int
    end: int


def split_head(text: str, escape: str, start: int = 0) -> Head:
    """Return the head of the instruction in `text` from offset `start`. A lone `--` ends the flags."""
    end = len(text.rstrip(SPACE))
    words = split_words(text, start, end)
    keyword = words[0] if words else Word("", start, start)
    flags = []
    offset = _skip_space(text, keyword.end, end)
    while text.startswith("--", offset):
        flag = _read_flag(text, escape, offset, end)
        offset = _skip_space(text, flag.end, end)
        if flag.text == "--":
            break
        flags.append(flag)
    return Head(keyword, tuple(flags), offset, max(offset, end))


def _skip_space(text: str, offset: int, end: int) -> int:
    while offset < end and text[offset] in SPACE:
        offset += 1
    return offset


def _read_flag(text: str, escape: str, start: int, end: int) -> Word:
    offset = start
    value = []
    quote = ""
    while offset < end:
        character = text[offset]
        if character == quote:
            quote = ""
        elif not quote and character in _QUOTES:
            quote = character
        elif not quote and character in SPACE:
            break
        elif character == escape:
            offset += 1
            value.append(text[offset : min(offset + 1, end)])
        else:
            value.append(character)
        offset += 1
    return Word("".join(value), start, min(offset, end))
