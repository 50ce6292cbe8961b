"""Functions that encode, decode and hash.

Pure.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import json
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from tiffin.bake.language.values import BadValueError, Value, number, write_number

if TYPE_CHECKING:
    from collections.abc import Callable

# What Go's encoder writes as an escape, since JSON may stand in HTML.
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_NAMESPACES = {
    "dns": uuid.NAMESPACE_DNS,
    "url": uuid.NAMESPACE_URL,
    "oid": uuid.NAMESPACE_OID,
    "x500": uuid.NAMESPACE_X500,
}


def to_json(value: Value) -> str:
    """Return `value` as JSON without blanks, its keys in order."""
    match value:
        case bool() | None:
            return json.dumps(value)
        case str():
            text = json.dumps(value, ensure_ascii=False)
            return "".join(_ESCAPED.get(char, char) for char in text)
        case Decimal():
            return write_number(value)
        case tuple():
            return f"[{','.join(map(to_json, value))}]"
        case dict():
            return "{" + ",".join(f"{to_json(key)}:{to_json(value[key])}" for key in sorted(value)) + "}"


def from_json(text: str) -> Value:
    """Return the value that a JSON document stands for."""
    try:
        document = json.loads(text, parse_int=number, parse_float=number, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadValueError(f"this is no JSON: {error}") from error
    return _frozen(document)


def _no_constant(name: str) -> Value:
    raise BadValueError(f"{name} is no number in JSON")


def _frozen(document: object) -> Value:
    match document:
        case list():
            return tuple(_frozen(item) for item in document)
        case dict():
            return {str(key): _frozen(item) for key, item in document.items()}
        case str() | bool() | Decimal() | None:
            return document
        case _:
            raise BadValueError("this is no JSON")


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadValueError("this is not base64 of UTF-8 text") from error


def _from_csv(text: str) -> Value:
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), strict=True))
    except csv.Error as error:
        raise BadValueError(f"this is no CSV: {error}") from error
    if not rows:
        raise BadValueError("the header line is missing")
    header = rows[0]
    if len(set(header)) < len(header):
        raise BadValueError("two columns have one name")
    for row in rows[1:]:
        if row and len(row) != len(header):
            raise BadValueError(f"a line has {len(row)} columns, and the header has {len(header)}")
    return tuple(dict(zip(header, row, strict=True)) for row in rows[1:] if row)


def _uuid5(namespace: str, name: str) -> str:
    try:
        space = _NAMESPACES.get(namespace) or uuid.UUID(namespace)
    except ValueError as error:
        raise BadValueError("the namespace must be dns, url, oid, x500 or a UUID") from error
    return str(uuid.uuid5(space, name))


def _hash(name: str) -> Callable[[str], str]:
    def act(text: str) -> str:
        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

    return act


FUNCTIONS: dict[str, tuple[str, Callable[..., Value]]] = {
    "base64decode": ("s", _from_base64),
    "base64encode": ("s", lambda text: base64.b64encode(text.encode()).decode()),
    "csvdecode": ("s", _from_csv),
    "jsondecode": ("s", from_json),
    "jsonencode": ("z", to_json),
    "md5": ("s", _hash("md5")),
    "sha1": ("s", _hash("sha1")),
    "sha256": ("s", _hash("sha256")),
    "sha512": ("s", _hash("sha512")),
    "urlencode": ("s", lambda text: quote_plus(text, safe="~")),
    "uuidv5": ("ss", _uuid5),
}
