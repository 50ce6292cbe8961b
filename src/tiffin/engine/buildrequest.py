"""What a build is asked for, and what it gives, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference


class BuildRequest(NamedTuple):
    """What `tiffin build` was asked for.

    `dockerfile` is None for the one in the context, `-` for standard input;
    a build argument whose value is None comes from the environment;
    `build_contexts` are the values of `--build-context`, by name; `secrets` those of `--secret`.
    """

    context: Path
    dockerfile: Path | str | None = None
    tags: tuple[str, ...] = ()
    build_args: Mapping[str, str | None] = {}
    target: str | None = None
    no_cache: bool = False
    build_contexts: Mapping[str, str] = {}
    platform: str | None = None
    network: str = "default"
    labels: Mapping[str, str] = {}
    pull: bool = False
    iidfile: Path | None = None
    secrets: tuple[str, ...] = ()


class BuildResult(NamedTuple):
    """The image that was built: the digest of its config, how to find it, and its names."""

    image_id: Digest
    descriptor: Descriptor
    tags: tuple[Reference, ...]
