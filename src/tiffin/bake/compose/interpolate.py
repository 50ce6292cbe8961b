"""`$NAME` and `${NAME:-word}` in the texts of a Compose file, and files like `.env`.

Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_LINE = re.compile(
    r"\s*(?:export\s+)?(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)\s*(?:[=:]\s*(?P<value>.*))?$", re.DOTALL
)
_DEEPEST = 20
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def interpolate(text: str, environ: Mapping[str, str], depth: int = 0) -> str:
    """Return `text` with its variables replaced; what is not set is empty, and `$$` is a dollar."""
    if "$" not in text:
        return text
    found: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        found.append(text[position:dollar])
        replacement, position = _variable(text, dollar, environ, depth)
        found.append(replacement)
    found.append(text[position:])
    return "".join(found)


def _variable(text: str, dollar: int, environ: Mapping[str, str], depth: int) -> tuple[str, int]:
    after = dollar + 1
    if text.startswith("$", after):
        return "$", after + 1
    if text.startswith("{", after):
        end = _closing(text, after)
        return _braced(text[after + 1 : end], environ, depth), end + 1
    name = _NAME.match(text, after)
    if name is None:
        raise InvalidError(
            f"{text[dollar : dollar + 20]!r} is no variable", hint="a dollar sign is written $$"
        )
    return environ.get(name[0], ""), name.end()


def _closing(text: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(text)):
        if text.startswith("${", position - 1) or position == opening:
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if not depth:
                return position
    raise InvalidError(f"{text[opening - 1 : opening + 20]!r} has no closing brace")


def _braced(inside: str, environ: Mapping[str, str], depth: int) -> str:
    name = _NAME.match(inside)
    if name is None or depth > _DEEPEST:
        raise InvalidError(f"'${{{inside[:40]}}}' is no variable", hint="a dollar sign is written $$")
    value, rest = environ.get(name[0]), inside[name.end() :]
    operator = _OPERATOR.match(rest)
    if operator is None:
        if rest:
            raise InvalidError(
                f"'${{{inside[:40]}}}' is no variable", hint="the forms are ${X:-word}, ${X:+word}, ${X:?why}"
            )
        return value or ""
    word = rest[operator.end() :]
    there = value if operator[0].startswith(":") else value is not None
    match operator[0][-1]:
        case "-":
            return (value or "") if there else interpolate(word, environ, depth + 1)
        case "+":
            return interpolate(word, environ, depth + 1) if there else ""
        case _:
            if not there:
                message = interpolate(word, environ, depth + 1) or "it is needed"
                raise InvalidError(f"the variable {name[0]} is not set: {message}")
            return value or ""


def parse_dotenv(text: str, environ: Mapping[str, str], name: str = ".env") -> dict[str, str]:
    """Return the variables that a file like `.env` sets; they may use those of `environ` and earlier ones."""
    found: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(keepends=True), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = _LINE.match(line.rstrip("\r\n"))
        if parts is None:
            raise InvalidError(f"{name}:{number}: {line.strip()[:60]!r} is not NAME=VALUE")
        if parts["value"] is None:
            if parts["key"] in environ:
                found[parts["key"]] = environ[parts["key"]]
            continue
        value = parts["value"]
        quote = value[:1]
        while quote in ("'", '"') and not _is_closed(value):
            following = next(lines, None)
            if following is None:
                raise InvalidError(f"{name}:{number}: the quote is not closed")
            value += "\n" + following[1].rstrip("\r\n")
        found[parts["key"]] = _dotenv_value(value, {**found, **environ})
    return found


def _is_closed(value: str) -> bool:
    return re.match(r"""'[^']*'|"(?:[^"\\]|\\.)*\"""", value, re.DOTALL) is not None


def _dotenv_value(value: str, environ: Mapping[str, str]) -> str:
    if value.startswith("'"):
        return value[1 : value.index("'", 1)]
    if value.startswith('"'):
        quoted = re.match(r'"((?:[^"\\]|\\.)*)"', value, re.DOTALL)
        assert quoted is not None
        raw = quoted[1].replace("\\$", "$$")
        text = interpolate(raw, environ)
        return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[0]), text, flags=re.DOTALL)
    return interpolate(re.split(r"\s#", value, maxsplit=1)[0].strip(), environ)
