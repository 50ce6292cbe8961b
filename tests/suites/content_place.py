"""What every place that holds content must do; subclass and give the fixture `place`.

class TestMemory(PlaceSuite, NamesSuite):
    @pytest.fixture
    def place(self):
        return MemoryPlace()
"""

import hashlib
import io
import os
import threading
from contextlib import closing

import pytest

from tiffin.errors import CorruptError, NotFoundError
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference

LARGE = b"".join(i.to_bytes(4, "big") for i in range(800_000))


def layer(data):
    return Descriptor.of(data, MediaType.OCI_LAYER)


def content_of(place, descriptor):
    with closing(place.open(descriptor)) as stream:
        return stream.read()


class Dribble(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a slow network does."""

    def __init__(self, data) -> None:
        super().__init__()
        self.inner = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.inner.readinto(memoryview(buffer)[:3])


class Breaks(io.RawIOBase):
    """A stream that fails in the middle, as a network does."""

    def __init__(self, data) -> None:
        super().__init__()
        self.inner = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        count = self.inner.readinto(buffer)
        if not count:
            raise ConnectionResetError("the other side went away")
        return count


class PlaceSuite:
    """Fetcher and Pusher."""

    @pytest.mark.parametrize(
        "data", [b"", b"x", b"some layer\x00\xff", LARGE], ids=["empty", "one", "few", "large"]
    )
    def test_what_is_pushed_can_be_opened(self, place, data):
        descriptor = layer(data)
        assert not place.has(descriptor)
        place.push(descriptor, io.BytesIO(data))
        assert place.has(descriptor)
        assert content_of(place, descriptor) == data

    def test_other_algorithms_name_content_too(self, place):
        data = b"long digest"
        digest = Digest("sha512:" + hashlib.sha512(data).hexdigest())
        descriptor = Descriptor(MediaType.OCI_LAYER, digest, len(data))
        place.push(descriptor, io.BytesIO(data))
        assert place.has(descriptor)
        assert content_of(place, descriptor) == data

    def test_what_is_not_there_is_not_found_by_its_digest(self, place):
        descriptor = layer(b"absent")
        assert not place.has(descriptor)
        with pytest.raises(NotFoundError, match=descriptor.digest.encoded[:12]):
            place.open(descriptor)

    def test_streams_are_independent_and_begin_at_the_beginning(self, place):
        data = b"0123456789"
        place.push(layer(data), io.BytesIO(data))
        with closing(place.open(layer(data))) as one, closing(place.open(layer(data))) as two:
            assert one.read(4) == b"0123"
            assert two.read(2) == b"01"
            assert one.read() == b"456789"
            assert one.read() == b""

    @pytest.mark.parametrize(
        "change", [lambda d: d + b"!", lambda d: d[:-1], lambda d: b"!" + d[1:], lambda d: d[:0]]
    )
    @pytest.mark.parametrize("data", [b"the right bytes", LARGE], ids=["few", "large"])
    def test_wrong_content_is_refused_and_not_kept(self, place, data, change):
        descriptor = layer(data)
        with pytest.raises(CorruptError):
            place.push(descriptor, io.BytesIO(change(data)))
        assert not place.has(descriptor)
        with pytest.raises(NotFoundError):
            place.open(descriptor)
        place.push(descriptor, io.BytesIO(data))
        assert content_of(place, descriptor) == data

    def test_a_push_that_breaks_leaves_nothing(self, place):
        descriptor = layer(LARGE)
        with pytest.raises(ConnectionResetError):
            place.push(descriptor, io.BufferedReader(Breaks(LARGE[: len(LARGE) // 2])))
        assert not place.has(descriptor)
        place.push(descriptor, io.BytesIO(LARGE))
        assert content_of(place, descriptor) == LARGE

    def test_a_stream_may_dribble(self, place):
        data = os.urandom(100)
        place.push(layer(data), Dribble(data))
        assert content_of(place, layer(data)) == data

    def test_pushing_leaves_the_stream_to_the_caller(self, place):
        stream = io.BytesIO(b"mine")
        place.push(layer(b"mine"), stream)
        assert not stream.closed

    def test_pushing_again_changes_nothing(self, place):
        descriptor = layer(b"again")
        for _ in range(2):
            place.push(descriptor, io.BytesIO(b"again"))
        assert content_of(place, descriptor) == b"again"

    def test_many_may_push_the_same_at_once(self, place):
        descriptor, failures = layer(LARGE), []

        def push():
            try:
                place.push(descriptor, io.BytesIO(LARGE))
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                failures.append(error)

        threads = [threading.Thread(target=push) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert content_of(place, descriptor) == LARGE


class NamesSuite:
    """Resolver and Tagger."""

    def manifest(self, place, text):
        data = b'{"schemaVersion":2,"mediaType":"%s","manifests":[],"annotations":{"n":"%s"}}' % (
            MediaType.OCI_INDEX.encode(),
            text.encode(),
        )
        descriptor = Descriptor.of(data, MediaType.OCI_INDEX)
        place.push(descriptor, io.BytesIO(data))
        return descriptor

    @pytest.mark.parametrize("name", ["python:3", "localhost:5000/a/b:x", "acme/serving:latest"])
    def test_a_name_stands_for_what_it_was_given(self, place, name):
        one = self.manifest(place, "1")
        place.tag(Reference.parse(name), one)
        assert place.resolve(Reference.parse(name)).bare() == one

    def test_a_name_can_be_moved(self, place):
        one, two = self.manifest(place, "1"), self.manifest(place, "2")
        place.tag(Reference.parse("a:1"), one)
        place.tag(Reference.parse("a:1"), two)
        assert place.resolve(Reference.parse("a:1")).bare() == two

    def test_names_do_not_disturb_each_other(self, place):
        one, two = self.manifest(place, "1"), self.manifest(place, "2")
        for name, descriptor in (("a:1", one), ("a:2", two), ("b:1", two), ("c:1", one)):
            place.tag(Reference.parse(name), descriptor)
        found = [place.resolve(Reference.parse(name)).bare() for name in ("a:1", "a:2", "b:1", "c:1")]
        assert found == [one, two, two, one]

    def test_a_name_that_stands_for_nothing_is_not_found(self, place):
        place.tag(Reference.parse("a:1"), self.manifest(place, "1"))
        for name in ("a:2", "b:1", "localhost/a:1"):
            with pytest.raises(NotFoundError, match=name):
                place.resolve(Reference.parse(name))
