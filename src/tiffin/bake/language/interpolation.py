"""Reading the pieces of a template: runs of text, `${ values }` and `%{ directives }`.

Pure. The parser reads the expressions; its lexer's position moves along.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.bake.language.templates import Piece, unescape
from tiffin.bake.language.text import invalid

if TYPE_CHECKING:
    from tiffin.bake.language.expressions import ExpressionParser
    from tiffin.bake.language.lexer import Token

_QUOTED = re.compile(r'[^"\\\n$%]+|[$%](?!\{)')
_PLAIN = re.compile(r"[^$%\n]+|\n|[$%](?!\{)")
_OPENINGS = ("${", "%{")
_ESCAPED_OPENINGS = ("$${", "%%{")


def pieces(parser: ExpressionParser, end: int | None, opening: Token | None) -> list[Piece]:
    """Read up to `end`, or to the closing quote if that is None; in quotes there are escapes."""
    text, found = parser.lexer.source.text, list[Piece]()
    while True:
        position = parser.lexer.position
        if end is not None and position >= end:
            break
        if end is None and text.startswith('"', position):
            break
        if text.startswith(_OPENINGS, position):
            found.append(_interpolation(parser, position))
        else:
            found.append(_text(parser, end, opening))
    return found


def _text(parser: ExpressionParser, end: int | None, opening: Token | None) -> Piece:
    """Read text up to an interpolation; in a here-document, up to the end of the line at most."""
    text, start = parser.lexer.source.text, parser.lexer.position
    position, found, last = start, list[str](), len(text) if end is None else end
    pattern = _QUOTED if end is None else _PLAIN
    while position < last and not text.startswith(_OPENINGS, position):
        if text.startswith(_ESCAPED_OPENINGS, position):
            found.append(text[position + 1 : position + 3])
            position += 3
        elif end is None and text[position] == "\\":
            char, position = unescape(text, position, parser.lexer.place(position, position + 2))
            found.append(char)
        elif (run := pattern.match(text, position, last)) is not None:
            found.append(run[0])
            position = run.end()
            if run[0] == "\n":
                break
        else:
            break
    if end is None and not text.startswith(('"', *_OPENINGS), position):
        assert opening is not None
        raise invalid(
            "the string has no closing quote on its line",
            parser.place(opening),
            hint="write \\n for a newline, or use a here-document: <<EOT",
        )
    parser.lexer.position = position
    return Piece("text", parser.lexer.place(start, position), "".join(found))


def _interpolation(parser: ExpressionParser, start: int) -> Piece:
    text = parser.lexer.source.text
    cut_before = text.startswith("~", start + 2)
    parser.lexer.position = start + 2 + cut_before
    with parser.bracketed():
        if text[start] == "%":
            piece = _directive(parser, start)
        else:
            piece = Piece("value", parser.since(start), expression=parser.expression())
        cut_after = parser.accept("~") is not None
        parser.expect("}", "the interpolation")
    return piece._replace(place=parser.since(start), cut_before=cut_before, cut_after=cut_after)


def _directive(parser: ExpressionParser, start: int) -> Piece:
    token = parser.take()
    match token.text:
        case "if":
            return Piece("if", parser.since(start), expression=parser.expression())
        case "for":
            names = parser.loop_names()
            return Piece("for", parser.since(start), expression=parser.expression(), names=names)
        case "else" | "endif" | "endfor":
            return Piece(token.text, parser.since(start))
        case _:
            raise invalid(
                f"{token.text!r} is no directive",
                parser.place(token),
                hint="the directives are if, else, endif, for and endfor",
            )
