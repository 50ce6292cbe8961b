"""YAML text → plain values, with the place of each; several documents merged into one.

Pure. Read as YAML 1.2 has it: `yes` and `12:30` are texts. Aliases are bounded, since a
short text can stand for a huge one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias, Union

from tiffin.bake.compose.interpolate import interpolate
from tiffin.errors import InvalidError, Where

if TYPE_CHECKING:
    from collections.abc import Mapping

    import yaml

Plain: TypeAlias = Union[dict[str, "Plain"], list["Plain"], str, int, float, bool, None]  # noqa: UP007 - a name in quotes
Path: TypeAlias = tuple[str, ...]

_MOST = 100_000
_LONGEST_NUMBER = 19
# As the reference reads them, which takes the octal numbers of YAML 1.1 too.
_BASES = {"hex": 16, "bin": 2, "oct": 8}
_INTEGER = re.compile(
    r"[-+]?(?:(?P<hex>0[xX][0-9a-fA-F]+)|(?P<bin>0[bB][01]+)|(?P<oct>0[oO]?[0-7]+)|0|[1-9][0-9]*)", re.ASCII
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_LISTED_PAIRS = ("args", "labels", "environment", "additional_contexts", "extra_hosts", "ssh")


class Document:
    """The values of a file, and where they stand."""

    def __init__(self, text: str, name: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self._lines = text.split("\n")
        self._environ = environ
        self._left = _MOST
        self.places: dict[Path, Where] = {}
        node = _compose(text, name)
        self.value: Plain = None if node is None else self._plain(node, ())

    def _where(self, node: yaml.Node) -> Where:
        line = node.start_mark.line
        text = self._lines[line].rstrip("\r") if line < len(self._lines) else ""
        column = node.start_mark.column + 1
        same_line = node.end_mark.line == line
        end = node.end_mark.column + 1 if same_line else len(text) + 1
        return Where(self.name, line + 1, column, max(end, column + 1), text)

    def _plain(self, node: yaml.Node, path: Path) -> Plain:
        import yaml

        self._left -= 1
        if self._left < 0 or len(path) > 60:
            raise InvalidError("the file stands for too much", code="bake-too-much", where=self._where(node))
        self.places[path] = self._where(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*path, str(index))) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Plain]:
        found: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key_node.tag == "tag:yaml.org,2002:merge":
                inner = self._plain(value_node, (*path, key))
                for base in inner if isinstance(inner, list) else [inner]:
                    found = {**base, **found} if isinstance(base, dict) else found
            else:
                found[key] = self._plain(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.ScalarNode) -> Plain:
        try:
            text = interpolate(str(node.value), self._environ)
        except InvalidError as error:
            raise InvalidError(
                error.message, code="bake-variable", hint=error.hint, where=self._where(node)
            ) from error
        if node.style in ("'", '"', "|", ">"):
            return text
        return scalar(text)


def _compose(text: str, name: str) -> yaml.Node | None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node: yaml.Node | None = yaml.compose(text, loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        lines = text.split("\n")
        where = None
        if mark is not None:
            line = lines[mark.line].rstrip("\r") if mark.line < len(lines) else ""
            where = Where(name, mark.line + 1, mark.column + 1, mark.column + 2, line)
        raise InvalidError(f"this is no YAML: {problem}", code="bake-invalid", where=where) from error
    return node


def scalar(text: str) -> Plain:
    """Return what a plain scalar of YAML 1.2 stands for."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    digits = text.replace("_", "")
    if len(digits) < _LONGEST_NUMBER and (found := _INTEGER.fullmatch(digits)) is not None:
        base = next((base for name, base in _BASES.items() if found[name]), 10)
        return int(digits.lower().replace("0o", "0", 1) if base == 8 else digits, base)
    if len(digits) < _LONGEST_NUMBER and _FLOAT.fullmatch(digits):
        return float(digits)
    return text


def merge(one: Plain, other: Plain, path: Path = ()) -> Plain:
    """Return what two files say together: the later counts, maps are joined, lists are appended."""
    if isinstance(one, list) and isinstance(other, dict) and path[-1:] and path[-1] in _LISTED_PAIRS:
        one = _mapped(one)
    if isinstance(other, list) and isinstance(one, dict) and path[-1:] and path[-1] in _LISTED_PAIRS:
        other = _mapped(other)
    if isinstance(one, dict) and isinstance(other, dict):
        joined = dict(one)
        for key, value in other.items():
            joined[key] = merge(one[key], value, (*path, key)) if key in one else value
        return joined
    if path[-1:] == ("build",) and (isinstance(one, dict) != isinstance(other, dict)):
        return merge(_build(one), _build(other), path)
    if isinstance(one, list) and isinstance(other, list):
        if path[-1:] and path[-1] in _LISTED_PAIRS:
            return merge(_mapped(one), _mapped(other), path)
        return [*one, *(item for item in other if item not in one)]
    return one if other is None else other


def _build(value: Plain) -> Plain:
    return {"context": value} if isinstance(value, str) else value


def _mapped(items: list[Plain]) -> dict[str, Plain]:
    found: dict[str, Plain] = {}
    for item in items:
        key, equals, value = str(item).partition("=")
        found[key] = value if equals else None
    return found
