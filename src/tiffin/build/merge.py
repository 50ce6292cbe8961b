"""The graphs of several platforms as one: what they have in common is there once. Pure.

Two vertices are one when they do the same, to the same, in the same stage. So a stage that begins
`FROM --platform=$BUILDPLATFORM`, and looks at no argument of the target, runs once for all platforms.
Whether steps are remembered is no matter here: what was two steps with the same result becomes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.build.graph import Graph, HistoryStep, Op, Vertex


def merge(graphs: Sequence[Graph]) -> tuple[Graph, ...]:
    """Return the same graphs over one tuple of vertices that they share; one graph is left as it is."""
    if len(graphs) < 2:
        return tuple(graphs)
    vertices: list[Vertex] = []
    known: dict[tuple[Op, tuple[int, ...], str], int] = {}
    moved = [_move(graph, vertices, known) for graph in graphs]
    shared = tuple(vertices)
    return tuple(msgspec.structs.replace(graph, vertices=shared) for graph in moved)


def _move(graph: Graph, vertices: list[Vertex], known: dict[tuple[Op, tuple[int, ...], str], int]) -> Graph:
    """Add to `vertices` what is not there yet, and return the graph with its new numbers."""
    places: list[int] = []
    for vertex in graph.vertices:
        inputs = tuple(places[number] for number in vertex.inputs)
        key = (vertex.op, inputs, vertex.stage)
        if key not in known:
            known[key] = len(vertices)
            vertices.append(msgspec.structs.replace(vertex, inputs=inputs))
        places.append(known[key])
    return msgspec.structs.replace(
        graph,
        result=places[graph.result],
        steps=tuple(_step(step, places) for step in graph.steps),
        scans=tuple((name, places[number]) for name, number in graph.scans),
    )


def _step(step: HistoryStep, places: list[int]) -> HistoryStep:
    if step.vertex is None:
        return step
    return msgspec.structs.replace(step, vertex=places[step.vertex])
