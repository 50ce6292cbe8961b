"""The cache as a document: what is read from it, and what makes it no cache."""

import msgspec
import pytest

from tiffin.build.cachedocument import CacheDocument, Record, SavedMount, TreeDigest, no_cache, read_document
from tiffin.errors import CorruptError
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID

ONE, TWO = DiffID.of(b"one"), DiffID.of(b"two")
BLOBS = [Descriptor.of(text, MediaType.OCI_LAYER_GZIP) for text in (b"1", b"2")]
DOCUMENT = CacheDocument(
    layers=(ONE, TWO),
    records=(Record("a", ONE, 2.5), Record("b")),
    digests=(TreeDigest("chain", "selector", "digest"),),
    mounts=(SavedMount("k", "pip", TWO),),
)


def read(document, layers=BLOBS, diff_ids=()):
    data = document if isinstance(document, bytes) else codec.encode(document)
    return read_document(data, layers, diff_ids, "the cache x")


def test_what_was_written_is_read():
    cache = read(DOCUMENT)
    assert cache.records == {"a": Record("a", ONE, 2.5), "b": Record("b")}
    assert cache.digests == {("chain", "selector"): "digest"}
    assert cache.mounts == {"k": SavedMount("k", "pip", TWO)}
    assert cache.layers == {ONE: BLOBS[0], TWO: BLOBS[1]}


def test_an_image_says_itself_what_its_layers_are():
    document = msgspec.structs.replace(DOCUMENT, layers=())
    assert read(document, diff_ids=(TWO, ONE)).layers == {TWO: BLOBS[0], ONE: BLOBS[1]}


def test_a_cache_may_have_no_layers():
    empty = Descriptor.of(b"{}", MediaType.OCI_EMPTY)
    assert read(CacheDocument(), [empty]).layers == {}


@pytest.mark.parametrize(
    ("data", "layers", "message"),
    [
        (b"{", BLOBS, "the cache x"),
        (b"[]", BLOBS, "Expected `object`"),
        (b'{"version":2}', BLOBS, "version"),
        (b'{"version":1,"records":[{"key":1}]}', BLOBS, "records"),
        (b'{"version":1,"layers":["sha256:../../etc"]}', BLOBS, "layers"),
        (codec.encode(DOCUMENT), BLOBS[:1], "2 layers, but there are 1"),
        (codec.encode(DOCUMENT), [BLOBS[0], Descriptor.of(b"", "text/plain")], "of the type text/plain"),
        (b" " * (17 << 20), BLOBS, "more than"),
    ],
)
def test_a_document_that_is_wrong_is_told(data, layers, message):
    with pytest.raises(CorruptError, match=message):
        read(data, layers)


def test_a_cache_of_another_builder_is_called_by_its_name():
    assert "cache of BuildKit" in no_cache("x", "application/vnd.buildkit.cacheconfig.v0").message
    assert "type=inline" in no_cache("x", MediaType.OCI_CONFIG).hint
