import gzip

import msgspec
import pytest
from tests.image.images import AMD64, draft_of, put, tar

from tiffin.content.memory import MemoryPlace
from tiffin.image.edit import Draft, uncompressed_layer
from tiffin.image.validate import validate
from tiffin.oci.codec import encode
from tiffin.oci.config import History, ImageConfig, RootFS
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.manifest import Index, Manifest
from tiffin.oci.platform import Platform

ONE, TWO = tar(a=b"1" * 2000), tar(b=b"2")


@pytest.fixture
def place():
    return MemoryPlace()


def messages(place, root):
    return [problem.message for problem in validate(place, root)]


def image(place, layers, config):
    described = place.write(encode(config), MediaType.OCI_CONFIG)
    return place.write(encode(Manifest(described, tuple(layers))), MediaType.OCI_MANIFEST)


def config_of(*layers, **fields):
    return ImageConfig("amd64", "linux", rootfs=RootFS(tuple(DiffID.of(data) for data in layers)), **fields)


@pytest.mark.parametrize("layers", [(), (ONE,), (ONE, TWO, ONE)])
def test_a_sound_image_has_no_problems(place, layers):
    assert validate(place, put(place, draft_of(place, *layers))) == ()


def test_compressed_layers_are_looked_into(place):
    layers = [place.write(gzip.compress(ONE), MediaType.OCI_LAYER_GZIP)]
    assert validate(place, image(place, layers, config_of(ONE))) == ()
    wrong = DiffID.of(ONE)
    [problem] = validate(place, image(place, layers, config_of(TWO)))
    assert problem.digest == layers[0].digest
    assert f"uncompressed it is {wrong}" in problem.message
    assert DiffID.of(TWO) in problem.message


def test_all_problems_are_told_at_once(place):
    gone, bad = uncompressed_layer(DiffID.of(b"gone"), 4), place.write(TWO, MediaType.OCI_LAYER)
    place.blobs[bad.digest] = TWO[:-1] + b"!"
    history = (History(), History(empty_layer=True))
    root = image(place, [gone, bad], config_of(b"gone", TWO, history=history))
    found = validate(place, root)
    assert [problem.digest for problem in found] == [root.digest, gone.digest, bad.digest]
    assert "history accounts for 1 layers, and there are 2" in found[0].message
    assert "is not in memory" in found[1].message
    assert "does not match its digest" in found[2].message


def test_counts_that_contradict_each_other_are_told(place):
    layer = place.write(ONE, MediaType.OCI_LAYER)
    assert messages(place, image(place, [layer], config_of())) == [
        "the manifest has 1 layers, the config 0 diff ids"
    ]


@pytest.mark.parametrize(
    ("data", "media_type", "says"),
    [
        (gzip.compress(ONE), MediaType.OCI_LAYER, "it is gzip compressed, but its type says not"),
        (ONE, MediaType.OCI_LAYER_GZIP, "it is not compressed, but its type says gzip"),
        (ONE, MediaType.DOCKER_LAYER_ZSTD, "it is not compressed, but its type says zstd"),
        (ONE, "application/x", "type application/x is no layer"),
    ],
)
def test_a_layer_that_is_not_of_its_type_is_told(place, data, media_type, says):
    assert messages(place, image(place, [place.write(data, media_type)], config_of(ONE))) == [says]


def test_a_missing_or_broken_config_leaves_the_layers_to_check(place):
    layer = place.write(ONE, MediaType.OCI_LAYER)
    place.blobs[layer.digest] = b"!" * layer.size
    absent = Manifest(Descriptor.of(b"absent", MediaType.OCI_CONFIG), (layer,))
    broken = Manifest(place.write(b"{]", MediaType.OCI_CONFIG), (layer,))
    for manifest, says in ((absent, "not in memory"), (broken, "malformed")):
        first, second = messages(place, place.write(encode(manifest), MediaType.OCI_MANIFEST))
        assert says in first
        assert "does not match" in second


def test_a_config_without_platform_or_of_unknown_file_system_is_told(place):
    config = ImageConfig("", "", rootfs=RootFS(type="layer cake"))
    assert messages(place, image(place, [], config)) == [
        "the config names no platform",
        "the root file system is of the unknown type 'layer cake'",
    ]


def test_every_image_of_an_index_is_checked(place):
    sound = put(place, draft_of(place, ONE))
    other = put(place, draft_of(place, TWO, platform=Platform("linux", "arm64", "v8")))
    described = [
        msgspec.structs.replace(sound, platform=AMD64),
        msgspec.structs.replace(other, platform=AMD64),
    ]
    root = place.write(encode(Index(tuple(described))), MediaType.OCI_INDEX)
    assert messages(place, root) == ["the index says it is for linux/amd64, the config says linux/arm64"]
    gone = Descriptor.of(b"gone", MediaType.OCI_MANIFEST)
    root = place.write(encode(Index((gone, *described[:1]))), MediaType.OCI_INDEX)
    assert [problem.digest for problem in validate(place, root)] == [gone.digest]


def test_an_index_that_lists_nothing_or_nests_too_deep_is_told(place):
    root = place.write(encode(Index()), MediaType.OCI_INDEX)
    assert messages(place, root) == ["the index lists nothing"]
    for _ in range(8):
        root = place.write(encode(Index((root,))), MediaType.OCI_INDEX)
    assert messages(place, root) == ["the index is nested too deeply"]


def test_a_layer_that_several_images_share_is_told_once(place):
    place.write(ONE, MediaType.OCI_LAYER)
    drafts = [draft_of(place, ONE), draft_of(place, ONE, user="x")]
    del place.blobs[Digest.of(ONE)]
    entries = [put(place, Draft(draft.config, draft.layers)) for draft in drafts]
    root = place.write(encode(Index(tuple(entries))), MediaType.OCI_INDEX)
    assert len(messages(place, root)) == 1
