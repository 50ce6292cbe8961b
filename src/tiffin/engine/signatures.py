"""The signatures of an image as a registry has them: beside it by cosign's tag, and attached as bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.content.verify import fetch_bytes, read_manifest
from tiffin.errors import CorruptError, DeniedError, InvalidError, NotFoundError
from tiffin.oci.manifest import Manifest
from tiffin.oci.reference import Reference
from tiffin.trust.attached import MOST, Attached, attached, signature_layers, tag_of
from tiffin.trust.bundle import LARGEST as LARGEST_BUNDLE
from tiffin.trust.bundle import Bundle, is_bundle, parse_bundle
from tiffin.trust.payload import LARGEST
from tiffin.trust.verify import verify_attached, verify_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.oci.digest import Digest
    from tiffin.registry.access import Registries
    from tiffin.trust.verify import Signer, Verified

_TOTAL: Final = 32 << 20
_BAD: Final = (DeniedError, CorruptError, InvalidError)


class Unusable(NamedTuple):
    """Something among the signatures that is none, and why."""

    reason: str


Candidate = Attached | Bundle | Unusable


def candidates(registries: Registries, image: Reference, digest: Digest) -> Iterator[Candidate]:
    """Everything that may be a signature of the manifest `digest` in the repository of `image`, unchecked.

    Raises what registries raise; CorruptError for a list of signatures that is malformed, or far too long.
    """
    yield from _beside(registries, image, digest)
    yield from _bundles(registries, image, digest)


def signatures_tag(image: Reference, digest: Digest) -> Reference:
    """The name under which the signatures are that lie beside an image."""
    return Reference(image.registry, image.repository, tag_of(digest))


def _beside(registries: Registries, image: Reference, digest: Digest) -> Iterator[Candidate]:
    name = signatures_tag(image, digest)
    repository = registries.to_pull(name)
    try:
        root = repository.resolve(name)
        document = read_manifest(repository, root)
    except NotFoundError:
        return
    left = _TOTAL
    known: dict[Digest, bytes] = {}
    for layer in signature_layers(document, name.familiar):
        if layer.digest not in known:
            left -= layer.size
            if left < 0:
                raise CorruptError(
                    f"the signatures {name.familiar} have more than {_TOTAL} bytes", code="signatures"
                )
            try:
                known[layer.digest] = fetch_bytes(repository, layer, LARGEST)
            except NotFoundError as error:
                yield Unusable(error.message)
                continue
        try:
            yield attached(layer, known[layer.digest])
        except _BAD as error:
            yield Unusable(error.message)


def _bundles(registries: Registries, image: Reference, digest: Digest) -> Iterator[Candidate]:
    repository = registries.to_pull(Reference(image.registry, image.repository, digest=digest))
    found = [each for each in repository.referrers(digest) if is_bundle(each.artifact_type)]
    if len(found) > MOST:
        raise CorruptError(
            f"{image.familiar_name} has {len(found)} bundles, and more than {MOST} are not looked at",
            code="too-many-signatures",
        )
    left = _TOTAL
    for descriptor in found:
        what = f"the bundle {descriptor.digest.short}"
        try:
            manifest = read_manifest(repository, descriptor.bare())
            if not isinstance(manifest, Manifest) or len(manifest.layers) != 1:
                yield Unusable(f"{what} is no artifact with one file")
                continue
            left -= manifest.layers[0].size
            if left < 0:
                raise CorruptError(
                    f"the bundles of {digest} have more than {_TOTAL} bytes", code="signatures"
                )
            yield parse_bundle(fetch_bytes(repository, manifest.layers[0], LARGEST_BUNDLE), what)
        except (*_BAD, NotFoundError) as error:
            if left < 0:
                raise
            yield Unusable(error.message)


def verified(
    registries: Registries, image: Reference, digest: Digest, signer: Signer
) -> Iterator[Verified | Unusable]:
    """Each signature of the manifest `digest`: as it counts, or why it does not."""
    for candidate in candidates(registries, image, digest):
        if isinstance(candidate, Unusable):
            yield candidate
            continue
        try:
            if isinstance(candidate, Attached):
                yield verify_attached(candidate, signer, digest)
            else:
                yield verify_bundle(candidate, signer, digest)
        except _BAD as error:
            yield Unusable(error.message)


def reasons(found: list[Unusable]) -> str:
    """In a few words why none of the signatures counts."""
    if not found:
        return "it has no signature"
    told = list(dict.fromkeys(each.reason for each in found))
    more = f"; and {len(told) - 3} more reasons" if len(told) > 3 else ""
    count = (
        "its signature does not count" if len(found) == 1 else f"none of its {len(found)} signatures counts"
    )
    return f"{count}: {'; '.join(told[:3])}{more}"
