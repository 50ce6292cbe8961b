"""Docker-shaped documents, for `inspect` and for the API. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.lookup import Found
    from tiffin.oci.reference import Reference


def image_document(found: Found, references: Sequence[Reference], size: int, stored: float) -> dict[str, Any]:
    """Return what `docker image inspect` says of an image; `stored` is when it came here, in seconds."""
    config = found.config
    tags = sorted(reference.familiar for reference in references if reference.tag)
    repositories = sorted(
        {reference.familiar.partition("@")[0].rpartition(":")[0] for reference in references}
    )
    return {
        "Id": str(found.image_id),
        "RepoTags": tags,
        "Parent": "",  # a build keeps no names of its bases
        "RepoDigests": [f"{name}@{found.descriptor.digest}" for name in repositories if name],
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created,
        "DockerVersion": "",
        "Author": config.author,
        "Config": container_config(config.config),
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": size,
        "GraphDriver": {"Name": "overlayfs", "Data": None},
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.rootfs.diff_ids]},
        "Metadata": {"LastTagTime": moment(stored)},
        "Descriptor": msgspec.to_builtins(found.descriptor, enc_hook=str),
    }


def container_config(config: msgspec.Struct) -> dict[str, Any]:
    """Return a container config as Docker spells it, with the fields that scripts expect to be there."""
    empty: dict[str, Any] = {
        "User": "",
        "Env": [],
        "Cmd": None,
        "Entrypoint": None,
        "Volumes": None,
        "WorkingDir": "",
        "Labels": None,
        "OnBuild": None,
    }
    found = msgspec.to_builtins(config, enc_hook=str)
    return {
        **empty,
        **{name: list(value) if isinstance(value, tuple) else value for name, value in found.items()},
    }


def moment(seconds: float) -> str:
    """Return a moment as Docker writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
