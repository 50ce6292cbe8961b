"""Sources of ADD and COPY that are elsewhere: which operation fetches each, and how ADD reads it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.giturl import without_login
from tiffin.build.graph import Git, Http, Taken
from tiffin.build.paths import relative
from tiffin.build.remote import parse_source, with_options
from tiffin.dockerfile import ast
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPECIAL = re.compile(r"[*?\[\\]")


class Fetched(NamedTuple):
    """What fetches each source of an ADD, None for one of the context; `taken` as in Copy.

    `inputs` are those of the ADD after the root filesystem: what is fetched, and None for the context.
    """

    ops: tuple[Git | Http | None, ...]
    inputs: tuple[Git | Http | None, ...]
    taken: tuple[Taken, ...]

    def paths(self, sources: Sequence[str]) -> tuple[str, ...]:
        """Where each source is within what is fetched: all of a repository, or the one file."""
        return tuple(_path(op, source) for op, source in zip(self.ops, sources, strict=True))

    def shown(self, sources: Sequence[str]) -> list[str]:
        """The sources as the history tells them, without passwords."""
        return [without_login(source) for source in sources]


def fetched_sources(
    instruction: ast.Copy | ast.Add, sources: Sequence[str], checksum: str | None
) -> Fetched | None:
    """Return what fetches `sources`, None if all are of the context.

    Raises InvalidError at the instruction.
    """
    try:
        ops = tuple(_op(instruction, source, checksum) for source in sources)
        if checksum is not None:
            _check_checksum(ops)
    except InvalidError as error:
        error.where = instruction.span.where
        raise
    if not any(ops) or isinstance(instruction, ast.Copy):
        return None
    inputs = tuple(dict.fromkeys(ops))
    local = instruction.unpack is not False
    taken = (
        Taken(
            inputs.index(op) + 1, local if op is None else isinstance(op, Http) and bool(instruction.unpack)
        )
        for op in ops
    )
    return Fetched(ops, inputs, tuple(taken))


def _path(op: Git | Http | None, source: str) -> str:
    match op:
        case None:
            return relative(source)
        case Git():
            return "."
        case Http():
            return _SPECIAL.sub(r"\\\g<0>", op.name)


def _op(instruction: ast.Copy | ast.Add, source: str, checksum: str | None) -> Git | Http | None:
    op = parse_source(source)
    if op is None:
        return None
    if isinstance(instruction, ast.Copy):
        raise InvalidError(
            f"COPY cannot fetch {without_login(source)}",
            code="remote-source",
            hint="ADD fetches; COPY takes files of the build context",
        )
    return with_options(op, checksum, instruction.keep_git_dir)


def _check_checksum(ops: Sequence[Git | Http | None]) -> None:
    if len(ops) != 1:
        raise InvalidError(
            "--checksum is for one source",
            code="checksum-of-several",
            hint="write an ADD for each of them",
        )
    if ops[0] is None:
        raise InvalidError(
            "--checksum is for what ADD fetches, and this is a file of the build context",
            code="checksum-of-local",
            hint="leave --checksum out: the content of the file is in the cache key",
        )
