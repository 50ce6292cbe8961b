"""What a build says of its Dockerfile: the findings of lint rules, as notices, before anything runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiffin.dockerfile.lint.linter import Linter
from tiffin.dockerfile.lint.rules import COPY_IGNORED_FILE
from tiffin.dockerfile.lint.syntax import check_syntax
from tiffin.errors import InvalidError, TiffinError
from tiffin.events import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tiffin.build.context import Context
    from tiffin.build.contextrules import Inspector
    from tiffin.build.graph import Graph
    from tiffin.dockerfile.ast import Dockerfile
    from tiffin.dockerfile.lint.rule import Finding
    from tiffin.engine.engine import Engine
    from tiffin.events import Emit


@contextmanager
def linted(dockerfile: Dockerfile, build_args: Mapping[str, str], emit: Emit) -> Iterator[Linter]:
    """Give the linter of a build that is planned within; then tell what it found, also if planning fails.

    Raises InvalidError if the Dockerfile asks for findings to be errors, and there are some.
    """
    linter = Linter.of(dockerfile, build_args)
    check_syntax(dockerfile, linter)
    try:
        yield linter
    finally:
        for finding in linter.findings:
            emit(as_notice(finding))
    error = violation(linter)
    if error is not None:
        raise error


def as_notice(finding: Finding) -> Notice:
    """Return `finding` as it is told."""
    return Notice(finding.message, where=finding.span.where if finding.span else None, rule=finding.rule.name)


def report_copies(
    graph: Graph, dockerfile: Dockerfile, contexts: Mapping[str, Context], linter: Linter
) -> None:
    """Report copies of what the ignore file leaves out, if that is asked for."""
    if linter.wants(COPY_IGNORED_FILE):
        from tiffin.build.contextrules import report_ignored
        from tiffin.build.graph import MAIN

        report_ignored(graph, dockerfile, contexts[MAIN].rules, linter)


def make_inspector(
    engine: Engine, graph: Graph, wants: Sequence[int], dockerfile: Dockerfile, linter: Linter
) -> Inspector:
    """Return what looks at the files of steps that are executed, and tells what it finds; loaded then."""
    from tiffin.build.contextrules import Inspector

    return Inspector(graph, wants, dockerfile, linter, lambda finding: engine.emit(as_notice(finding)))


def violation(linter: Linter) -> InvalidError | None:
    """Return the error that findings are in this Dockerfile, if they are."""
    if not linter.failing:
        return None
    return InvalidError(
        f"lint violation found for rules: {', '.join(linter.failing)}",
        code="lint-violation",
        hint="the Dockerfile, or BUILDKIT_DOCKERFILE_CHECK, says check=error=true",
    )


@contextmanager
def pointing_into(dockerfile: Dockerfile) -> Iterator[None]:
    """Let an error of a step within show the whole instruction, and the lines around it."""
    try:
        yield
    except TiffinError as error:
        where = error.where
        if where is not None and where.file == dockerfile.source.file and error.excerpt is None:
            span = dockerfile.span_at(where.line)
            error.excerpt = dockerfile.source.excerpt(where.line, span.end_line if span else where.line)
        raise
