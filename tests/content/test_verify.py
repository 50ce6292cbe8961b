import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tiffin.content.memory import MemoryPlace
from tiffin.content.verify import VerifyingReader, fetch_bytes, read_manifest
from tiffin.errors import CorruptError, NotFoundError
from tiffin.oci.codec import encode
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Index

KIND = MediaType.OCI_LAYER


class OnlyRead:
    """A stream as poor as they come: it can read, and no more."""

    def __init__(self, data) -> None:
        self.inner = io.BytesIO(data)
        self.closed = False

    def read(self, size):
        return self.inner.read(size)

    def close(self):
        self.closed = True


@given(st.binary(max_size=200), st.lists(st.integers(1, 50), max_size=20))
def test_the_right_bytes_come_through_in_any_portions(data, portions):
    for stream in (io.BytesIO(data), OnlyRead(data)):
        reader = VerifyingReader(stream, Descriptor.of(data, KIND))
        assert b"".join([*(reader.read(n) for n in portions), reader.read()]) == data


def read_in_portions(data, descriptor, portion):
    reader = VerifyingReader(io.BytesIO(data), descriptor)
    while reader.read(portion):
        pass


@given(st.binary(max_size=100), st.binary(max_size=100), st.integers(1, 30))
def test_wrong_bytes_never_come_through_whole(right, wrong, portion):
    assume(right != wrong)
    with pytest.raises(CorruptError):
        read_in_portions(wrong, Descriptor.of(right, KIND), portion)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (b"1234", "ends after 4 of 5 bytes"),
        (b"123456", "goes on after its 5 bytes"),
        (b"12346", "does not match"),
    ],
)
def test_the_error_says_what_was_found(wrong, says):
    descriptor = Descriptor.of(b"12345", KIND)
    with pytest.raises(CorruptError, match=says) as caught:
        VerifyingReader(io.BytesIO(wrong), descriptor).read()
    assert descriptor.digest in caught.value.message


def test_who_has_read_the_size_has_read_the_truth():
    reader = VerifyingReader(io.BytesIO(b"12346"), Descriptor.of(b"12345", KIND))
    with pytest.raises(CorruptError):
        reader.read(5)


def test_an_endless_stream_is_given_up_at_its_size():
    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    with pytest.raises(CorruptError):
        VerifyingReader(Endless(), Descriptor.of(b"\0" * 10, KIND)).read()


def test_it_closes_the_stream_that_it_owns():
    mine, given_ = io.BytesIO(b"x"), io.BytesIO(b"x")
    VerifyingReader(given_, Descriptor.of(b"x", KIND)).close()
    VerifyingReader(mine, Descriptor.of(b"x", KIND), owns=False).close()
    assert given_.closed
    assert not mine.closed


def test_a_document_is_fetched_verified_and_closed():
    place = MemoryPlace()
    descriptor = place.write(b"{}", MediaType.OCI_CONFIG)
    opened = []

    class Watching:
        def open(self, descriptor):
            opened.append(place.open(descriptor))
            return opened[0]

    assert fetch_bytes(Watching(), descriptor) == b"{}"
    assert opened[0].closed
    place.blobs[descriptor.digest] = b"[]"
    with pytest.raises(CorruptError):
        fetch_bytes(place, descriptor)


def test_a_document_that_claims_too_much_is_not_even_opened():
    with pytest.raises(CorruptError, match="claims 11 bytes"):
        fetch_bytes(MemoryPlace(), Descriptor.of(b"x" * 11, KIND), limit=10)
    with pytest.raises(NotFoundError):
        fetch_bytes(MemoryPlace(), Descriptor.of(b"x" * 10, KIND), limit=10)


def test_content_inside_the_descriptor_is_used_and_checked():
    bare = Descriptor.of(b"{}", MediaType.OCI_EMPTY)
    inside = Descriptor(bare.media_type, bare.digest, bare.size, data=b"{}")
    assert fetch_bytes(MemoryPlace(), inside) == b"{}"
    with pytest.raises(CorruptError):
        fetch_bytes(MemoryPlace(), Descriptor(bare.media_type, bare.digest, bare.size, data=b"[]"))


def test_a_manifest_is_read_by_what_its_descriptor_says():
    place = MemoryPlace()
    data = encode(Index(()))
    assert read_manifest(place, place.write(data, MediaType.OCI_INDEX)) == Index(())
    with pytest.raises(CorruptError, match="calls itself"):
        read_manifest(place, place.write(data, MediaType.OCI_MANIFEST))
