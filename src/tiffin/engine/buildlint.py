"""What a build says of its Dockerfile: the findings of lint rules, as notices, before anything runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiffin.dockerfile.lint.linter import Linter
from tiffin.dockerfile.lint.syntax import check_syntax
from tiffin.errors import InvalidError, TiffinError
from tiffin.events import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tiffin.dockerfile.ast import Dockerfile
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
            where = finding.span.where if finding.span else None
            emit(Notice(finding.message, where=where, rule=finding.rule.name))
    error = violation(linter)
    if error is not None:
        raise error


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
