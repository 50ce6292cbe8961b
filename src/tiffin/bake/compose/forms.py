"""The forms that values of a Compose file can have.

Pure. What does not fit is a BadValueError.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from tiffin.bake.entries import parse_entry
from tiffin.bake.language.values import BadValueError

if TYPE_CHECKING:
    from tiffin.bake.compose.document import Plain
    from tiffin.bake.target import FieldValue


def text_of(value: Plain) -> str:
    """Return a scalar as text."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case str() | int():
            return str(value)
        case _:
            raise BadValueError("a text is needed")


def flag_of(value: Plain) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise BadValueError("true or false is needed")


def list_of(value: Plain) -> list[Plain]:
    """Return a list."""
    if not isinstance(value, list):
        raise BadValueError("a list is needed")
    return value


def words_of(value: Plain) -> list[str]:
    """Return texts: a list of them, or one with blanks between."""
    return value.split() if isinstance(value, str) else [text_of(item) for item in list_of(value)]


def pairs_of(value: Plain, separators: str = "=") -> dict[str, str | None]:
    """Return names with values: a map, or a list of texts."""
    if isinstance(value, dict):
        return {key: None if item is None else text_of(item) for key, item in value.items()}
    found: dict[str, str | None] = {}
    for item in list_of(value):
        text = text_of(item)
        separator = next((char for char in separators if char in text), "=")
        key, equals, rest = text.partition(separator)
        found[key] = rest if equals else None
    return found


def contexts_of(pairs: dict[str, str | None]) -> dict[str, str | None]:
    """Return named contexts, services among them as targets."""
    found: dict[str, str | None] = {}
    for name, value in pairs.items():
        kind, _, rest = (value or "").partition(":")
        if kind in ("service", "target"):
            found[name] = f"target:{rest.replace('.', '_')}"
        else:
            found[name] = posixpath.normpath(value) if value and value.startswith("./") else value
    return found


def hosts_of(value: Plain) -> FieldValue:
    """Return names of hosts with their addresses."""
    if isinstance(value, dict):
        listed: dict[str, Plain] = {
            k: ",".join(map(text_of, v)) if isinstance(v, list) else v for k, v in value.items()
        }
        return pairs_of(listed)
    found: dict[str, str | None] = {}
    for item in list_of(value):
        for name, address in pairs_of([item], "=:").items():
            found[name] = f"{found[name]},{address}" if name in found else address
    return found


def agents_of(value: Plain) -> FieldValue:
    """Return SSH agents, in order."""
    items = value.items() if isinstance(value, dict) else pairs_of(value).items()
    entries = [{"id": key, "paths": text_of(path)} if path else {"id": key} for key, path in items]
    return tuple(sorted(entries, key=lambda entry: (entry["id"], entry.get("paths", ""))))


def attestation_of(kind: str, value: Plain) -> FieldValue:
    """Return an attestation, or that there is to be none."""
    text = text_of(value)
    if text in ("true", "1", "false", "0"):
        text = "" if text in ("true", "1") else "disabled=true"
    return (parse_entry("attest", f"type={kind}" + (f",{text}" if text else "")),)
