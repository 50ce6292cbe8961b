"""What speaks of a manifest follows it when it is written anew."""

import io

from tiffin.content.memory import MemoryPlace
from tiffin.content.verify import fetch_bytes, read_manifest
from tiffin.image.attestation import follow
from tiffin.image.platforms import REFERENCE_DIGEST, REFERENCE_TYPE
from tiffin.oci.codec import decode, encode
from tiffin.oci.config import ImageConfig, RootFS
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.manifest import Manifest
from tiffin.oci.platform import Platform

OLD, NEW = Digest.of(b"old"), Descriptor.of(b"new", MediaType.OCI_MANIFEST)
IN_TOTO = "application/vnd.in-toto+json"


def attested(place, subject=None):
    def put(data, media_type):
        descriptor = Descriptor.of(data, media_type)
        place.push(descriptor, io.BytesIO(data))
        return descriptor

    statement = put(b'{"subject": [{"digest": {"sha256": "%s"}}]}' % OLD.encoded.encode(), IN_TOTO)
    config = ImageConfig("unknown", "unknown", rootfs=RootFS((DiffID(statement.digest),)))
    described = put(encode(config), MediaType.OCI_CONFIG)
    manifest = put(encode(Manifest(described, (statement,), subject=subject)), MediaType.OCI_MANIFEST)
    return Descriptor(
        manifest.media_type,
        manifest.digest,
        manifest.size,
        {REFERENCE_DIGEST: str(OLD), REFERENCE_TYPE: "attestation-manifest"},
        Platform("unknown", "unknown"),
    )


def test_an_attestation_speaks_of_the_new_manifest():
    place = MemoryPlace()
    entry = attested(place, subject=Descriptor(MediaType.OCI_MANIFEST, OLD, 3))
    found, documents = follow(place, entry, {OLD: NEW})
    assert found.annotations == {**entry.annotations, REFERENCE_DIGEST: str(NEW.digest)}
    assert (found.platform, found.digest == entry.digest) == (entry.platform, False)
    for digest, data in documents.items():
        place.push(Descriptor("", digest, len(data)), io.BytesIO(data))
    manifest = read_manifest(place, found)
    statement = fetch_bytes(place, manifest.layers[0])
    assert NEW.digest.encoded.encode() in statement
    assert OLD.encoded.encode() not in statement
    config = decode(fetch_bytes(place, manifest.config), ImageConfig, "the config")
    assert config.rootfs.diff_ids == (manifest.layers[0].digest,)
    assert manifest.subject == NEW


def test_what_speaks_of_something_else_stays():
    place = MemoryPlace()
    entry = attested(place)
    assert follow(place, entry, {Digest.of(b"other"): NEW}) == (entry, {})
    assert follow(place, entry, {OLD: Descriptor(MediaType.OCI_MANIFEST, OLD, 3)}) == (entry, {})
