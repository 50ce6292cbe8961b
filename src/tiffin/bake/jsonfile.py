"""A bake file in JSON → the same body that HCL gives; strings in it are templates.

Pure. Our own reader, since the standard one does not tell where a value stands.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tiffin.bake.language.ast import Attribute, Block, Body, Expression, Literal, ObjectOf, TupleOf
from tiffin.bake.language.expressions import DEEPEST, ExpressionParser, json_template
from tiffin.bake.language.lexer import Lexer
from tiffin.bake.language.text import Place, Text, invalid
from tiffin.bake.language.values import number

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANK = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,4})?|true|false|null", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CONSTANTS = {"true": True, "false": False, "null": None}
_BLOCKS = ("target", "group", "variable", "function")
_BOM = "\ufeff"


def parse_json(text: str, name: str) -> Body:
    """Return the body that a file of JSON holds; what is no JSON is an InvalidError with its place."""
    reader = _Reader(Text(name, text.removeprefix(_BOM)))
    value = reader.value(0)
    reader.end()
    if not isinstance(value, _Object):
        raise invalid("a bake file in JSON is an object: {…}", value.place)
    attributes: dict[str, Attribute] = {}
    blocks: list[Block] = []
    for key, place, item in value.items:
        if key in _BLOCKS:
            blocks.extend(_blocks(key, item))
        elif key != "//":
            attributes[key] = Attribute(key, _expression(item), place)
    return Body(attributes, tuple(blocks))


class _Object:
    def __init__(self, items: list[tuple[str, Place, _Value]], place: Place) -> None:
        self.items, self.place = items, place


class _Array:
    def __init__(self, items: list[_Value], place: Place) -> None:
        self.items, self.place = items, place


_Value = _Object | _Array | Literal


def _each(item: _Value) -> Iterator[_Object]:
    """An object, or several in an array."""
    for one in item.items if isinstance(item, _Array) else [item]:
        if not isinstance(one, _Object):
            raise invalid("an object is needed here: {…}", one.place)
        yield one


def _blocks(kind: str, item: _Value) -> Iterator[Block]:
    for labelled in _each(item):
        for label, place, bodies in labelled.items:
            for body in _each(bodies):
                yield Block(kind, (label,), _body(kind, body), place, place)


def _body(kind: str, value: _Object) -> Body:
    attributes: dict[str, Attribute] = {}
    blocks: list[Block] = []
    for key, place, item in value.items:
        if kind == "variable" and key == "validation":
            blocks.extend(Block(key, (), _body(key, body), place, place) for body in _each(item))
        elif key != "//":
            native = kind == "variable" and key == "type"
            attributes[key] = Attribute(key, _native(item) if native else _expression(item), place)
    return Body(attributes, tuple(blocks))


def _native(item: _Value) -> Expression:
    """Types are written as in HCL, within a string."""
    if isinstance(item, Literal) and isinstance(item.value, str):
        return ExpressionParser(Lexer(Text(item.place.source.name, item.value), item.place)).expression()
    return _expression(item)


def _expression(item: _Value) -> Expression:
    match item:
        case _Object():
            pairs = [(json_template(key, place), _expression(value)) for key, place, value in item.items]
            return ObjectOf(tuple(pairs), item.place)
        case _Array():
            return TupleOf(tuple(_expression(value) for value in item.items), item.place)
        case Literal(str() as text, place):
            return json_template(text, place)
        case Literal():
            return item


class _Reader:
    def __init__(self, source: Text) -> None:
        self._source, self._text, self._position = source, source.text, 0

    def value(self, depth: int) -> _Value:
        start = self._skip()
        if depth > DEEPEST:
            raise self._wrong(f"this is nested more than {DEEPEST} times")
        char = self._text[start : start + 1]
        if char == "{":
            return self._object(start, depth)
        if char == "[":
            return self._array(start, depth)
        if char == '"':
            return Literal(self._string(), self._since(start))
        scalar = _SCALAR.match(self._text, start)
        if scalar is None:
            raise self._wrong("a value is needed here")
        self._position = scalar.end()
        text = scalar[0]
        return Literal(_CONSTANTS[text] if text in _CONSTANTS else number(text), self._since(start))

    def end(self) -> None:
        if self._skip() < len(self._text):
            raise self._wrong("the object ends before this")

    def _object(self, start: int, depth: int) -> _Object:
        items: list[tuple[str, Place, _Value]] = []
        self._position = start + 1
        if not self._take("}"):
            while True:
                at = self._skip()
                if not self._text.startswith('"', at):
                    raise self._wrong("a name in double quotes is needed here")
                key = self._string()
                place = self._since(at)
                if not self._take(":"):
                    raise self._wrong("':' is needed here")
                items.append((key, place, self.value(depth + 1)))
                if self._take("}"):
                    break
                if not self._take(","):
                    raise self._wrong("',' or '}' is needed here")
        return _Object(items, self._since(start))

    def _array(self, start: int, depth: int) -> _Array:
        items: list[_Value] = []
        self._position = start + 1
        if not self._take("]"):
            while True:
                items.append(self.value(depth + 1))
                if self._take("]"):
                    break
                if not self._take(","):
                    raise self._wrong("',' or ']' is needed here")
        return _Array(items, self._since(start))

    def _string(self) -> str:
        start = self._position
        whole = _STRING.match(self._text, start)
        if whole is None:
            raise invalid("the string has no closing quote", self._source.place(start, start + 1))
        try:
            text: str = json.loads(whole[0])
        except json.JSONDecodeError as error:
            place = self._source.place(start + error.pos, start + error.pos + 1)
            raise invalid(f"the string is not valid: {error.msg}", place) from error
        self._position = whole.end()
        return text

    def _skip(self) -> int:
        blank = _BLANK.match(self._text, self._position)
        self._position = blank.end() if blank else self._position
        return self._position

    def _take(self, char: str) -> bool:
        if self._text.startswith(char, self._skip()):
            self._position += 1
            return True
        return False

    def _since(self, start: int) -> Place:
        return self._source.place(start, self._position)

    def _wrong(self, message: str) -> Exception:
        return invalid(message, self._source.place(self._position, self._position + 1))
