"""Values of variables that come from outside: `--var`, or the environment.

Pure: the environment is handed in.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.entries import columns
from tiffin.bake.functions.encoding import from_json
from tiffin.bake.language.typeexpr import Type, convert
from tiffin.bake.language.values import BadValueError, Value, kind, to_number
from tiffin.booleans import EITHER, TRUE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SCALARS = ("string", "number", "bool")


class Outside(NamedTuple):
    """What the command line and the environment set; the command line counts more."""

    given: Mapping[str, str]
    environ: Mapping[str, str]
    sources: Mapping[str, Callable[[], str]] = {}  # functions whose answers come from outside: timestamp

    def get(self, name: str) -> str | None:
        """Return the text for `name`, if there is one."""
        if name in self.given:
            return self.given[name]
        return None if self.closed else self.environ.get(name)

    @property
    def closed(self) -> bool:
        """Whether the environment sets no variables."""
        return self.environ.get("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP") in TRUE

    def override(self, name: str, declared: Type | None, default: Value, *, has_default: bool) -> Value:
        """Return the value of the variable `name`, which has this type and this default.

        Without a type, the text is read as what the default is. Lists are written with
        commas; any type can be given as JSON in NAME_JSON.
        """
        text = self.get(name)
        if text is None:
            document = self.get(f"{name}_JSON") if declared is not None else None
            if document is None or declared is None:
                return default
            return convert(from_json(document), declared)
        if declared is not None:
            return read(text, declared)
        if not has_default:
            return text
        return _like(text, default)


def _like(text: str, default: Value) -> Value:
    match default:
        case bool():
            return read(text, Type("bool"))
        case Decimal():
            return read(text, Type("number"))
        case str() | None:
            return text
        case _:
            raise BadValueError(
                f"its default is {kind(default)}; to be set by a text from outside it needs a type"
            )


def read(text: str, wanted: Type) -> Value:
    """Return the value of the type `wanted` that a text stands for."""
    match wanted.name:
        case "string":
            return text
        case "number":
            return to_number(text)
        case "bool":
            if text not in EITHER:
                raise BadValueError(f"{text[:40]!r} is neither true nor false")
            return text in TRUE
        case "list" | "set" if wanted.inner and wanted.inner.name in _SCALARS:
            return convert(tuple(read(item, wanted.inner) for item in columns(text)), wanted)
        case "tuple":
            items = columns(text)
            if len(items) != len(wanted.fields):
                raise BadValueError(f"{len(wanted.fields)} values are needed, and there are {len(items)}")
            pairs = zip(items, wanted.fields, strict=True)
            return tuple(read(item, of) for item, (_, of, _) in pairs)
        case "map" if wanted.inner and wanted.inner.name in _SCALARS:
            return _map(text, wanted.inner)
        case _:
            raise BadValueError(f"a value of the type {wanted} cannot be written as text; use NAME_JSON")


def _map(text: str, inner: Type) -> Value:
    found: dict[str, Value] = {}
    for item in columns(text):
        key, separator, value = item.partition(":")
        if not separator:
            raise BadValueError(f"{item[:40]!r} is not KEY:VALUE")
        found[key] = read(value, inner)
    return found
