"""A line of CSV, as options hold their fields, in Dockerfiles and on command lines. Imports none of ours."""

from __future__ import annotations

import re

_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",]*))(?=,|\Z)')


def split_fields(text: str) -> list[str]:
    """Split at commas; a field in double quotes may hold commas, and quotes as a pair (RFC 4180).

    Raises ValueError with what is wrong.
    """
    fields = []
    offset = 0
    while offset <= len(text):
        match = _FIELD.match(text, offset)
        if match is None:
            closed = text.count('"', offset) % 2 == 0
            raise ValueError("a quote is out of place" if closed else "unexpected end: a quote is not closed")
        quoted = match[1]
        fields.append(match[2] if quoted is None else quoted.replace('""', '"'))
        offset = match.end() + 1
    return fields if text else []
