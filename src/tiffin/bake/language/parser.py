"""HCL text → body: attributes and blocks.

Pure. What a block or an attribute means is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.bake.language.ast import Attribute, Block, Body, Literal
from tiffin.bake.language.expressions import ExpressionParser, shown
from tiffin.bake.language.lexer import Lexer
from tiffin.bake.language.text import Text, invalid

if TYPE_CHECKING:
    from tiffin.bake.language.lexer import Token

_BOM = "\ufeff"


def parse(text: str, name: str) -> Body:
    """Return the body that the file `name` holds; bad grammar is an InvalidError with its place."""
    return _BodyParser(Lexer(Text(name, text.removeprefix(_BOM)))).body("end")


class _BodyParser(ExpressionParser):
    def body(self, closing: str) -> Body:
        """Read up to the `closing` brace, or to the end of the file."""
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        while True:
            token = self.take()
            if token.kind == "newline":
                continue
            if token.kind == "end" or token.text == "}":
                if closing not in (token.kind, token.text):
                    message = "this } closes nothing" if token.text == "}" else "a block is not closed with }"
                    raise invalid(message, self.place(token))
                return Body(attributes, tuple(blocks))
            if token.kind != "name":
                raise invalid(
                    f"an attribute or a block is needed here, not {shown(token)}", self.place(token)
                )
            self._definition(token, attributes, blocks)

    def _definition(self, name: Token, attributes: dict[str, Attribute], blocks: list[Block]) -> None:
        if self.accept("="):
            attribute = Attribute(name.text, self.expression(), self.place(name))
            if name.text in attributes:
                line = attributes[name.text].place.where.line
                raise invalid(f"{name.text} was already set in line {line}", self.place(name))
            attributes[name.text] = attribute
        else:
            blocks.append(self._block(name))
        self._line_ends(after=f"the value of {name.text}" if name.text in attributes else "the block")

    def _line_ends(self, after: str) -> None:
        token = self.peek()
        if token.kind == "newline":
            self.take()
        elif token.kind != "end" and token.text != "}":
            raise invalid(
                f"the line must end behind {after}, and here is {shown(token)}",
                self.place(token),
                hint="one attribute a line; several need { and } on lines of their own",
            )

    def _block(self, kind: Token) -> Block:
        labels: list[str] = []
        label_place = self.place(kind)
        while not self.accept("{"):
            token = self.peek()
            place = self.place(token)
            if token.kind == "quote":
                label = self.term()
                if not isinstance(label, Literal) or not isinstance(label.value, str):
                    raise invalid("the name of a block cannot have ${} in it", label.place)
                labels.append(label.value)
                place = label.place
            elif token.kind == "name":
                labels.append(self.take().text)
            else:
                hint = (
                    f"an attribute is set with =, a block begins with {{: {kind.text} = … or {kind.text} {{"
                )
                raise invalid(f"'=' or '{{' is needed here, not {shown(token)}", place, hint=hint)
            label_place = label_place if len(labels) > 1 else place
        opening = self.lexer.position
        with self.bracketed(newlines=True):
            body = self.body("}")
        return Block(kind.text, tuple(labels), body, self.lexer.place(kind.start, opening), label_place)
