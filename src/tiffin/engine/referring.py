"""What stands beside an image in a registry: what refers to it, and the attestations in its index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.content.verify import read_manifest
from tiffin.image.platforms import REFERENCE_DIGEST, is_attestation
from tiffin.oci.manifest import Index
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tiffin.engine.engine import Engine
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.platform import Platform
    from tiffin.registry.client import Repository

_PREDICATE: Final = "in-toto.io/predicate-type"
_MOST: Final = 64
"""Images of one index that are asked about."""
_THREADS: Final = 4


class Beside(NamedTuple):
    """Something about an image: its type, where it is, and of what it speaks: `index`, or a platform.

    `kind` is `referrer`, or `attestation` for what stands in the index itself, as BuildKit puts it there.
    """

    artifact_type: str
    descriptor: Descriptor
    about: str
    kind: str


def list_beside(
    engine: Engine, name: str, artifact_type: str = "", platform: Platform | None = None
) -> list[Beside]:
    """Return what refers to the image `name` in its registry, and to the images of all its platforms.

    With `platform` only what speaks of the image for that. Raises NotFoundError.
    """
    reference = Reference.parse(name).tagged()
    with engine.registries() as registries:
        repository = registries.to_pull(reference)
        root = repository.resolve(reference)
        return [
            each
            for each in _beside(repository, root, artifact_type, platform)
            if artifact_type in ("", each.artifact_type)
        ]


def attach_files(
    engine: Engine,
    name: str,
    paths: Sequence[Path],
    artifact_type: str,
    annotations: Mapping[str, str],
    platform: Platform | None = None,
) -> tuple[Descriptor, Descriptor]:
    """Send the files as an artifact about the image `name`, or of its index the image for `platform`.

    Return the descriptors of what it is about and of the artifact. Raises what registries raise.
    """
    from tiffin.engine.artifacts import send_files

    reference = Reference.parse(name).tagged()
    with engine.registries() as registries:
        repository = registries.to_push(reference)
        subject = repository.resolve(reference).bare()
        if platform is not None and subject.is_index:
            index = read_manifest(repository, subject)
            assert isinstance(index, Index)
            subject = index.select(platform, reference.familiar).bare()
        return subject, send_files(engine, repository, paths, artifact_type, annotations, subject)


def _beside(
    repository: Repository, root: Descriptor, artifact_type: str, platform: Platform | None
) -> Iterator[Beside]:
    images = [("index" if root.is_index else "image", root)]
    attestations: list[Descriptor] = []
    if root.is_index:
        index = read_manifest(repository, root)
        assert isinstance(index, Index)
        entries = [each for each in index.manifests if each.is_manifest and not is_attestation(each)]
        attestations = [each for each in index.manifests if is_attestation(each)]
        if platform is not None:
            images, entries = [], [index.select(platform, repository.name)]
        images += [(str(each.platform or "image"), each) for each in entries[:_MOST]]

    def ask(item: tuple[str, Descriptor]) -> list[Beside]:
        about, image = item
        referring = repository.referrers(image.digest, artifact_type)
        stated = [each for each in attestations if each.annotations.get(REFERENCE_DIGEST) == image.digest]
        return [
            *(Beside(found.artifact_type, found, about, "referrer") for found in referring),
            *(each for entry in stated for each in _statements(repository, entry, about)),
        ]

    yield from ask(images[0])  # by itself: it logs in, and learns what the registry cannot do
    if images[1:]:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_THREADS) as pool:
            for found in pool.map(ask, images[1:]):
                yield from found


def _statements(repository: Repository, entry: Descriptor, about: str) -> Iterator[Beside]:
    """The statements in an attestation manifest, each of a type of its own: an SBOM, a provenance."""
    manifest = read_manifest(repository, entry.bare())
    if isinstance(manifest, Index):
        return
    for layer in manifest.layers:
        yield Beside(layer.annotations.get(_PREDICATE, layer.media_type), layer, about, "attestation")
