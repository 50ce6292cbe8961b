import gzip

import msgspec
import pytest
from tests.image.images import AMD64, draft_of, make_image, put, tar

from tiffin.content.memory import MemoryPlace
from tiffin.errors import CorruptError, InvalidError, NotFoundError, UnsupportedError
from tiffin.image.edit import Draft
from tiffin.image.view import open_image
from tiffin.oci.codec import encode
from tiffin.oci.config import ImageConfig, RootFS
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.manifest import Index, Manifest
from tiffin.oci.platform import Platform

ARM64, S390X = Platform("linux", "arm64"), Platform("linux", "s390x")


@pytest.fixture
def place():
    return MemoryPlace()


def index(place, *entries):
    described = [msgspec.structs.replace(entry, platform=platform) for entry, platform in entries]
    return place.write(encode(Index(tuple(described))), MediaType.OCI_INDEX)


def test_an_image_is_seen_whole(place):
    one, two = tar(a=b"1"), tar(b=b"2")
    image = make_image(one, two, place=place)
    assert image.config.config.cmd == ("/serve",)
    assert image.descriptor == Descriptor.of(image.raw_manifest, MediaType.OCI_MANIFEST)
    assert image.id == Digest.of(image.raw_config) == image.manifest.config.digest
    assert [layer.diff_id for layer in image.layers] == [DiffID.of(one), DiffID.of(two)]
    assert [layer.open().read() for layer in image.layers] == [one, two]


def test_layers_are_verified_while_they_are_read(place):
    data = tar(a=b"1")
    image = make_image(data, place=place)
    place.blobs[Digest.of(data)] = data[:-1] + b"!"
    with pytest.raises(CorruptError):
        image.layers[0].open().read()


def test_an_index_gives_the_image_of_the_platform(place):
    here, there = (put(place, draft_of(place, platform=platform)) for platform in (AMD64, ARM64))
    root = index(place, (there, ARM64), (here, AMD64))
    assert open_image(place, root, AMD64).config.platform == AMD64
    assert open_image(place, root, ARM64).descriptor.digest == there.digest
    nested = index(place, (root, None))
    assert open_image(place, nested, ARM64).descriptor.digest == there.digest
    with pytest.raises(NotFoundError, match="python is not made for linux/s390x") as caught:
        open_image(place, root, S390X, what="python")
    assert "linux/amd64, linux/arm64" in caught.value.hint


def test_entries_without_a_platform_are_looked_into(place):
    there, here = (put(place, draft_of(place, platform=platform)) for platform in (ARM64, AMD64))
    assert open_image(place, index(place, (there, None), (here, None)), AMD64).config.platform == AMD64


def test_entries_without_a_platform_that_cannot_be_read_are_passed_over(place):
    here = put(place, draft_of(place, tar(a=b"")))
    gone = Descriptor.of(b"gone", MediaType.OCI_MANIFEST)
    assert open_image(place, index(place, (gone, None), (here, None)), AMD64).descriptor.digest == here.digest


def test_a_lone_image_needs_no_platform(place):
    image = put(place, draft_of(place, tar(a=b"")))
    attestation = put(place, draft_of(place, platform=Platform("unknown", "unknown")))
    root = index(place, (image, AMD64), (attestation, Platform("unknown", "unknown")))
    assert open_image(place, root).descriptor.digest == image.digest


def test_among_several_one_has_to_be_chosen(place):
    images = [put(place, draft_of(place, platform=platform)) for platform in (AMD64, ARM64)]
    with pytest.raises(InvalidError, match="2 images"):
        open_image(place, index(place, (images[0], AMD64), (images[1], ARM64)))


def test_a_manifest_is_taken_whatever_its_platform(place):
    assert open_image(place, put(place, draft_of(place, platform=S390X)), AMD64).config.platform == S390X


def test_docker_s_documents_are_images_too(place):
    data = tar(a=b"1")
    packed = gzip.compress(data)
    config = place.write(
        encode(ImageConfig("amd64", "linux", rootfs=RootFS((DiffID.of(data),)))), MediaType.DOCKER_CONFIG
    )
    layer = place.write(packed, MediaType.DOCKER_LAYER_GZIP)
    manifest = Manifest(config, (layer,), media_type=MediaType.DOCKER_MANIFEST)
    image = open_image(place, place.write(encode(manifest), MediaType.DOCKER_MANIFEST))
    assert image.layers[0].open().read() == packed


@pytest.mark.parametrize(
    ("kind", "layer", "error", "says"),
    [
        ("application/vnd.cncf.helm.config.v1+json", MediaType.OCI_LAYER, UnsupportedError, "helm"),
        (MediaType.OCI_CONFIG, "application/vnd.in-toto+json", UnsupportedError, "in-toto"),
        (MediaType.OCI_CONFIG, MediaType.OCI_LAYER, CorruptError, "manifest has 1 layers, its config 0"),
    ],
)
def test_what_is_no_image_is_told(place, kind, layer, error, says):
    config = place.write(encode(ImageConfig("amd64", "linux")), kind)
    manifest = Manifest(config, (place.write(b"x", layer),))
    with pytest.raises(error, match=says) as caught:
        open_image(place, place.write(encode(manifest), MediaType.OCI_MANIFEST), what="chart:1")
    assert "chart:1" in caught.value.message


def test_a_corrupt_config_is_refused(place):
    root = put(place, draft_of(place))
    config = Draft.of(open_image(place, root)).build().config_descriptor
    place.blobs[config.digest] = place.blobs[config.digest].replace(b"amd64", b"amd65")
    with pytest.raises(CorruptError, match=config.digest):
        open_image(place, root)


def test_indexes_do_not_nest_for_ever(place):
    root = put(place, draft_of(place))
    for _ in range(8):
        root = index(place, (root, None))
    with pytest.raises(CorruptError, match="nested"):
        open_image(place, root, AMD64)
