"""Which stages a target needs, and the images and contexts that these begin or copy from. Pure.

Only what is needed is resolved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.graph import BaseImage, Git, Http
from tiffin.build.stages import SCRATCH, StageEntry, check_reference
from tiffin.dockerfile import ast
from tiffin.dockerfile.mounts import mount_option
from tiffin.dockerfile.parser import parse_trigger
from tiffin.errors import InvalidError, NotFoundError
from tiffin.oci.config import ImageConfig
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.build.stages import StageTable
    from tiffin.errors import Where
    from tiffin.oci.platform import Platform

    Resolve = Callable[[str, Platform, Where | None], BaseImage]

_IMAGE = "image:"


class Folder(NamedTuple):
    """A named build context that is a folder."""

    name: str


class Remote(NamedTuple):
    """A named build context that is fetched."""

    name: str
    op: Git | Http


# What files come from; None is the empty root filesystem.
Place = BaseImage | Folder | Remote | StageEntry | None


class Planned(NamedTuple):
    """A needed stage: where it begins, its instructions after triggers, and what its `--from` names mean.

    `mounted` is what `from=` of its mounts means, where a number is no stage.
    With each instruction stands whether it is a trigger of the stage's base. A
    stage that a context stands for begins there and has no instructions.
    """

    entry: StageEntry
    start: Place
    instructions: tuple[tuple[ast.Instruction, bool], ...]
    origins: Mapping[str, Place]
    mounted: Mapping[str, Place]


class Places:
    """Finds what a name means that is no stage: a named context, or an image."""

    def __init__(self, table: StageTable, contexts: Mapping[str, str | Git | Http], resolve: Resolve) -> None:
        self._table = table
        self._contexts = {_familiar(name): (name, kind) for name, kind in contexts.items()}
        self._resolve = resolve

    def context(self, name: str, platform: Platform, where: Where) -> BaseImage | Folder | Remote | None:
        """Return the context that was named so on the command line, if any."""
        name, kind = self._contexts.get(_familiar(name), (name, ""))
        if not isinstance(kind, str):
            return Remote(name, kind)
        if kind == _IMAGE + SCRATCH:
            return BaseImage(SCRATCH, ImageConfig(platform.architecture, platform.os), ())
        if kind.startswith(_IMAGE):
            return self._resolve(kind.removeprefix(_IMAGE), platform, where)
        return Folder(name) if kind else None

    def find(self, name: str, platform: Platform, where: Where) -> Place:
        """Return the context or image `name`. Raises InvalidError, or what resolving the image does."""
        if name == SCRATCH:
            return None
        found = self.context(name, platform, where)
        if found is not None:
            return found
        check_reference(name, where)
        try:
            return self._resolve(name, platform, where)
        except NotFoundError as error:
            error.hint = self._table.near(name) or error.hint
            raise


def _familiar(name: str) -> str:
    """Return the short form of an image name, under which a context can stand for it."""
    try:
        return Reference.parse(name).familiar.removesuffix(":latest")
    except InvalidError:
        return name


def needed(
    table: StageTable, target: StageEntry, places: Places, platform: Platform, *, every: bool = False
) -> list[Planned]:
    """Return the stages that `target` needs and itself, or all, in the order of the Dockerfile.

    `platform` is the one that the build is for, and so are the images that `--from` names: the platform
    of the stage that copies does not count, as in BuildKit.
    """
    wanted = set(range(len(table.entries))) if every else {target.number}
    found: list[Planned] = []
    for entry in reversed(table.entries):  # a stage needs only stages before it
        if entry.number in wanted:
            planned = _planned(entry, table, places, platform)
            below = (planned.start, *planned.origins.values(), *planned.mounted.values())
            wanted.update(place.number for place in below if isinstance(place, StageEntry))
            found.append(planned)
    return found[::-1]


def _planned(entry: StageEntry, table: StageTable, places: Places, platform: Platform) -> Planned:
    name = entry.stage.start.name
    replacement = places.context(name, entry.platform, entry.where) if name else None
    if replacement is not None:
        return Planned(entry, replacement, (), {}, {})
    body = entry.stage.instructions
    start, triggers = _start(entry, table, places)
    instructions = (*((each, True) for each in triggers), *((each, False) for each in body))
    origins: dict[str, Place] = {}
    mounted: dict[str, Place] = {}
    for each, _ in instructions:
        if isinstance(each, ast.Copy) and each.origin is not None and each.origin not in origins:
            where = each.span.where
            stage = table.origin(each.origin, entry, where)
            origins[each.origin] = stage or places.find(each.origin, platform, where)
        elif isinstance(each, ast.Run):
            for flag in each.mounts:
                name = mount_option(flag.text, "from")
                if name and name not in mounted:
                    where = flag.span.where
                    mounted[name] = table.named(name, entry, where) or places.find(name, platform, where)
    return Planned(entry, start, instructions, origins, mounted)


def _start(entry: StageEntry, table: StageTable, places: Places) -> tuple[Place, Sequence[ast.Trigger]]:
    """Return where a stage begins, and the triggers that wait there."""
    if entry.parent is not None:
        parent = table.entries[entry.parent]
        return parent, [each.trigger for each in parent.stage.instructions if isinstance(each, ast.OnBuild)]
    start = places.find(entry.base, entry.platform, entry.where)
    if not isinstance(start, BaseImage):
        return start, ()
    triggers = start.config.config.on_build
    return start, [parse_trigger(text, f"ONBUILD of {start.reference}") for text in triggers]
