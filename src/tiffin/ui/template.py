"""The templates of `--format`: text → nodes (pure).

The part of Go's text/template that Docker's users write: fields, variables,
pipelines, literals, parentheses, `if`/`else if`/`else`, `range` with `break` and
`continue`, `with`, comments and trimming. `evaluate` gives the nodes their meaning.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError, Where

if TYPE_CHECKING:
    from collections.abc import Iterator


class Literal(NamedTuple):
    """A constant: text, number, true, false, nil."""

    value: object


class Field(NamedTuple):
    """A chain of names, from the dot (`variable` is empty), a variable, or an inner pipeline."""

    names: tuple[str, ...]
    variable: str = ""
    inner: Pipeline | None = None


class Call(NamedTuple):
    """A function by name, or a field that takes arguments, with its arguments."""

    target: str | Field
    arguments: tuple[Operand, ...]


class Pipeline(NamedTuple):
    """Commands, each given the result of the one before as its last argument; kept in `variables`."""

    commands: tuple[Operand, ...]
    variables: tuple[str, ...] = ()


Operand = Literal | Field | Call | Pipeline


class Text(NamedTuple):
    """Text as it stands."""

    text: str


class Output(NamedTuple):
    """A pipeline whose value is printed (or only kept, if it declares a variable)."""

    pipeline: Pipeline


class Branch(NamedTuple):
    """`if`, `with` or `range`: what to do when the value is not empty, and otherwise."""

    keyword: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


class Jump(NamedTuple):
    """`break` or `continue`, in a `range`."""

    keyword: str


Node = Text | Output | Branch | Jump

_ACTION = re.compile(
    r"\{\{(-[ \t\r\n])?((?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|(?!\}\}).)*?)([ \t\r\n]-)?\}\}", re.DOTALL
)
_COMMENT = re.compile(r"\s*/\*.*\*/\s*", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:\\.|[^\"\\])*\"|`[^`]*`)|(?P<number>[+-]?\d+(?:\.\d+)?)|(?P<mark>:=|=|[|(),])"
    r"|(?P<field>(?:\.[^\W\d]\w*)+)|(?P<dot>\.)|(?P<variable>\$\w*)|(?P<word>[^\W\d]\w*))"
)
_WORDS = {"true": True, "false": False, "nil": None}


def parse(text: str) -> tuple[Node, ...]:
    """The nodes of a template; InvalidError points at what cannot be read."""
    return _Parser(text).parse()


class _Token(NamedTuple):
    kind: str
    text: str
    spaced: bool  # blanks before it: `$x.A` and `$x .A` differ


class _Parser:
    """Splits a template into text and actions, and reads the actions."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts = list(self._split())
        self._at = 0
        self._ranges = 0

    def parse(self) -> tuple[Node, ...]:
        """All nodes; a stray `end` or `else` is an error."""
        nodes, closing = self._nodes()
        if closing:
            raise self._error(f"{{{{{closing}}}}} without an if, range or with before it")
        return nodes

    def _split(self) -> Iterator[tuple[str, str, int]]:
        """(kind, text, place) for texts and actions, trimming done and comments gone."""
        place, trim = 0, False
        for match in _ACTION.finditer(self._text):
            before = self._text[place : match.start()]
            before = before.lstrip() if trim else before
            yield "text", before.rstrip() if match[1] else before, place
            if not _COMMENT.fullmatch(match[2]):
                yield "action", match[2].strip(), match.start()
            place, trim = match.end(), bool(match[3])
        rest = self._text[place:]
        if "{{" in rest:
            raise self._error("an action is not closed with }}", place + rest.index("{{"))
        yield "text", rest.lstrip() if trim else rest, place

    def _nodes(self) -> tuple[tuple[Node, ...], str]:
        """Nodes up to the action that closes this level, and that action."""
        nodes: list[Node] = []
        while self._at < len(self._parts):
            kind, text, _ = self._parts[self._at]
            self._at += 1
            if kind == "text":
                nodes += [Text(text)] if text else []
                continue
            word = text.split(None, 1)[0] if text else ""
            if word in ("end", "else"):
                return tuple(nodes), text
            if word in ("if", "with", "range"):
                nodes.append(self._branch(word, text[len(word) :]))
            elif word in ("break", "continue") and self._ranges:
                nodes.append(Jump(word))
            elif word in ("define", "template", "block", "break", "continue"):
                raise self._error(f"{{{{{word}}}}} is not supported in --format")
            else:
                nodes.append(Output(self._pipeline(text)))
        return tuple(nodes), ""

    def _branch(self, keyword: str, text: str) -> Branch:
        pipeline = self._pipeline(text, keyword)
        self._ranges += keyword == "range"
        body, closing = self._nodes()
        self._ranges -= keyword == "range"
        otherwise: tuple[Node, ...] = ()
        if closing.startswith("else"):
            again = closing[len("else") :].split(None, 1)
            if again:
                return Branch(keyword, pipeline, body, (self._branch(again[0], "".join(again[1:])),))
            otherwise, closing = self._nodes()
        if closing != "end":
            raise self._error(f"{{{{{keyword}}}}} has no {{{{end}}}}")
        return Branch(keyword, pipeline, body, otherwise)

    def _pipeline(self, text: str, keyword: str = "") -> Pipeline:
        tokens = self._tokens(text)
        if not tokens:
            raise self._error(f"{{{{{keyword}}}}} has no value")
        pipeline, rest = self._read_pipeline(tokens)
        if rest:
            raise self._error(f"unexpected {rest[0].text!r} in {{{{{text.strip()}}}}}")
        return pipeline

    def _tokens(self, text: str) -> list[_Token]:
        tokens, place = [], 0
        text = text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise self._error(f"cannot read {text[place:].strip()[:20]!r} in {{{{{text}}}}}")
            tokens.append(_Token(match.lastgroup, match[match.lastgroup], match[0][0].isspace()))
            place = match.end()
        return tokens

    def _read_pipeline(self, tokens: list[_Token]) -> tuple[Pipeline, list[_Token]]:
        variables: tuple[str, ...] = ()
        marks = [token.text for token in tokens[:4]]
        if marks[1:2] in ([":="], ["="]):
            variables, tokens = (marks[0],), tokens[2:]
        elif marks[1:2] == [","] and marks[3:4] == [":="]:
            variables, tokens = (marks[0], marks[2]), tokens[4:]
        commands: list[Operand] = []
        while True:
            command, tokens = self._read_command(tokens)
            commands.append(command)
            if not tokens or tokens[0].text != "|" or tokens[0].kind != "mark":
                return Pipeline(tuple(commands), variables), tokens
            tokens = tokens[1:]

    def _read_command(self, tokens: list[_Token]) -> tuple[Operand, list[_Token]]:
        operands: list[Operand] = []
        function = ""
        while tokens and not (tokens[0].kind == "mark" and tokens[0].text in "|)"):
            if tokens[0].kind == "word" and tokens[0].text not in _WORDS and not operands and not function:
                function, tokens = tokens[0].text, tokens[1:]
                continue
            operand, tokens = self._read_operand(tokens)
            operands.append(operand)
        if function:
            return Call(function, tuple(operands)), tokens
        if not operands:
            raise self._error("a command is missing")
        first, *arguments = operands
        if not arguments:
            return first, tokens
        if not isinstance(first, Field):
            raise self._error("only a function or a field can be given arguments")
        return Call(first, tuple(arguments)), tokens

    def _read_operand(self, tokens: list[_Token]) -> tuple[Operand, list[_Token]]:
        token, rest = tokens[0], tokens[1:]
        match token.kind:
            case "text":
                return Literal(self._unquote(token.text)), rest
            case "number":
                return Literal(float(token.text) if "." in token.text else int(token.text)), rest
            case "word" if token.text in _WORDS:
                return Literal(_WORDS[token.text]), rest
            case "word":
                return Call(token.text, ()), rest
            case "dot":
                return Field(()), rest
            case "field":
                return Field(tuple(token.text[1:].split("."))), rest
            case "variable":
                names, rest = _names(rest)
                return Field(names, token.text), rest
            case "mark" if token.text == "(":
                inner, rest = self._read_pipeline(rest)
                if not rest or rest[0].text != ")":
                    raise self._error("a parenthesis is not closed")
                names, rest = _names(rest[1:])
                return (Field(names, "", inner) if names else inner), rest
            case _:
                raise self._error(f"unexpected {token.text!r}")

    def _unquote(self, text: str) -> str:
        if text.startswith("`"):
            return text[1:-1]
        try:
            return str(json.loads(text))
        except ValueError:
            raise self._error(f"cannot read the text {text}") from None

    def _error(self, message: str, place: int | None = None) -> InvalidError:
        if place is None:
            place = self._parts[self._at - 1][2] if hasattr(self, "_parts") and self._at else 0
        where = Where("--format", 1, place + 1, place + 1, self._text) if "\n" not in self._text else None
        return InvalidError(f"the template cannot be read: {message}", code="bad-template", where=where)


def _names(tokens: list[_Token]) -> tuple[tuple[str, ...], list[_Token]]:
    """The field chain that directly follows, without a blank between."""
    if tokens and tokens[0].kind == "field" and not tokens[0].spaced:
        return tuple(tokens[0].text[1:].split(".")), tokens[1:]
    return (), tokens
