"""Targets and groups as values: their attributes, how they merge, and how they are written.

Pure. An attribute that was not given is absent, which is not the same as empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tiffin.bake.entries import Entry, merge_entries, parse_entries
from tiffin.bake.language.values import BadValueError, Value, kind, to_bool, to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

FieldValue: TypeAlias = "str | bool | tuple[str, ...] | dict[str, str | None] | tuple[Entry, ...]"


class Field(NamedTuple):
    """What an attribute holds, and whether that of a later definition is added or takes its place."""

    holds: str  # text, flag, list, map, entries
    adds: bool = False


# In the order in which they are printed.
FIELDS: dict[str, Field] = {
    "description": Field("text"),
    "inherits": Field("list", adds=True),
    "annotations": Field("list", adds=True),
    "attest": Field("entries", adds=True),
    "context": Field("text"),
    "contexts": Field("map", adds=True),
    "dockerfile": Field("text"),
    "dockerfile-inline": Field("text"),
    "args": Field("map", adds=True),
    "labels": Field("map", adds=True),
    "tags": Field("list"),
    "cache-from": Field("entries", adds=True),
    "cache-to": Field("entries"),
    "target": Field("text"),
    "secret": Field("entries", adds=True),
    "ssh": Field("entries", adds=True),
    "platforms": Field("list"),
    "output": Field("entries"),
    "pull": Field("flag"),
    "no-cache": Field("flag"),
    "network": Field("text"),
    "no-cache-filter": Field("list", adds=True),
    "shm-size": Field("text"),
    "ulimits": Field("list", adds=True),
    "call": Field("text"),
    "entitlements": Field("list", adds=True),
    "extra-hosts": Field("map", adds=True),
}


class Group(NamedTuple):
    """A name for several targets and groups."""

    name: str
    targets: tuple[str, ...]
    description: str = ""


class Target:
    """A target: the attributes that were given, by name. It is changed only by the one who made it."""

    __slots__ = ("linked", "name", "values")

    def __init__(self, name: str, values: Mapping[str, FieldValue] | None = None) -> None:
        self.name = name
        self.values: dict[str, FieldValue] = dict(values or {})
        self.linked = False

    def copy(self) -> Target:
        """Return a target of the same name and attributes."""
        return Target(self.name, self.values)

    def text(self, field: str) -> str | None:
        """Return an attribute that is a text, if it was given."""
        value = self.values.get(field)
        return value if isinstance(value, str) else None

    def flag(self, field: str) -> bool | None:
        """Return an attribute that is true or false, if it was given."""
        value = self.values.get(field)
        return value if isinstance(value, bool) else None

    def texts(self, field: str) -> tuple[str, ...]:
        """Return an attribute that is a list."""
        value = self.values.get(field)
        return tuple(str(item) for item in value) if isinstance(value, tuple) else ()

    def pairs(self, field: str) -> dict[str, str]:
        """Return an attribute that is a map, without what is null in it."""
        value = self.values.get(field)
        found = value.items() if isinstance(value, dict) else ()
        return {key: text for key, text in found if text is not None}

    def entries(self, field: str) -> tuple[Entry, ...]:
        """Return an attribute that is a list of entries."""
        value = self.values.get(field)
        return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, tuple) else ()

    def merge(self, other: Target) -> None:
        """Take over what `other` says: it is the later, and its word counts."""
        for field, value in other.values.items():
            before = self.values.get(field)
            if isinstance(value, dict):
                given = {key: text for key, text in value.items() if text is not None}
                self.values[field] = {**(before if isinstance(before, dict) else {}), **given}
            elif FIELDS[field].adds and isinstance(value, tuple) and isinstance(before, tuple):
                self.values[field] = (*before, *value)
            elif not (field == "description" and not value):
                self.values[field] = value

    def normalise(self) -> None:
        """Leave out what is there twice or empty, and ask for what a network needs."""
        for field, value in self.values.items():
            if FIELDS[field].holds == "entries":
                self.values[field] = merge_entries(field, self.entries(field))
            elif FIELDS[field].holds == "list" and field != "inherits":
                self.values[field] = tuple(dict.fromkeys(item for item in self.texts(field) if item))
            elif field == "contexts" and isinstance(value, dict):
                self.values[field] = {key: text for key, text in value.items() if text}
        if self.text("network") == "host" and "network.host" not in self.texts("entitlements"):
            self.values["entitlements"] = (*self.texts("entitlements"), "network.host")


def field_value(field: str, value: Value) -> FieldValue | None:
    """Return what an attribute is set to; None for null, and a BadValueError for what does not fit."""
    if value is None:
        return None
    match FIELDS[field].holds:
        case "text":
            return to_text(value)
        case "flag":
            return to_bool(value)
        case "map":
            return _pairs(value)
        case "entries":
            return parse_entries(field, value)
        case _:
            return _list(value)


def _pairs(value: Value) -> dict[str, str | None]:
    if not isinstance(value, dict):
        raise BadValueError(f"a map is needed, and this is {kind(value)}")
    found: dict[str, str | None] = {}
    for key, item in value.items():
        try:
            found[key] = None if item is None else to_text(item)
        except BadValueError as error:
            raise BadValueError(f"{key}: {error.message}") from error
    return found


def _list(value: Value) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise BadValueError(f"a list is needed, and this is {kind(value)}; write [ ] around it")
    return tuple(to_text(item) for item in value)


def as_value(value: FieldValue | None) -> Value:
    """Return an attribute as expressions see it."""
    if isinstance(value, tuple):
        return tuple(dict(item) if isinstance(item, dict) else item for item in value)
    return dict(value) if isinstance(value, dict) else value
