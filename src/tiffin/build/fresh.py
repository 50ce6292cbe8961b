"""Which steps of a build may not be remembered: `--no-cache` and `--no-cache-filter`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.graph import Made
from tiffin.dockerfile.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.build.graph import Graph
    from tiffin.dockerfile.ast import Dockerfile


def fresh_steps(graph: Graph, stages: Sequence[str] | None) -> tuple[int, ...]:
    """Return the vertices that make something in one of `stages`; None stands for all of them.

    Names of stages ignore case, as in BuildKit; a stage without a name goes by its number.
    """
    names = None if stages is None else {name.lower() for name in stages}
    return tuple(
        index
        for index, vertex in enumerate(graph.vertices)
        if isinstance(vertex.op, Made) and (names is None or vertex.stage.lower() in names)
    )


def unknown_stages(dockerfile: Dockerfile, stages: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each of `stages` that the Dockerfile does not have."""
    known = [stage.start.name or str(number) for number, stage in enumerate(dockerfile.stages)]
    for name in stages:
        if name.lower() not in known:
            hint = did_you_mean(name, known)
            yield f"--no-cache-filter {name}: there is no such stage{f'; {hint}' if hint else ''}"
