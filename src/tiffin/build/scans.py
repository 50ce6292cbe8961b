"""What a list of packages is made of besides the result: BUILDKIT_SBOM_SCAN_STAGE and _CONTEXT. Pure.

They are arguments for the builder alone: a stage that declares them, or a Dockerfile that does before its
first FROM, asks to be looked at. No step sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.booleans import EITHER, TRUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tiffin.build.draft import Draft
    from tiffin.build.stages import StageEntry

STAGE = "BUILDKIT_SBOM_SCAN_STAGE"
CONTEXT = "BUILDKIT_SBOM_SCAN_CONTEXT"
NAMES = frozenset({STAGE, CONTEXT})


class Scans(NamedTuple):
    """Stages by their names, with the vertices of their results; and whether the build context counts."""

    stages: tuple[tuple[str, int], ...] = ()
    context: bool = False


def find_scans(
    planned: Iterable[tuple[StageEntry, Draft]], outer: Mapping[str, str], target: StageEntry
) -> Scans:
    """Return what is to be looked at of the stages that are built; `target` is looked at anyhow."""
    stages: list[tuple[str, int]] = []
    context = False
    for entry, draft in planned:
        values = {name: draft.scans.get(name, outer.get(name, "")) for name in NAMES}
        context = context or _asks(values[CONTEXT], entry.label)
        if entry.number != target.number and _asks(values[STAGE], entry.label):
            stages.append((entry.label, draft.vertex))
    return Scans(tuple(stages), context)


def _asks(value: str, stage: str) -> bool:
    """Whether `value`, yes or no or names of stages, asks for `stage`."""
    if value in EITHER:
        return value in TRUE
    return stage in [name.strip() for name in value.split(",")]
