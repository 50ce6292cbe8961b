"""The rules that need no more than the text of a Dockerfile. Pure.

They hold for every line, whether or not a build needs its stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.dockerfile import ast
from tiffin.dockerfile.lint import rules
from tiffin.dockerfile.lint.linter import is_directive
from tiffin.dockerfile.words import split_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.dockerfile.lint.linter import Linter

    Line = ast.From | ast.Instruction

_RESERVED = ("context", "scratch")


def check_syntax(dockerfile: ast.Dockerfile, linter: Linter) -> None:
    """Report to `linter` what is to be said of the text of `dockerfile`."""
    for span in dockerfile.empty_lines:
        linter.report(rules.NO_EMPTY_CONTINUATION, span)
    names: set[str] = set()
    for stage in dockerfile.stages:
        _start(stage.start, names, linter)
    for line in (*dockerfile.arguments, *_lines(dockerfile)):
        match line:
            case ast.Maintainer():
                linter.report(rules.MAINTAINER_DEPRECATED, line.span)
            case ast.Arg():
                _description(dockerfile, line, [name for name, _ in line.declarations], linter)
            case ast.From(name=str(name)):
                _description(dockerfile, line, [name], linter)
            case _:
                pass
    _casing(dockerfile, linter)


def _lines(dockerfile: ast.Dockerfile) -> Iterator[Line]:
    for stage in dockerfile.stages:
        yield stage.start
        yield from stage.instructions


def keyword(line: Line) -> str:
    """Return the keyword of `line` as it is written."""
    return split_words(line.text)[0].text


def _start(start: ast.From, names: set[str], linter: Linter) -> None:
    if start.name is None:
        return
    word = keyword(start)
    *_, between, name = (each.text for each in split_words(start.text))
    if name != start.name:
        linter.report(rules.STAGE_NAME_CASING, start.span, name)
    # A FROM of mixed case has its own finding, so its AS needs none.
    if (word.islower() and not between.islower()) or (word.isupper() and not between.isupper()):
        linter.report(rules.FROM_AS_CASING, start.span, between, word)
    if start.name in _RESERVED:
        linter.report(rules.RESERVED_STAGE_NAME, start.span, start.name)
    if start.name in names:
        linter.report(rules.DUPLICATE_STAGE_NAME, start.span, start.name)
    names.add(start.name)


def _description(
    dockerfile: ast.Dockerfile, line: ast.From | ast.Arg, names: list[str], linter: Linter
) -> None:
    comments = [
        comment for comment in dockerfile.comments.get(line.span.line, ()) if not is_directive(comment)
    ]
    if comments and comments[-1].partition(" ")[0] not in names:
        form = names[0] if len(names) == 1 else "<arg_key>"
        linter.report(rules.INVALID_DEFINITION_DESCRIPTION, line.span, keyword(line).upper(), form)


def _casing(dockerfile: ast.Dockerfile, linter: Linter) -> None:
    words = [(keyword(line), line.span) for line in _lines(dockerfile)]
    lower = sum(word.islower() for word, _ in words) > sum(word.isupper() for word, _ in words)
    for word, span in words:
        if not (word.islower() if lower else word.isupper()):
            wanted = "lowercase" if lower else "uppercase"
            linter.report(rules.CONSISTENT_INSTRUCTION_CASING, span, word, wanted)
