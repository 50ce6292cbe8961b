"""Paragraphs of `Name: value` fields, as control files, indexes and sources are written (deb822). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.errors import InvalidError, Where

if TYPE_CHECKING:
    from collections.abc import Iterator

Paragraph = dict[str, str]


def parse_paragraphs(text: str, file: str) -> Iterator[Paragraph]:
    """The paragraphs of `text` in turn, comments left out; field names in lower case.

    A continued value keeps its line breaks without the leading blank of each
    line. `InvalidError` with the line for what is neither field nor continuation.
    """
    current: Paragraph = {}
    field = ""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if current:
                yield current
            current, field = {}, ""
        elif line[0] in " \t":
            if not field:
                raise _malformed(file, number, line, "a continuation without a field")
            current[field] += "\n" + line[1:].rstrip()
        else:
            name, colon, value = line.partition(":")
            field = name.strip().lower()
            if not colon or not field or field in current:
                raise _malformed(file, number, line, "a repeated field" if colon else "no field")
            current[field] = value.strip()
    if current:
        yield current


def parse_paragraph(text: str, file: str) -> Paragraph:
    """The first paragraph of `text`; `InvalidError` if there is none."""
    for paragraph in parse_paragraphs(text, file):
        return paragraph
    raise InvalidError(f"{file} is empty, and a paragraph of fields was expected", code="deb822-empty")


def split_paragraphs(data: bytes) -> list[bytes]:
    """The paragraphs of a large index as they are, unparsed: tens of thousands in some ten milliseconds."""
    return [part for part in data.split(b"\n\n") if part.strip()]


def _malformed(file: str, number: int, line: str, what: str) -> InvalidError:
    where = Where(file, number, 1, len(line) + 1, line)
    return InvalidError(f"{file}:{number}: {what}: {line[:80]!r}", code="deb822-syntax", where=where)
