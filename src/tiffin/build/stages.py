"""The stages of a Dockerfile: their names, what they begin from, and which a target needs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.dockerfile.lint.rules import UNDEFINED_ARG_IN_FROM
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import InvalidError, NotFoundError
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiffin.build.scope import Expander
    from tiffin.dockerfile import ast
    from tiffin.errors import Where

SCRATCH = "scratch"


class StageEntry(NamedTuple):
    """A stage with its FROM expanded: it begins from the stage `parent`, or else from the image `base`.

    `platform` is that of its base: what `--platform` says, else the build's; a stage that begins from
    another has the other's, and nothing is for the build's platform, whatever `--platform` says.
    """

    number: int
    stage: ast.Stage
    base: str
    parent: int | None
    platform: Platform

    @property
    def where(self) -> Where:
        """The place of its FROM."""
        return self.stage.start.span.where

    @property
    def label(self) -> str:
        """How progress speaks of it."""
        return self.stage.start.name or f"stage-{self.number}"


class StageTable:
    """All stages, to be found by name or number; `target` is the platform that the build is for."""

    def __init__(
        self,
        dockerfile: ast.Dockerfile,
        arguments: Mapping[str, str],
        expander: Expander,
        target: Platform,
    ) -> None:
        self.entries: list[StageEntry] = []
        self._names: dict[str, int] = {}
        declared = {name for each in dockerfile.arguments for name, _ in each.declarations}

        def word(text: str, start: ast.From) -> str:
            return expander.word(text, arguments, start.span, declared, UNDEFINED_ARG_IN_FROM)

        for index, stage in enumerate(dockerfile.stages):
            start = stage.start
            base = word(start.base, start)
            if not base:
                raise InvalidError(
                    f"the image of FROM is empty: {start.base}",
                    code="empty-base",
                    hint="give the ARG before it a default, or a value with --build-arg",
                    where=start.span.where,
                )
            parent = self._names.get(base)
            platform = _platform(start, word) or target
            if base == SCRATCH:
                platform = target
            elif parent is not None:
                platform = self.entries[parent].platform
            entry = StageEntry(index, stage, base, parent, platform)
            if parent is None and base != SCRATCH:
                check_reference(base, entry.where)
            self.entries.append(entry)
            if start.name:
                self._names[start.name] = index  # of several with one name the last counts

    def target(self, name: str | None) -> StageEntry:
        """Return the stage to build: the last one if `name` is None. Raises NotFoundError."""
        if name is None:
            return self.entries[-1]
        index = self._names.get(name.lower())
        if index is None:
            names = ", ".join(self._names)
            raise NotFoundError(
                f"there is no stage {name} to build",
                code="stage-not-found",
                hint=did_you_mean(
                    name, self._names, f"the stages are {names}" if names else "no stage has a name"
                ),
            )
        return self.entries[index]

    def origin(self, name: str, user: StageEntry, where: Where) -> StageEntry | None:
        """Return the stage that `COPY --from=name` in `user` means, or None: then it is an image.

        Raises InvalidError for a stage that does not come before `user`.
        """
        if name.isascii() and name.isdigit():
            return self._earlier(self._number(name, where), name, user, where)
        return self.named(name, user, where)

    def named(self, name: str, user: StageEntry, where: Where) -> StageEntry | None:
        """Return the stage called `name` that a mount in `user` means, or None: then it is an image.

        Raises InvalidError for a stage that does not come before `user`.
        """
        index = self._names.get(name.lower())
        return None if index is None else self._earlier(index, name, user, where)

    def _earlier(self, index: int, name: str, user: StageEntry, where: Where) -> StageEntry:
        if index >= user.number:
            itself = "it is this stage itself" if index == user.number else "it comes later"
            raise InvalidError(
                f"cannot copy from the stage {name}: {itself}",
                code="stage-order",
                hint="copy from a stage that stands before this one",
                where=where,
            )
        return self.entries[index]

    def _number(self, name: str, where: Where) -> int:
        if len(name) > 4 or int(name) >= len(self.entries):
            raise InvalidError(
                f"there is no stage {name}",
                code="stage-not-found",
                hint=f"the stages are numbered 0 to {len(self.entries) - 1}",
                where=where,
            )
        return int(name)

    def near(self, name: str) -> str:
        """Return a hint if the image `name` may be a misspelt stage."""
        return did_you_mean(name, self._names)


def check_reference(name: str, where: Where) -> None:
    """Raise InvalidError at `where` if `name` cannot be the name of an image."""
    try:
        Reference.parse(name)
    except InvalidError as error:
        error.where = where
        raise


def _platform(start: ast.From, word: Callable[[str, ast.From], str]) -> Platform | None:
    if start.platform is None:
        return None
    text = word(start.platform, start)
    try:
        return Platform.parse(text)
    except InvalidError as error:
        error.where = start.span.where
        raise
