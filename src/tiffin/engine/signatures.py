"""The signatures of an image as a registry has them: beside it by cosign's tag, and attached as bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.content.verify import fetch_bytes, read_manifest
from tiffin.errors import CorruptError, DeniedError, InvalidError, NotFoundError
from tiffin.oci.manifest import Manifest
from tiffin.oci.reference import Reference
from tiffin.trust.attached import ATTACHED, MOST, TOO_MANY, Attached, attached, signature_layers, tag_of
from tiffin.trust.bundle import LARGEST as LARGEST_BUNDLE
from tiffin.trust.bundle import Bundle, is_bundle, parse_bundle
from tiffin.trust.payload import LARGEST
from tiffin.trust.verify import verify_attached, verify_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.errors import TiffinError
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.manifest import Index
    from tiffin.registry.access import Registries
    from tiffin.registry.client import Repository
    from tiffin.trust.verify import Signer, Verified

_TOTAL: Final = 32 << 20
_BAD: Final = (DeniedError, CorruptError, InvalidError, NotFoundError)


class Unusable(NamedTuple):
    """Something among the signatures that is none, and why."""

    reason: str


Candidate = Attached | Bundle | Unusable


def candidates(registries: Registries, image: Reference, digest: Digest) -> Iterator[Candidate]:
    """Everything that may be a signature of the manifest `digest` in the repository of `image`, unchecked.

    Raises what registries raise; CorruptError for a list of signatures that is malformed, or far too long.
    """
    content = _Content(image)
    name = signatures_tag(image, digest)
    repository = registries.to_pull(name)
    document = _beside(repository, name)
    if document is not None:
        yield from content.listed(repository, document, name.familiar)
    pinned = Reference(image.registry, image.repository, digest=digest)
    yield from content.referring(registries.to_pull(pinned), digest)


def signatures_tag(image: Reference, digest: Digest) -> Reference:
    """The name under which the signatures are that lie beside an image."""
    return Reference(image.registry, image.repository, tag_of(digest))


def _beside(repository: Repository, name: Reference) -> Manifest | Index | None:
    try:
        return read_manifest(repository, repository.resolve(name))
    except NotFoundError:
        return None


class _Content:
    """What is fetched for the signatures of one image: altogether not more than a fixed number of bytes."""

    def __init__(self, image: Reference) -> None:
        self._image = image
        self._left = _TOTAL
        self._known: dict[Digest, bytes] = {}

    def listed(self, repository: Repository, document: Manifest | Index, what: str) -> Iterator[Candidate]:
        """The signatures that a manifest has as its layers."""
        for layer in signature_layers(document, what):
            try:
                found: Candidate = attached(layer, self._fetch(repository, layer, LARGEST))
            except _BAD as error:
                found = _unusable(error)
            yield found

    def referring(self, repository: Repository, digest: Digest) -> Iterator[Candidate]:
        """The signatures in artifacts that refer to it: bundles, and manifests like the one beside it."""
        known = repository.referrers(digest)
        found = [each for each in known if each.artifact_type == ATTACHED or is_bundle(each.artifact_type)]
        if len(found) > MOST:
            raise self._too_many(f"{len(found)} signatures, and more than {MOST}")
        for descriptor in found:
            what = f"the artifact {descriptor.digest.short}"
            try:
                document = read_manifest(repository, descriptor.bare())
                if is_bundle(descriptor.artifact_type):
                    yield self._bundle(repository, document, what)
                else:
                    yield from self.listed(repository, document, what)
            except _BAD as error:
                yield _unusable(error)

    def _bundle(self, repository: Repository, document: Manifest | Index, what: str) -> Bundle:
        if not isinstance(document, Manifest) or len(document.layers) != 1:
            raise CorruptError(f"{what} is not one bundle", code="signatures")
        return parse_bundle(self._fetch(repository, document.layers[0], LARGEST_BUNDLE), what)

    def _fetch(self, repository: Repository, descriptor: Descriptor, limit: int) -> bytes:
        if descriptor.digest not in self._known:
            self._left -= descriptor.size
            if self._left < 0:
                raise self._too_many(f"signatures of more than {_TOTAL} bytes, which")
            self._known[descriptor.digest] = fetch_bytes(repository, descriptor, limit)
        return self._known[descriptor.digest]

    def _too_many(self, what: str) -> CorruptError:
        return CorruptError(f"{self._image.familiar_name} has {what} are not looked at", code=TOO_MANY)


def _unusable(error: TiffinError) -> Unusable:
    """Why something is no signature; but a list that is too long stays an error, whatever else is in it."""
    if error.code == TOO_MANY:
        raise error
    return Unusable(error.message)


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
