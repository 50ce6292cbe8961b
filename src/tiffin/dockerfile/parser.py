"""A Dockerfile's text → its stages. Pure.

Everything that is wrong in any line is an error here, before anything runs,
whether or not a build needs the stage. What depends on variables is the
planner's to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.dockerfile import ast, instructions
from tiffin.dockerfile.flags import Flags
from tiffin.dockerfile.lexer import lex
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.dockerfile.source import Source
from tiffin.dockerfile.statement import Statement
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.dockerfile.lexer import Lexed, LogicalLine

    Plain = ast.Trigger | ast.Maintainer

_PLAIN: dict[str, Callable[[Statement, Flags], Plain]] = {
    "ADD": instructions.add,
    "ARG": instructions.arg,
    "CMD": instructions.cmd,
    "COPY": instructions.copy,
    "ENTRYPOINT": instructions.entrypoint,
    "ENV": instructions.env,
    "EXPOSE": instructions.expose,
    "HEALTHCHECK": instructions.healthcheck,
    "LABEL": instructions.label,
    "MAINTAINER": instructions.maintainer,
    "RUN": instructions.run,
    "SHELL": instructions.shell,
    "STOPSIGNAL": instructions.stop_signal,
    "USER": instructions.user,
    "VOLUME": instructions.volume,
    "WORKDIR": instructions.workdir,
}
KEYWORDS = ("FROM", "ONBUILD", *_PLAIN)


def parse(text: str | bytes, filename: str = "Dockerfile") -> ast.Dockerfile:
    """Return the Dockerfile that `text` is. Raises InvalidError with the place of what is wrong."""
    lexed = lex(Source.of(text, filename))
    arguments: list[ast.Arg] = []
    starts: list[ast.From] = []
    bodies: list[list[ast.Instruction]] = []
    for line in lexed.lines:
        statement = Statement(line, lexed.directives.escape)
        instruction = _instruction(statement)
        if isinstance(instruction, ast.From):
            starts.append(instruction)
            bodies.append([])
        elif bodies:
            bodies[-1].append(instruction)
        elif isinstance(instruction, ast.Arg):
            arguments.append(instruction)
        else:
            raise statement.error(
                f"{statement.keyword} stands before the first FROM", hint="only ARG may come before FROM"
            )
    if not starts:
        raise _nothing(lexed)
    stages = tuple(ast.Stage(start, tuple(body)) for start, body in zip(starts, bodies, strict=True))
    comments = {line.pieces[0].line: line.comments for line in lexed.lines if line.comments}
    return ast.Dockerfile(
        lexed.source, lexed.directives, tuple(arguments), stages, comments, lexed.empty_lines
    )


def parse_trigger(expression: str, name: str) -> ast.Trigger:
    """Return the trigger that `expression`, of an image config, is; `name` says whose it is."""
    lexed = lex(Source.of(expression, name))
    if len(lexed.lines) != 1:
        raise InvalidError(
            f"{name}: a trigger is one instruction, not {len(lexed.lines)}", code="dockerfile-syntax"
        )
    return _trigger(Statement(lexed.lines[0], lexed.directives.escape))


def _instruction(statement: Statement) -> ast.From | ast.Instruction:
    if statement.keyword == "FROM":
        return instructions.from_(statement, Flags(statement))
    if statement.keyword == "ONBUILD":
        return _on_build(statement)
    return _plain(statement)


def _plain(statement: Statement) -> Plain:
    parse_one = _PLAIN.get(statement.keyword)
    if parse_one is None:
        word = statement.head.keyword.text
        raise InvalidError(
            f"unknown instruction: {word[:80]}",
            code="unknown-instruction",
            hint=did_you_mean(word, KEYWORDS, f"the instructions are {', '.join(sorted(KEYWORDS))}"),
            where=statement.line.span(statement.head.keyword.start, statement.head.keyword.end).where,
        )
    return parse_one(statement, Flags(statement))


def _trigger(statement: Statement) -> ast.Trigger:
    if statement.keyword in ("FROM", "MAINTAINER", "ONBUILD"):
        raise statement.error(
            f"{statement.keyword} cannot be a trigger of ONBUILD",
            hint="put it in the Dockerfile that builds on this",
        )
    instruction = _plain(statement)
    assert not isinstance(instruction, ast.Maintainer)
    return instruction


def _on_build(statement: Statement) -> ast.OnBuild:
    Flags(statement)
    if not statement.arguments:
        raise statement.missing("an instruction")
    line: LogicalLine = statement.line
    inner = Statement(line, statement.escape, statement.head.rest)
    parts = [line.text[statement.head.rest :]]
    parts += [f"{document.content}{document.name}" for document in line.documents]
    return ast.OnBuild(statement.span, statement.text, _trigger(inner), "\n".join(parts))


def _nothing(lexed: Lexed) -> InvalidError:
    what = "there is no FROM" if lexed.lines else "the file is empty"
    return InvalidError(
        f"{what}: nothing to build",
        code="dockerfile-empty",
        hint="begin with FROM and an image, such as FROM python:3.11.8-slim",
        where=lexed.source.whole_line(1).where,
    )
