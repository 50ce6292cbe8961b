"""The result of a build as an image: config, history and manifest. Pure.

The same inputs give the same bytes, so the only time in it is the epoch.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tiffin.oci.config import History, ImageConfig, RootFS
from tiffin.oci.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiffin.build.graph import Graph
    from tiffin.build.solve import Result
    from tiffin.oci.descriptor import Descriptor


def image_config(graph: Graph, results: Mapping[int, Result], epoch: int) -> ImageConfig:
    """Return the config document of the target; `epoch` is in seconds."""
    platform = graph.platform
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    history: list[History] = list(graph.base.config.history) if graph.base else []
    for step in graph.steps:
        made = step.vertex is not None and results[step.vertex].layer is not None
        history.append(msgspec.structs.replace(step.history, created=created, empty_layer=not made))
    return ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        created=created,
        author=graph.author or (graph.base.config.author if graph.base else ""),
        config=graph.config,
        rootfs=RootFS(results[graph.result].diff_ids),
        history=tuple(history),
    )


def manifest(config: Descriptor, layers: Sequence[Descriptor]) -> Manifest:
    """Return the manifest of an image with this config and these layers, the lowest first."""
    return Manifest(config=config.bare(), layers=tuple(layer.bare() for layer in layers))
