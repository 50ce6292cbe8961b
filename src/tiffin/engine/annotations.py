"""Annotations of a build: `--annotation` and `annotation…` of `--output` → where each one goes. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from tiffin.errors import InvalidError
from tiffin.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable

Level = Literal["manifest", "manifest-descriptor", "index", "index-descriptor"]

_LEVELS: Final = ("manifest", "manifest-descriptor", "index", "index-descriptor")
_PLACE: Final = re.compile(r"([a-z-]+)(?:\[([A-Za-z0-9_./-]+)\])?")
_KEY: Final = re.compile(r"annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_./-]+)\])?\.(\S+)")


class Annotated(NamedTuple):
    """One annotation: `platform` is None for the images of all platforms."""

    level: Level
    platform: Platform | None
    key: str
    value: str


def parse_annotation(text: str) -> tuple[Annotated, ...]:
    """Return what `--annotation text` says: `[LEVEL[PLATFORM],…:]KEY=VALUE`. Raises InvalidError."""
    name, equals, value = text.partition("=")
    places, colon, key = name.partition(":")
    if not colon:
        places, key = "manifest", name
    if not (equals and key):
        raise _invalid(text, "KEY=VALUE is needed")
    found = []
    for place in places.split(","):
        match = _PLACE.fullmatch(place)
        if match is None:
            raise _invalid(text, f"{place!r} is no level")
        found.append(_annotated(text, match[1], match[2], key, value))
    return tuple(found)


def parse_option(name: str, value: str) -> Annotated | None:
    """Return what the option `annotation-LEVEL[PLATFORM].KEY` of an output says; None for another option."""
    if not name.startswith("annotation") or name[10:11] not in (".", "-", "["):
        return None
    match = _KEY.fullmatch(name)
    if match is None:
        raise _invalid(name, "annotation.KEY=VALUE or annotation-LEVEL[PLATFORM].KEY=VALUE is needed")
    return _annotated(f"{name}={value}", match[1] or "manifest", match[2], match[3], value)


def chosen(
    annotations: Iterable[Annotated], level: Level, platform: Platform | None = None
) -> dict[str, str]:
    """Return those of `level`, as they stand in the document; a platform's own win over those of all."""
    fitting = [each for each in annotations if each.level == level and each.platform in (None, platform)]
    return {each.key: each.value for each in sorted(fitting, key=lambda each: each.platform is not None)}


def check_annotations(
    annotations: Iterable[Annotated], platforms: Iterable[Platform], *, index: bool
) -> None:
    """Raise InvalidError for those that have no place in an image for `platforms`, or in no `index`."""
    known = {platform.normalised() for platform in platforms}
    for each in annotations:
        if not index and each.level.startswith("index"):
            raise InvalidError(
                f"the annotation {each.key} is for an index, and one image for one platform has none",
                code="no-index",
                hint=f"write it on the manifest: --annotation manifest:{each.key}={each.value}",
            )
        if each.platform is not None and each.platform not in known:
            raise InvalidError(
                f"the annotation {each.key} is for {each.platform}, which is not built",
                code="no-such-platform",
                hint=f"built is: {', '.join(sorted(map(str, known)))}",
            )


def _annotated(text: str, level: str, platform: str | None, key: str, value: str) -> Annotated:
    if level not in _LEVELS:
        raise _invalid(text, f"there is no level {level}")
    if platform and level.startswith("index"):
        raise _invalid(text, "an index is for all platforms")
    return Annotated(cast("Level", level), Platform.parse(platform) if platform else None, key, value)


def _invalid(text: str, why: str) -> InvalidError:
    return InvalidError(
        f"annotation {text!r}: {why}",
        code="invalid-annotation",
        hint=f"levels are {', '.join(_LEVELS)}, as in manifest[linux/amd64]:KEY=VALUE",
    )
