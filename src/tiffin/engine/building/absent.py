"""What a build without a network lacks, all at once: images, files and commits that nobody fetched before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.giturl import without_login
from tiffin.build.graph import Git, Http
from tiffin.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tiffin.build.fetching import Fetching
    from tiffin.build.graph import Graph
    from tiffin.errors import Where


def check_here(graph: Graph, images: Mapping[str, Where | None], fetching: Fetching) -> None:
    """Raise UnavailableError with the code offline for `images`, and what `graph` fetches and is not here."""
    lines = [f"the image {name}{_at(where)}" for name, where in images.items()]
    lines += _fetched(graph, fetching)
    if lines:
        raise UnavailableError(
            f"the network must not be used, and these are not here: {'; '.join(dict.fromkeys(lines))}",
            code="offline",
            hint="build once without --offline, or bring them along: 'tiffin load', 'tiffin system import'",
        )


def _fetched(graph: Graph, fetching: Fetching) -> Iterator[str]:
    for vertex in graph.vertices:
        op = vertex.op
        if isinstance(op, Git | Http) and not fetching.fetcher().here(op):
            ref = f"#{op.ref}" if isinstance(op, Git) and op.ref else ""
            url = op.remote if isinstance(op, Git) else op.url
            kind = "the repository" if isinstance(op, Git) else "the file"
            yield f"{kind} {without_login(url)}{ref}{_at(vertex.where)}"


def _at(where: Where | None) -> str:
    return f" ({where.file}:{where.line})" if where else ""
