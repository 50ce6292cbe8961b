"""The expression parser of HCL, by recursive descent, with the templates inside strings.

Pure. Nesting is limited, so that no text can exhaust the stack.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiffin.bake.language import interpolation, templates
from tiffin.bake.language.ast import (
    Call,
    Chain,
    Conditional,
    For,
    GetIndex,
    GetName,
    Literal,
    ObjectOf,
    Splat,
    Template,
    Traverse,
    TupleOf,
    Unary,
    Variable,
)
from tiffin.bake.language.lexer import Lexer
from tiffin.bake.language.text import Text, invalid
from tiffin.bake.language.values import BadValueError, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.bake.language.ast import Expression
    from tiffin.bake.language.lexer import Token
    from tiffin.bake.language.text import Place

DEEPEST = 60
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))
_LEVEL_OF = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}
_CONSTANTS = {"true": True, "false": False, "null": None}


class ExpressionParser:
    """Reads expressions at the position of a lexer. `newlines` says whether a newline ends one."""

    def __init__(self, lexer: Lexer) -> None:
        self.lexer = lexer
        self.newlines = True
        self._depth = 0

    # -- tokens

    def peek(self) -> Token:
        """Return the next token."""
        return self.lexer.peek(newlines=self.newlines)

    def take(self) -> Token:
        """Return the next token and go on behind it."""
        return self.lexer.take(self.peek())

    def accept(self, *symbols: str) -> Token | None:
        """Take the next token if it is one of `symbols`."""
        token = self.peek()
        return self.lexer.take(token) if token.kind == "symbol" and token.text in symbols else None

    def expect(self, symbol: str, what: str) -> Token:
        """Take `symbol`, or say that `what` needs it."""
        token = self.accept(symbol)
        if token is None:
            found = self.peek()
            raise invalid(f"{what} needs {symbol!r} here, not {shown(found)}", self.place(found))
        return token

    def place(self, token: Token) -> Place:
        """Return where `token` stands."""
        return self.lexer.place(token.start, token.end)

    def since(self, start: int) -> Place:
        """Return the range from `start` to the last token."""
        return self.lexer.place(start, self.lexer.position)

    @contextmanager
    def bracketed(self, *, newlines: bool = False) -> Iterator[None]:
        """Between brackets a newline is a blank."""
        before, self.newlines = self.newlines, newlines
        self._depth += 1
        if self._depth > DEEPEST:
            raise invalid(f"this is nested more than {DEEPEST} times", self.place(self.peek()))
        try:
            yield
        finally:
            self.newlines = before
            self._depth -= 1

    # -- operators

    def expression(self) -> Expression:
        """Return the expression at the position."""
        start = self.peek().start
        condition = self._chain(0)
        if not self.accept("?"):
            return condition
        with self.bracketed(newlines=self.newlines):
            yes = self.expression()
            self.expect(":", "the conditional")
            no = self.expression()
        return Conditional(condition, yes, no, self.since(start))

    def _chain(self, least: int) -> Expression:
        """Operators of level `least` and of those that bind closer."""
        start = self.peek().start
        left = self._unary()
        while (level := self._operator_level()) is not None and level >= least:
            rest: list[tuple[str, Expression]] = []
            while (operator := self.accept(*_LEVELS[level])) is not None:
                rest.append((operator.text, self._chain(level + 1)))
            left = Chain(left, tuple(rest), self.since(start))
        return left

    def _operator_level(self) -> int | None:
        token = self.peek()
        return _LEVEL_OF.get(token.text) if token.kind == "symbol" else None

    def _unary(self) -> Expression:
        operator = self.accept("-", "!")
        if operator is None:
            return self._traversal()
        with self.bracketed(newlines=self.newlines):
            return Unary(operator.text, self._unary(), self.since(operator.start))

    # -- steps into a value

    def _traversal(self) -> Expression:
        start = self.peek().start
        base = self.term()
        steps: list[GetName | GetIndex | Splat] = []
        while (step := self._step()) is not None:
            steps.extend(step)
        return Traverse(base, tuple(steps), self.since(start)) if steps else base

    def _step(self) -> list[GetName | GetIndex | Splat] | None:
        opening = self.accept(".", "[")
        if opening is None:
            return None
        if opening.text == ".":
            if self.accept("*"):
                return [self._splat(opening, full=False)]
            return list(self._names(opening))
        return [self._index(opening)]

    def _names(self, dot: Token) -> Iterator[GetName | GetIndex]:
        """What may follow a dot: a name, or a number, where `.0.1` is two steps."""
        token = self.take()
        if token.kind == "name":
            yield GetName(token.text, self.since(dot.start))
        elif token.kind == "number" and re.fullmatch(r"[0-9]+(\.[0-9]+)?", token.text):
            for index in token.text.split("."):
                place = self.since(dot.start)
                yield GetIndex(Literal(number(index), place), place)
        else:
            raise invalid(f"a name is needed behind the dot, not {shown(token)}", self.place(token))

    def _index(self, opening: Token) -> GetIndex | Splat:
        with self.bracketed():
            key = None if self.accept("*") else self.expression()
            self.expect("]", "the index")
        if key is None:
            return self._splat(opening, full=True)
        return GetIndex(key, self.since(opening.start))

    def _splat(self, opening: Token, *, full: bool) -> Splat:
        """`[*]` hands all steps behind it to each element, `.*` only those with a dot."""
        each: list[GetName | GetIndex] = []
        while True:
            mark = self.lexer.position
            if (dot := self.accept(".")) is not None:
                if self.accept("*"):
                    self.lexer.position = mark
                    break
                each.extend(self._names(dot))
            elif full and (bracket := self.accept("[")) is not None:
                step = self._index_or_nothing(bracket)
                if step is None:
                    self.lexer.position = mark
                    break
                each.append(step)
            else:
                break
        return Splat(tuple(each), self.since(opening.start))

    def _index_or_nothing(self, bracket: Token) -> GetIndex | None:
        with self.bracketed():
            if self.accept("*"):
                return None
            key = self.expression()
            self.expect("]", "the index")
        return GetIndex(key, self.since(bracket.start))

    # -- terms

    def term(self) -> Expression:
        """Return a value without operators and steps."""
        token = self.take()
        match token.kind, token.text:
            case "number", text:
                return self._number(text, token)
            case "quote", _:
                return self._quoted(token)
            case "heredoc", _:
                return self._heredoc(token)
            case "name", text if text in _CONSTANTS:
                return Literal(_CONSTANTS[text], self.place(token))
            case "name", _:
                return self._name(token)
            case "symbol", "(":
                with self.bracketed():
                    inner = self.expression()
                    self.expect(")", "the parenthesis")
                return inner
            case "symbol", "[":
                return self._list(token)
            case "symbol", "{":
                return self._object(token)
            case _:
                raise invalid(f"a value is needed here, not {shown(token)}", self.place(token))

    def _number(self, text: str, token: Token) -> Expression:
        try:
            return Literal(number(text), self.place(token))
        except BadValueError as error:
            raise invalid(f"{error.message} that can be kept", self.place(token)) from error

    def _name(self, token: Token) -> Expression:
        opening = self.lexer.peek(newlines=True)
        if opening.kind != "symbol" or opening.text != "(":
            return Variable(token.text, self.place(token))
        self.lexer.take(opening)
        arguments: list[Expression] = []
        spread = False
        with self.bracketed():
            while not self.accept(")"):
                arguments.append(self.expression())
                if self.accept("..."):
                    spread = True
                    self.accept(",")
                    self.expect(")", "a call whose last argument is spread by ...")
                    break
                if not self.accept(","):
                    self.expect(")", f"the call of {token.text}")
                    break
        return Call(token.text, tuple(arguments), spread, self.place(token), self.since(token.start))

    def _list(self, opening: Token) -> Expression:
        with self.bracketed():
            if self._is_for():
                return self._for(opening, "]")
            items: list[Expression] = []
            while not self.accept("]"):
                items.append(self.expression())
                if not self.accept(","):
                    self.expect("]", "the list")
                    break
        return TupleOf(tuple(items), self.since(opening.start))

    def _object(self, opening: Token) -> Expression:
        with self.bracketed():
            if self._is_for():
                return self._for(opening, "}")
            items: list[tuple[Expression, Expression]] = []
            while not self.accept("}"):
                items.append(self._item())
                with self.bracketed(newlines=True):
                    ended = self.accept(",", "}")
                    newline = self.peek().kind == "newline"
                if ended is not None and ended.text == "}":
                    break
                if ended is None and not newline:
                    found = self.peek()
                    raise invalid(
                        f"a newline or a comma is needed between the items of a map, not {shown(found)}",
                        self.place(found),
                    )
        return ObjectOf(tuple(items), self.since(opening.start))

    def _item(self) -> tuple[Expression, Expression]:
        first = self.peek()
        key = self.expression()
        if isinstance(key, Variable) and first.text != "(":
            key = Literal(key.name, key.place)
        elif isinstance(key, Literal) and first.kind == "name":
            key = Literal(first.text, key.place)
        elif isinstance(key, Traverse) and first.kind == "name":
            raise invalid(
                "this key is neither a name nor a value",
                key.place,
                hint="put it in quotes if it is a name with dots, and in parentheses if it is a reference",
            )
        with self.bracketed(newlines=True):
            if not self.accept("=", ":"):
                found = self.peek()
                raise invalid(f"the key of a map needs = and a value, not {shown(found)}", self.place(found))
            return key, self.expression()

    def _is_for(self) -> bool:
        token = self.peek()
        return token.kind == "name" and token.text == "for"

    def _for(self, opening: Token, closing: str) -> Expression:
        self.take()
        names = self.loop_names()
        collection = self.expression()
        self.expect(":", "the for-expression")
        key: Expression | None = None
        value = self.expression()
        if closing == "}":
            self.expect("=>", "a for-expression in braces")
            key, value = value, self.expression()
        group = closing == "}" and self.accept("...") is not None
        condition = None
        if (token := self.peek()).kind == "name" and token.text == "if":
            self.take()
            condition = self.expression()
        self.expect(closing, "the for-expression")
        return For(*names, collection, key, value, condition, group, self.since(opening.start))

    def loop_names(self) -> tuple[str | None, str]:
        """Return the one or two names before `in`, which is taken too."""
        names = [self._loop_name()]
        if self.accept(","):
            names.append(self._loop_name())
        token = self.take()
        if token.text != "in":
            raise invalid(f"'for' needs 'in' here, not {shown(token)}", self.place(token))
        return (None, names[0]) if len(names) == 1 else (names[0], names[1])

    def _loop_name(self) -> str:
        token = self.take()
        if token.kind != "name":
            raise invalid(f"'for' needs a name here, not {shown(token)}", self.place(token))
        return token.text

    # -- templates

    def _quoted(self, opening: Token) -> Expression:
        pieces = interpolation.pieces(self, None, opening)
        self.lexer.position += 1
        return _plain(templates.assemble(pieces, self.since(opening.start), flush=False))

    def _heredoc(self, opening: Token) -> Expression:
        flush = opening.text.startswith("<<-")
        marker = opening.text.removeprefix("<<").removeprefix("-").strip()
        closing = re.compile(rf"^[ \t]*{re.escape(marker)}[ \t]*(?=\r?$)", re.MULTILINE)
        found = closing.search(self.lexer.source.text, self.lexer.position)
        if found is None:
            raise invalid(
                "the here-document has no end",
                self.place(opening),
                hint=f"its last line is {marker}, alone",
            )
        pieces = interpolation.pieces(self, found.start(), opening)
        self.lexer.position = found.end()
        return _plain(templates.assemble(pieces, self.since(opening.start), flush=flush))

    def template(self) -> Expression:
        """Return the whole text as a template, as a string in JSON is one."""
        end = len(self.lexer.source.text)
        pieces = interpolation.pieces(self, end, None)
        return _plain(templates.assemble(pieces, self.lexer.place(0, end), flush=False))


def _plain(template: Template) -> Expression:
    """Return what a template is if it is but text, or but one interpolation, whose value it then has."""
    if all(isinstance(part, Literal) and isinstance(part.value, str) for part in template.parts):
        texts = [part.value for part in template.parts if isinstance(part, Literal)]
        return Literal("".join(str(text) for text in texts), template.place)
    return template


def shown(token: Token) -> str:
    """Return a token as messages speak of it."""
    return {"newline": "the end of the line", "end": "the end of the file", "quote": "a string"}.get(
        token.kind, repr(token.text.strip())
    )


def json_template(text: str, place: Place) -> Expression:
    """Return the expression that a string of JSON stands for; all its places are `place`."""
    if "${" not in text and "%{" not in text:
        return Literal(text, place)
    return ExpressionParser(Lexer(Text(place.source.name, text), place)).template()
