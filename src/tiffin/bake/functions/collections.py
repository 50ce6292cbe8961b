"""Functions on lists, maps and sets.

Pure.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from tiffin.bake.functions.texts import whole
from tiffin.bake.language.access import index as element_at
from tiffin.bake.language.values import (
    BadValueError,
    SetOf,
    Value,
    equal,
    kind,
    rank,
    set_of,
    to_text,
    unify,
)
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 100_000
List = tuple[Value, ...]
Map = dict[str, Value]


def _chunks(items: List, size: Decimal) -> Value:
    count = whole(size)
    if count < 0:
        raise BadValueError("the size of a chunk cannot be negative")
    count = count or max(len(items), 1)
    return tuple(items[start : start + count] for start in range(0, len(items), count))


def _coalesce(*values: Value) -> Value:
    for value in unify(list(values)):
        if value is not None:
            return value
    raise BadValueError("every argument is null")


def _coalesce_list(*lists: List) -> Value:
    for items in lists:
        if items:
            return items
    raise BadValueError("every list is empty" if lists else "at least one list is needed")


def _concat(*lists: List) -> Value:
    if not lists:
        raise BadValueError("at least one list is needed")
    if sum(map(len, lists)) > _MOST:
        raise BadValueError(f"the list would have more than {_MOST} elements")
    return tuple(item for items in lists for item in items)


def _contains(items: List, wanted: Value) -> bool:
    return any(equal(item, wanted) for item in items)


def _distinct(items: List) -> Value:
    found: list[Value] = []
    seen: set[tuple[int, object]] = set()
    for item in unify(list(items)):
        key = rank(item)
        if key not in seen or not _contains(tuple(found), item):
            seen.add(key)
            found.append(item)
    return tuple(found)


def _element(items: List, position: Decimal) -> Value:
    at = whole(position)
    if not items:
        raise BadValueError("the list is empty")
    if at < 0:
        raise BadValueError("the index is negative")
    return items[at % len(items)]


def _flatten(items: List) -> Value:
    found: list[Value] = []
    for item in items:
        inner = _flatten(item) if isinstance(item, tuple) else (item,)
        assert isinstance(inner, tuple)
        found.extend(inner)
    return tuple(found)


def _index(collection: Value, key: Value) -> Value:
    try:
        return element_at(collection, key, None)
    except InvalidError as error:
        raise BadValueError(error.message) from error


def _has_index(collection: Value, key: Value) -> bool:
    try:
        _index(collection, key)
    except BadValueError:
        return False
    return True


def _index_of(items: List, wanted: Value) -> Value:
    if not items:
        raise BadValueError("the list is empty")
    for position, item in enumerate(items):
        if equal(item, wanted):
            return Decimal(position)
    raise BadValueError("the list has no such element")


def _length(collection: Value) -> Value:
    if not isinstance(collection, tuple | dict):
        raise BadValueError(f"a list or a map is needed, and this is {kind(collection)}")
    return Decimal(len(collection))


def _lookup(table: Map, key: str, default: Value) -> Value:
    return table.get(key, default)


def _merge(*maps: Map | None) -> Value:
    merged: Map = {}
    for table in maps:
        if table is not None and not isinstance(table, dict):
            raise BadValueError(f"maps are needed, and this is {kind(table)}")
        merged.update(table or {})
    return merged


def _slice(items: List, start: Decimal, end: Decimal) -> Value:
    begin, stop = whole(start), whole(end)
    if not 0 <= begin <= stop <= len(items):
        raise BadValueError(f"a list of {len(items)} has no elements from {begin} up to {stop}")
    return items[begin:stop]


def _zip(keys: List, values: List) -> Value:
    if len(keys) != len(values):
        raise BadValueError(f"there are {len(keys)} keys and {len(values)} values")
    return {to_text(key): value for key, value in zip(keys, values, strict=True)}


def _compact(items: List) -> Value:
    return tuple(text for item in items if item is not None and (text := to_text(item)))


def _sets(*lists: List) -> list[SetOf]:
    """Return lists as sets of one kind of element."""
    flat = iter(unify([item for items in lists for item in items]))
    return [set_of([next(flat) for _ in items]) for items in lists]


def _union(*lists: List) -> Value:
    return set_of([item for items in _sets(*lists) for item in items])


def _intersection(*lists: List) -> Value:
    first, *rest = _sets(*lists)
    return set_of([item for item in first if all(_contains(other, item) for other in rest)])


def _subtract(one: List, other: List) -> Value:
    first, second = _sets(one, other)
    return set_of([item for item in first if not _contains(second, item)])


def _symmetric_difference(*lists: List) -> Value:
    result, *rest = _sets(*lists)
    for other in rest:
        only = [item for item in result if not _contains(other, item)]
        result = set_of([*only, *(item for item in other if not _contains(result, item))])
    return result


def _product(*lists: List) -> Value:
    if len(lists) < 2:
        raise BadValueError("at least two lists are needed")
    if prod(len(items) for items in lists) > _MOST:
        raise BadValueError(f"there would be more than {_MOST} combinations")
    return tuple(product(*lists))


FUNCTIONS: dict[str, tuple[str, Callable[..., Value]]] = {
    "chunklist": ("ln", _chunks),
    "coalesce": ("z*", _coalesce),
    "coalescelist": ("l*", _coalesce_list),
    "compact": ("l", _compact),
    "concat": ("l*", _concat),
    "contains": ("lz", _contains),
    "distinct": ("l", _distinct),
    "element": ("ln", _element),
    "flatten": ("l", _flatten),
    "hasindex": ("aa", _has_index),
    "index": ("aa", _index),
    "indexof": ("lz", _index_of),
    "keys": ("m", lambda table: tuple(sorted(table))),
    "length": ("a", _length),
    "lookup": ("msz", _lookup),
    "merge": ("z*", _merge),
    "reverselist": ("l", lambda items: tuple(reversed(items))),
    "sethaselement": ("lz", _contains),
    "setintersection": ("ll*", _intersection),
    "setproduct": ("l*", _product),
    "setsubtract": ("ll", _subtract),
    "setsymmetricdifference": ("ll*", _symmetric_difference),
    "setunion": ("ll*", _union),
    "slice": ("lnn", _slice),
    "sort": ("l", lambda items: tuple(sorted(to_text(item) for item in items))),
    "values": ("m", lambda table: tuple(table[key] for key in sorted(table))),
    "zipmap": ("ll", _zip),
}
