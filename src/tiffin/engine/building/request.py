"""What a build is asked for, and what it gives, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.engine.building.steprequest import StepRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.platform import Platform
    from tiffin.oci.reference import Reference


class BuildRequest(NamedTuple):
    """What `tiffin build` was asked for.

    `context` is a folder, the URL of a repository, an archive or a Dockerfile, or `-` for standard input.
    `dockerfile` is None for the one in the context, `-` for standard input, or a URL;
    a build argument whose value is None comes from the environment;
    `build_contexts` are the values of `--build-context`, by name, or images of the store; `secrets`, `ssh`,
    `cache_from`, `cache_to`, `outputs`, `annotations`, `attest`, `provenance` and `sbom` those of the
    options with these names.
    The stages of `no_cache_filter` are built anew, all stages with `no_cache`.
    With `split`, big layers of the build become several of files that change together.
    With `why`, events tell of each step why it hits or misses.
    `platforms` are those to build for, `local` among them perhaps; none is this machine's.
    """

    context: Path | str
    dockerfile: Path | str | None = None
    tags: tuple[str, ...] = ()
    build_args: Mapping[str, str | None] = {}
    target: str | None = None
    no_cache: bool = False
    build_contexts: Mapping[str, str | Descriptor] = {}
    platforms: tuple[str, ...] = ()
    network: str = "default"
    labels: Mapping[str, str] = {}
    pull: bool = False
    iidfile: Path | None = None
    secrets: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    steps: StepRequest = StepRequest()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    no_cache_filter: tuple[str, ...] = ()
    why: bool = False
    split: bool = False
    outputs: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    attest: tuple[str, ...] = ()
    provenance: str | None = None
    sbom: str | None = None
    push: bool = False
    load: bool = False


class BuiltImage(NamedTuple):
    """The image for one platform: the digest of its config, and its manifest."""

    platform: Platform
    descriptor: Descriptor
    image_id: Digest


class BuildResult(NamedTuple):
    """What was built: an index of several images, or the manifest of one, and its names.

    `image_id` is the digest of the config, or of the index, as in BuildKit's file of image ids. After a
    push `descriptor` is what the registry has. Where only files were put out, `kept` is false: there is no
    image then that anybody could find.
    """

    image_id: Digest
    descriptor: Descriptor
    tags: tuple[Reference, ...]
    images: tuple[BuiltImage, ...]
    kept: bool = True
