"""Text with interpolations: what stands in quotes, in a here-document, or in a string of JSON.

Pure. First pieces in a row, with the blanks cut off that `~` asks for; then the
indentation of a `<<-` here-document is taken away; then directives are matched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.language.ast import Literal, Template, TemplateFor, TemplateIf
from tiffin.bake.language.text import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.bake.language.ast import Expression
    from tiffin.bake.language.text import Place

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_HEXADECIMAL = {"u": re.compile(r"[0-9a-fA-F]{4}"), "U": re.compile(r"[0-9a-fA-F]{8}")}
_DEEPEST = 60
_LAST_CHARACTER = 0x10FFFF


class Piece(NamedTuple):
    """A part of a template before directives are matched.

    `kind` is `text`, `value`, `if`, `else`, `endif`, `for` or `endfor`; `names` are
    those of a `for`; `cut_before` and `cut_after` stand for `~`.
    """

    kind: str
    place: Place
    text: str = ""
    expression: Expression | None = None
    names: tuple[str | None, str] = (None, "")
    cut_before: bool = False
    cut_after: bool = False


def unescape(text: str, position: int, place: Place) -> tuple[str, int]:
    """Return the character that the escape at `position` stands for, and where the text goes on."""
    letter = text[position + 1 : position + 2]
    if letter in _ESCAPES:
        return _ESCAPES[letter], position + 2
    if letter in _HEXADECIMAL:
        digits = _HEXADECIMAL[letter].match(text, position + 2)
        if digits is None or int(digits[0], 16) > _LAST_CHARACTER:
            raise invalid(f"\\{letter} needs {4 if letter == 'u' else 8} hexadecimal digits", place)
        return chr(int(digits[0], 16)), digits.end()
    raise invalid(
        f"\\{letter} is no escape in a string", place, hint='the escapes are \\n \\r \\t \\" \\\\ \\uXXXX'
    )


def assemble(pieces: Sequence[Piece], place: Place, *, flush: bool) -> Template:
    """Return the template that `pieces` make; `flush` takes the common indentation away."""
    _check_depth(pieces)
    cut = _cut(pieces)
    if flush:
        cut = _flush(cut)
    parts, rest = _parts(cut, 0)
    if rest < len(cut):
        raise invalid(f"%{{ {cut[rest].kind} }} has nothing that it belongs to", cut[rest].place)
    return Template(parts, place)


def _check_depth(pieces: Sequence[Piece]) -> None:
    depth = 0
    for piece in pieces:
        depth += piece.kind in ("if", "for")
        depth -= piece.kind in ("endif", "endfor")
        if depth > _DEEPEST:
            raise invalid(f"directives are nested more than {_DEEPEST} times", piece.place)


def _cut(pieces: Sequence[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for index, piece in enumerate(pieces):
        text = piece.text
        if piece.kind == "text":
            if index and pieces[index - 1].cut_after:
                text = text.lstrip()
            if index + 1 < len(pieces) and pieces[index + 1].cut_before:
                text = text.rstrip()
        found.append(piece._replace(text=text))
    return found


def _flush(pieces: list[Piece]) -> list[Piece]:
    """Take the smallest indentation of the lines from all of them; blank lines do not count."""
    at_start, smallest, indented = True, None, set[int]()
    for index, piece in enumerate(pieces):
        if at_start and not (piece.kind == "text" and not piece.text.strip() and piece.text.endswith("\n")):
            width = len(piece.text) - len(piece.text.lstrip()) if piece.kind == "text" else 0
            smallest = width if smallest is None else min(width, smallest)
            indented.add(index)
        at_start = piece.kind == "text" and piece.text.endswith("\n")
    return [
        piece._replace(text=piece.text[smallest:]) if index in indented and piece.kind == "text" else piece
        for index, piece in enumerate(pieces)
    ]


def _parts(
    pieces: Sequence[Piece], index: int
) -> tuple[tuple[Expression | TemplateIf | TemplateFor, ...], int]:
    """Return the parts up to a piece that ends something, and its index."""
    found: list[Expression | TemplateIf | TemplateFor] = []
    while index < len(pieces):
        piece = pieces[index]
        match piece.kind:
            case "text":
                found.append(Literal(piece.text, piece.place))
            case "value":
                assert piece.expression is not None
                found.append(piece.expression)
            case "if" | "for":
                part, index = _if(pieces, index) if piece.kind == "if" else _for(pieces, index)
                found.append(part)
            case _:
                break
        index += 1
    return tuple(found), index


def _until(
    pieces: Sequence[Piece], start: int, index: int, ends: tuple[str, ...]
) -> tuple[tuple[Expression | TemplateIf | TemplateFor, ...], int]:
    """Return the parts behind `index`, and the index of the one of `ends` that the piece at `start` needs."""
    found, index = _parts(pieces, index + 1)
    if index >= len(pieces) or pieces[index].kind not in ends:
        opened = pieces[start]
        raise invalid(f"%{{ {opened.kind} }} needs its %{{ {ends[-1]} }}", opened.place)
    return found, index


def _if(pieces: Sequence[Piece], index: int) -> tuple[TemplateIf, int]:
    start = pieces[index]
    opened = index
    yes, index = _until(pieces, opened, index, ("else", "endif"))
    no: tuple[Expression | TemplateIf | TemplateFor, ...] = ()
    if pieces[index].kind == "else":
        no, index = _until(pieces, opened, index, ("endif",))
    assert start.expression is not None
    return TemplateIf(
        start.expression, Template(yes, start.place), Template(no, start.place), start.place
    ), index


def _for(pieces: Sequence[Piece], index: int) -> tuple[TemplateFor, int]:
    start = pieces[index]
    body, index = _until(pieces, index, index, ("endfor",))
    assert start.expression is not None
    part = TemplateFor(*start.names, start.expression, Template(body, start.place), start.place)
    return part, index
