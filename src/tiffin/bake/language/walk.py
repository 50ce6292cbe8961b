"""All that an expression holds. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tiffin.bake.language.ast import Call
from tiffin.bake.language.text import Place

if TYPE_CHECKING:
    from collections.abc import Iterator


def calls(node: object) -> set[str]:
    """Return the names of the functions that are called anywhere in `node`."""
    return {found.name for found in _nodes(node) if isinstance(found, Call)}


def _nodes(node: object) -> Iterator[object]:
    if isinstance(node, Struct):
        yield node
        for field in node.__struct_fields__:
            yield from _nodes(getattr(node, field))
    elif isinstance(node, tuple) and not isinstance(node, Place):
        for item in node:
            yield from _nodes(item)
