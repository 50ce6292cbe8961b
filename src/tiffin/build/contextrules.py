"""The lint rules about what a COPY takes from the build context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.graph import Copy, Local
from tiffin.dockerfile.lint import rules

if TYPE_CHECKING:
    from tiffin.build.graph import Graph, Vertex
    from tiffin.dockerfile.ast import Dockerfile
    from tiffin.dockerfile.ignore import IgnoreRules
    from tiffin.dockerfile.lint.linter import Linter
    from tiffin.dockerfile.source import Span

MAIN = "context"


def report_ignored(graph: Graph, dockerfile: Dockerfile, ignored: IgnoreRules, linter: Linter) -> None:
    """Report sources that `ignored`, the rules of the main context, leave out of it.

    What is brought back by a `!` may be anywhere, so with such a rule nothing is said.
    """
    if not linter.wants(rules.COPY_IGNORED_FILE) or any(rule.keeps for rule in ignored.rules):
        return
    for vertex in graph.vertices:
        op, span = vertex.op, span_of(vertex, dockerfile)
        if isinstance(op, Copy) and from_main(graph, vertex):
            keyword = "Add" if vertex.name.rpartition("] ")[2].startswith("ADD ") else "Copy"
            for source in op.sources:
                path = source.strip("/")
                if ignored.match(path):
                    linter.report(rules.COPY_IGNORED_FILE, span, keyword, path)


def from_main(graph: Graph, vertex: Vertex) -> bool:
    """Whether `vertex`, a copy, takes what it copies from the main context."""
    return len(vertex.inputs) > 1 and graph.vertices[vertex.inputs[1]].op == Local(MAIN)


def span_of(vertex: Vertex, dockerfile: Dockerfile) -> Span | None:
    """Return the place of the instruction that `vertex` is made from."""
    return dockerfile.span_at(vertex.where.line) if vertex.where else None
