"""Signs images in registries with a key, as cosign does: a signature beside each manifest."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.content.verify import fetch_bytes, read_manifest
from tiffin.engine.signatures import signatures_tag
from tiffin.errors import NotFoundError, TiffinError, UnavailableError
from tiffin.oci.descriptor import MANIFESTS
from tiffin.oci.manifest import Index, Manifest
from tiffin.oci.reference import Reference
from tiffin.trust.attached import Attached, attached, compose, layer_of, signature_layers
from tiffin.trust.payload import LARGEST, SIMPLE_SIGNING, Payload
from tiffin.trust.payload import compose as compose_payload
from tiffin.trust.verify import ByKey, verify_attached
from tiffin.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiffin.content.protocol import Fetcher
    from tiffin.engine.engine import Engine
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.registry.access import Registries
    from tiffin.registry.client import Repository
    from tiffin.trust.keys import SigningKey

_ATTEMPTS: Final = 4


class Signing(NamedTuple):
    """How to sign: the key, the name to sign for if not the image's own, and what is added."""

    key: SigningKey
    identity: str = ""
    optional: Mapping[str, str] = {}


class Signed(NamedTuple):
    """A manifest that has a signature now; `new` if it had none like it before."""

    digest: Digest
    new: bool


def sign_image(engine: Engine, name: str, signing: Signing, *, recursive: bool = False) -> list[Signed]:
    """Sign the image `name` where it is, in its registry; with `recursive` also all that an index lists.

    Raises NotFoundError for an image that is not there, and what registries raise.
    """
    reference = Reference.parse(name).tagged()
    with engine.registries() as registries:
        repository = registries.to_pull(reference)
        root = repository.resolve(reference)
        return sign(registries, reference, repository, root, signing, recursive=recursive)


def sign(
    registries: Registries,
    reference: Reference,
    source: Fetcher,
    root: Descriptor,
    signing: Signing,
    *,
    recursive: bool = False,
) -> list[Signed]:
    """Sign the manifest `root`, which `source` has, as the image `reference` in its registry."""
    claimed = Reference.parse(signing.identity) if signing.identity else _unpinned(reference)
    return [
        Signed(
            digest,
            _sign_one(registries, reference, Payload(digest, str(claimed), signing.optional), signing.key),
        )
        for digest in _digests(source, root, recursive=recursive)
    ]


def _unpinned(reference: Reference) -> Reference:
    """The name without its digest: the signature itself says which digest it is for."""
    return Reference(reference.registry, reference.repository, reference.tag)


def _digests(source: Fetcher, root: Descriptor, *, recursive: bool) -> list[Digest]:
    found = [root.digest]
    if recursive and root.is_index:
        index = read_manifest(source, root)
        assert isinstance(index, Index)
        found += [entry.digest for entry in index.manifests if entry.media_type in MANIFESTS]
    return list(dict.fromkeys(found))


def _sign_one(registries: Registries, image: Reference, payload: Payload, key: SigningKey) -> bool:
    """Add a signature to those that are there, unless the key has signed the same; whether it was added."""
    name = signatures_tag(image, payload.digest)
    repository = registries.to_push(name)
    found: Attached | None = None
    for _ in range(_ATTEMPTS):
        layers = _present(repository, name)
        if _has(repository, layers, payload, key):
            return found is not None
        found = found or _signed(payload, key)
        layer = layer_of(found)
        repository.push(layer, io.BytesIO(found.payload))
        _put(repository, name, [*layers, layer])
    raise _crowded(image)


def copy_signatures(
    registries: Registries, source: Reference, target: Reference, digests: Sequence[Digest]
) -> int:
    """Copy the signatures beside the manifests `digests` from one repository to another; return how many."""
    count = 0
    for digest in digests:
        name, there = signatures_tag(source, digest), signatures_tag(target, digest)
        repository = registries.to_pull(name)
        theirs = [each for each in _present(repository, name) if each.media_type == SIMPLE_SIGNING]
        if theirs:
            count += _copy(repository, theirs, registries.to_push(there), there)
    return count


def _copy(source: Repository, layers: list[Descriptor], target: Repository, name: Reference) -> int:
    """Add what is not there yet to the signatures that are there; return how many that were."""
    count = 0
    for _ in range(_ATTEMPTS):
        present = _present(target, name)
        missing = [layer for layer in layers if layer not in present]
        if not missing:
            return count
        count = len(missing)
        for layer in missing:
            target.push(layer, io.BytesIO(fetch_bytes(source, layer, LARGEST)))
        _put(target, name, [*present, *missing])
    raise _crowded(name)


def _crowded(image: Reference) -> UnavailableError:
    """The error after some tries: registries have no "only if nobody else has written"."""
    return UnavailableError(
        f"others sign {image.familiar} at the same time", code="cut-off", hint="try again in a moment"
    )


def _signed(payload: Payload, key: SigningKey) -> Attached:
    data = _signed_text(payload)
    return Attached(data, key.sign(data))


def _present(repository: Repository, name: Reference) -> list[Descriptor]:
    try:
        root = repository.resolve(name)
        document = read_manifest(repository, root)
    except NotFoundError:
        return []
    signature_layers(document, name.familiar)  # it raises for an index
    assert isinstance(document, Manifest)
    return list(document.layers)


def _has(repository: Repository, layers: list[Descriptor], payload: Payload, key: SigningKey) -> bool:
    signer = ByKey((key.public,))
    for layer in layers:
        try:
            found = attached(layer, fetch_bytes(repository, layer, LARGEST))
            known = verify_attached(found, signer, payload.digest)
        except TiffinError:
            continue
        if known.reference == payload.reference and (
            not payload.optional or found.payload == _signed_text(payload)
        ):
            return True
    return False


def _signed_text(payload: Payload) -> bytes:
    return compose_payload(payload._replace(optional={"creator": f"tiffin {VERSION}", **payload.optional}))


def _put(repository: Repository, name: Reference, layers: list[Descriptor]) -> None:
    documents = compose(layers)
    repository.push(documents.config_descriptor, io.BytesIO(documents.config))
    repository.push(documents.descriptor, io.BytesIO(documents.manifest))
    repository.tag(name, documents.descriptor)
