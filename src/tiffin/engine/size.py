"""Sizes as people write them.

Pure.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtpKMGTP]?)(?:i?[bB])?")


def size_in_bytes(text: str) -> int | None:
    """Return the bytes of `64m`, `1g`, `2GiB`, `1048576`, or None; the letters are powers of 1024."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    power = " kmgtp".index(match[2].lower() or " ")
    return int(float(match[1]) * 1024**power)
