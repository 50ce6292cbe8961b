"""What refers to a manifest: signatures, SBOMs and the like, listed and attached (distribution-spec 1.1).

A registry without the API for it has an index under a tag made from the digest, which clients keep
("Referrers Tag Schema"). Two clients may write it at once: who does not find its own entry adds it again.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tiffin.errors import CorruptError, InvalidError, UnavailableError
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import LIMIT, Index, Manifest, parse_manifest
from tiffin.registry.failure import LARGEST_ERROR, parse_errors
from tiffin.registry.listing import next_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tiffin.oci.digest import Digest
    from tiffin.registry.client import Access, Repository
    from tiffin.registry.transport import Answer

EMPTY: Final = b"{}"
_ATTEMPTS: Final = 4
_MOST: Final = 10_000
_UNKNOWN_API: Final = frozenset({400, 404, 405, 406, 501})  # the specification says 404; proxies say others


def fallback_tag(digest: Digest) -> str:
    """The tag under which a registry without the API has the index."""
    text = f"{digest.algorithm[:32]}-{digest.encoded[:64]}"
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def list_referrers(access: Access, digest: Digest, artifact_type: str, what: str) -> list[Descriptor]:
    """Return the manifests whose subject is `digest`; of one type, if one is given."""
    known_to_lack = access.repository in access.session.without_referrers
    found = None if known_to_lack else _by_api(access, digest, artifact_type, what)
    if found is None:
        data, _ = _read_fallback(access, digest, what)
        found = [] if data is None else _entries(data, what)
    # A registry may leave the filter to us, and says in OCI-Filters-Applied if it did not.
    known = {each.digest: each for each in found if artifact_type in ("", each.artifact_type)}
    return list(known.values())


def attach(
    repository: Repository,
    subject: Descriptor,
    parts: Iterable[tuple[Descriptor, bytes]],
    artifact_type: str,
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Push an artifact made of `parts` that refers to `subject`; return the descriptor of its manifest."""
    config = Descriptor.of(EMPTY, MediaType.OCI_EMPTY)
    blobs = [(config, EMPTY), *parts]
    for descriptor, data in dict(blobs).items():
        if not repository.has(descriptor):
            repository.push(descriptor, io.BytesIO(data))
    layers = tuple(descriptor for descriptor, _ in blobs[1:]) or (config,)
    manifest = Manifest(
        config, layers, dict(annotations or {}), subject=subject.bare(), artifact_type=artifact_type
    )
    data = codec.encode(manifest)
    described = Descriptor.of(data, manifest.media_type)
    repository.push(described, io.BytesIO(data))
    return described


def note_subject(access: Access, descriptor: Descriptor, data: bytes, answer: Answer, what: str) -> None:
    """Enter a manifest that was pushed into the index of its subject, unless the registry does so."""
    document = parse_manifest(data, descriptor.media_type, f"manifest {descriptor.digest}")
    if document.subject is None or answer.headers.get("OCI-Subject", ""):
        return
    _enter(access, document.subject.digest, _described(descriptor, document), what)


def _described(descriptor: Descriptor, document: Manifest | Index) -> Descriptor:
    """The entry of a manifest in such an index: it has the type and the annotations of the manifest."""
    kind = document.artifact_type
    if not kind and isinstance(document, Manifest):
        kind = document.config.media_type
    return msgspec.structs.replace(
        descriptor.bare(), artifact_type=kind, annotations=dict(document.annotations)
    )


def _enter(access: Access, subject: Digest, entry: Descriptor, what: str) -> None:
    for _ in range(_ATTEMPTS):
        data, etag = _read_fallback(access, subject, what)
        # What others wrote stays as they wrote it, with fields that we do not know.
        index = _new_index() if data is None else msgspec.json.decode(data)
        if any(each["digest"] == entry.digest for each in index["manifests"]):
            return
        index["manifests"].append(msgspec.json.decode(codec.encode(entry)))
        _write_fallback(access, subject, codec.encode(index), etag, what)
    raise UnavailableError(
        f"{what}: others write the index of what refers to {subject.short} at the same time",
        code="cut-off",
        hint="try again",
    )


def _new_index() -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": MediaType.OCI_INDEX, "manifests": []}


def _by_api(access: Access, digest: Digest, artifact_type: str, what: str) -> list[Descriptor] | None:
    """What the API gives, page by page; None where there is no API."""
    from urllib.parse import urlencode

    query = "?" + urlencode({"artifactType": artifact_type}) if artifact_type else ""
    path = f"/v2/{access.repository}/referrers/{digest}{query}"
    found: dict[Digest, Descriptor] = {}
    while path:
        answer = access.session.request("GET", path, access.scopes, {"Accept": MediaType.OCI_INDEX})
        if answer.status in _UNKNOWN_API and not found:
            codes = parse_errors(answer.read(LARGEST_ERROR, what, truncate=True)).codes
            # Any other error may be about this manifest alone, or about a repository that is made later.
            if {"UNSUPPORTED"}.issuperset(codes):
                access.session.without_referrers.add(access.repository)
            return None
        if answer.status != 200:
            raise access.session.failure(answer, what)
        if not _is_index(answer) and not found:  # some answer everything with a page of their own
            answer.close()
            return None
        link, before = next_page(answer), len(found)
        found |= {each.digest: each for each in _entries(answer.read(LIMIT, _index_of(what)), what)}
        if len(found) > _MOST:
            raise CorruptError(f"more than {_MOST} manifests refer to {what}", code="too-many-referrers")
        # A page that brings nothing new would lead in a circle.
        path = link if len(found) > before else ""
    return list(found.values())


def _read_fallback(access: Access, digest: Digest, what: str) -> tuple[bytes | None, str]:
    """The index under the tag, None if there is none, and by what it can be told from a later one."""
    tag = fallback_tag(digest)
    answer = access.request("GET", f"manifests/{tag}", MediaType.OCI_INDEX)
    if answer.status == 404:
        answer.close()
        return None, ""
    if answer.status != 200:
        raise access.session.failure(answer, what)
    if not _is_index(answer):
        answer.close()
        raise InvalidError(
            f"{what}: the tag {tag} is no index of what refers to that image",
            code="referrers-tag",
            hint="somebody uses a tag that the distribution-spec keeps for referrers: delete it",
        )
    etag = answer.headers.get("ETag", "")
    data = answer.read(LIMIT, _index_of(what))
    _entries(data, what)
    return data, etag


def _write_fallback(access: Access, digest: Digest, data: bytes, etag: str, what: str) -> None:
    headers = {"Content-Type": MediaType.OCI_INDEX, **({"If-Match": etag} if etag else {})}
    path = f"/v2/{access.repository}/manifests/{fallback_tag(digest)}"
    answer = access.session.request("PUT", path, access.scopes, headers, data)
    if answer.status not in (201, 200, 202, 412):
        raise access.session.failure(answer, _index_of(what))
    answer.close()


def _entries(data: bytes, what: str) -> list[Descriptor]:
    index = parse_manifest(data, MediaType.OCI_INDEX, _index_of(what))
    assert isinstance(index, Index)
    return list(index.manifests)


def _is_index(answer: Answer) -> bool:
    kind = str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()
    return kind == MediaType.OCI_INDEX


def _index_of(what: str) -> str:
    return f"the index of what refers to {what}"
