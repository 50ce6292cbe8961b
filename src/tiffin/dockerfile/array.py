"""The exec form: a JSON array of strings. Pure."""

from __future__ import annotations

import json
import re

from tiffin.dockerfile.words import SPACE

_SURROGATES = re.compile("[\ud800-\udfff]")


class NotStringsError(ValueError):
    """It is a JSON array, but not all of its items are strings."""


def parse_array(text: str) -> tuple[str, ...] | None:
    """Return the strings of the JSON array `text`, or None if it is none: then it is shell form.

    Docker's rule: a broken array is no error, but a well-formed one with an
    item that is no string is; NotStringsError then.
    """
    text = text.lstrip(SPACE)
    if not text.startswith("["):
        return None
    try:
        items = json.loads(text, parse_int=float, parse_float=lambda _: 0.0, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in items):
        raise NotStringsError(text)
    if "\\u" in text:  # half of a surrogate pair is no character
        return tuple(_SURROGATES.sub("\ufffd", item) for item in items)
    return tuple(items)


def _refuse(constant: str) -> float:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's
