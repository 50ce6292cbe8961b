"""Layers as blobs to send: which form they get, and when they are compressed at all."""

import pytest

from tiffin.content.memory import MemoryPlace
from tiffin.engine.packing import Compression, Packer
from tiffin.errors import CorruptError, InvalidError
from tiffin.events import StepDone
from tiffin.layer.compress import decompress
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID
from tiffin.snapshot.export import layer_descriptor


def committed(engine, text):
    with engine.layers.workspace() as place:
        tree = place / "upper"
        tree.mkdir()
        (tree / "file").write_text(text)
        info = engine.layers.describe(tree)
        engine.layers.commit(tree, info)
    return layer_descriptor(engine.layers, info.diff_id), info.diff_id


def unpacked(engine, descriptor):
    with engine.fetcher.open(descriptor) as stream, decompress(stream) as plain:
        return DiffID.of(plain.read())


@pytest.mark.parametrize(
    ("wanted", "media_type"),
    [
        (None, MediaType.OCI_LAYER_GZIP),
        (Compression("gzip", 3), MediaType.OCI_LAYER_GZIP),
        (Compression("zstd"), MediaType.OCI_LAYER_ZSTD),
        (Compression("none"), MediaType.OCI_LAYER),
    ],
)
def test_a_layer_gets_the_form_that_is_wanted(engine, wanted, media_type):
    plain, diff_id = committed(engine, "x" * 10_000)
    packed = Packer(engine, MemoryPlace(), wanted).pack(plain, diff_id)
    assert packed.media_type == media_type
    assert unpacked(engine, packed) == diff_id


def test_each_form_is_made_once(engine, events):
    plain, diff_id = committed(engine, "x" * 10_000)
    wanted = [Compression("gzip"), Compression("zstd"), Compression("gzip"), Compression("zstd")]
    found = [Packer(engine, MemoryPlace(), each).pack(plain, diff_id) for each in wanted]
    assert found[:2] == found[2:]
    assert sum(isinstance(event, StepDone) for event in events) == 2


def test_what_is_compressed_stays_so_unless_forced(engine):
    plain, diff_id = committed(engine, "x" * 10_000)
    packed = Packer(engine, MemoryPlace()).pack(plain, diff_id)
    for wanted in (Compression("zstd"), Compression("none")):
        assert Packer(engine, MemoryPlace(), wanted).pack(packed, diff_id) == packed
        forced = Packer(engine, MemoryPlace(), wanted._replace(force=True)).pack(packed, diff_id)
        assert forced.media_type != packed.media_type
        assert unpacked(engine, forced) == diff_id


def test_a_docker_layer_keeps_its_family(engine):
    _, diff_id = committed(engine, "x")
    plain = Descriptor(MediaType.DOCKER_LAYER, diff_id, engine.layers.size(diff_id))
    assert Packer(engine, MemoryPlace()).pack(plain, diff_id).media_type == MediaType.DOCKER_LAYER_GZIP


def test_a_layer_that_was_changed_on_disk_is_not_sent(engine):
    plain, diff_id = committed(engine, "x")
    (engine.layers.path(diff_id) / "file").write_text("y")
    with pytest.raises(CorruptError, match="was changed on disk"):
        Packer(engine, MemoryPlace()).pack(plain, diff_id)


def test_a_level_that_there_is_not_is_refused(engine):
    plain, diff_id = committed(engine, "x")
    with pytest.raises(InvalidError, match="no compression level 40"):
        Packer(engine, MemoryPlace(), Compression("zstd", 40)).pack(plain, diff_id)
