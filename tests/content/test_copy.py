import io
import json
import threading

import pytest

from tiffin.content.copy import Copied, copy_graph
from tiffin.content.memory import MemoryPlace
from tiffin.content.walk import children, walk
from tiffin.errors import CorruptError, NotFoundError
from tiffin.events import StepDone, StepProgress, StepStarted
from tiffin.oci.codec import encode
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Index, Manifest


def image(place, *layers, config=b"{}"):
    return place.write(
        encode(
            Manifest(
                place.write(config, MediaType.OCI_CONFIG),
                tuple(place.write(layer, MediaType.OCI_LAYER) for layer in layers),
            )
        ),
        MediaType.OCI_MANIFEST,
    )


@pytest.fixture
def source():
    return MemoryPlace()


@pytest.fixture
def root(source):
    """An index of two images that share a layer and their config."""
    one, two = image(source, b"base", b"one"), image(source, b"base", b"two")
    return source.write(encode(Index((one, two, one))), MediaType.OCI_INDEX)


class Ordered(MemoryPlace):
    """A sink that refuses a manifest before what it refers to, as a registry does."""

    def __init__(self) -> None:
        super().__init__()
        self.order = []

    def push(self, descriptor, stream):
        if descriptor.is_index or descriptor.is_manifest:
            data = stream.read()
            document = json.loads(data)
            below = (
                [document["config"], *document["layers"]] if descriptor.is_manifest else document["manifests"]
            )
            assert {entry["digest"] for entry in below} <= set(self.blobs)
            stream = io.BytesIO(data)
        super().push(descriptor, stream)
        self.order.append(descriptor.digest)


def test_a_walk_meets_everything_once_and_parents_first(source, root):
    met = [descriptor.digest for descriptor in walk(source, root)]
    assert met[0] == root.digest
    assert sorted(met) == sorted(source.blobs)
    assert len(met) == 1 + 2 + 1 + 3


def test_children_are_what_a_document_refers_to(source, root):
    manifest = children(source, root)[0]
    below = children(source, manifest)
    assert [descriptor.media_type for descriptor in below] == [MediaType.OCI_CONFIG] + [
        MediaType.OCI_LAYER
    ] * 2
    assert children(source, below[1]) == ()


def test_a_walk_sees_a_manifest_that_hides_as_a_layer(source):
    inner = image(source, b"hidden")
    disguised = Descriptor(MediaType.OCI_LAYER, inner.digest, inner.size)
    config = source.write(b"{}", MediaType.OCI_CONFIG)
    outer = source.write(encode(Manifest(config, (disguised,))), MediaType.OCI_MANIFEST)
    both = source.write(encode(Index((outer, inner))), MediaType.OCI_INDEX)
    assert Descriptor.of(b"hidden", MediaType.OCI_LAYER) in list(walk(source, both))


@pytest.mark.parametrize("threads", [1, 4])
def test_everything_is_copied_and_what_refers_comes_last(source, root, threads):
    sink = Ordered()
    result = copy_graph(source, sink, root, threads=threads)
    assert set(sink.blobs) == set(source.blobs)
    assert sink.order[-1] == root.digest
    assert result == Copied(7, 0, sum(map(len, source.blobs.values())))


def test_what_is_there_is_not_read(source, root):
    sink = MemoryPlace()
    sink.write(b"base", MediaType.OCI_LAYER)
    del source.blobs[Descriptor.of(b"base", MediaType.OCI_LAYER).digest]
    assert copy_graph(source, sink, root).present == 1
    assert copy_graph(source, sink, root) == Copied(0, 7, 0)


def test_progress_tells_each_blob_from_start_to_end(source, root):
    events = []
    sink = MemoryPlace()
    sink.write(b"one", MediaType.OCI_LAYER)
    copy_graph(source, sink, root, emit=events.append)
    steps = {event.step for event in events}
    assert steps == set(source.blobs)
    for step in steps:
        own = [event for event in events if event.step == step]
        assert isinstance(own[0], StepStarted)
        assert own[0].group == root.digest
        assert isinstance(own[-1], StepDone)
        present = step == Descriptor.of(b"one", "").digest
        assert own[-1].status == ("cached" if present else "done")
        if not present:
            counts = [(event.done, event.total) for event in own if isinstance(event, StepProgress)]
            assert counts[-1] == (len(source.blobs[step]), len(source.blobs[step]))
    names = {event.name.split()[0] for event in events if isinstance(event, StepStarted)}
    assert names == {"layer", "config", "manifest", "index"}


def test_a_blob_that_is_missing_fails_the_copy_and_no_manifest_arrives(source, root):
    gone = Descriptor.of(b"two", MediaType.OCI_LAYER).digest
    del source.blobs[gone]
    sink, events = MemoryPlace(), []
    with pytest.raises(NotFoundError, match=gone):
        copy_graph(source, sink, root, emit=events.append)
    assert not sink.has(root)
    assert not any(b"schemaVersion" in data for data in sink.blobs.values())
    assert StepDone(gone, "failed") in [e._replace(seconds=0.0) for e in events if isinstance(e, StepDone)]


def test_corrupt_content_does_not_arrive(source, root):
    bad = Descriptor.of(b"two", MediaType.OCI_LAYER).digest
    source.blobs[bad] = b"TWO"
    sink = MemoryPlace()
    with pytest.raises(CorruptError, match=bad):
        copy_graph(source, sink, root)
    assert bad not in sink.blobs


def test_a_failure_stops_the_others(source):
    root = image(source, b"bad", b"slow")
    bad, slow = (Descriptor.of(data, MediaType.OCI_LAYER) for data in (b"bad", b"slow"))
    begun, statuses = threading.Event(), {}

    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def read(self, size):
            begun.set()
            return bytes(min(size, 1))

    class Source:
        def open(self, descriptor):
            if descriptor == slow:
                return Endless()
            if descriptor == bad:
                assert begun.wait(10)
                raise NotFoundError("gone")
            return source.open(descriptor)

    class Patient(MemoryPlace):
        def push(self, descriptor, stream):
            while descriptor == slow and stream.read(1):
                pass
            super().push(descriptor, stream)

    def emit(event):
        if isinstance(event, StepDone):
            statuses[event.step] = event.status

    with pytest.raises(NotFoundError, match="gone"):
        copy_graph(Source(), Patient(), root, emit=emit, threads=3)
    assert statuses[bad.digest] == "failed"
    assert statuses[slow.digest] == "canceled"


def test_foreign_layers_stay_where_they_are(source):
    bare = Descriptor.of(b"foreign", MediaType.OCI_FOREIGN_LAYER)
    foreign = Descriptor(bare.media_type, bare.digest, bare.size, urls=("https://a.example/",))
    config = source.write(b"{}", MediaType.OCI_CONFIG)
    root = source.write(encode(Manifest(config, (foreign,))), MediaType.OCI_MANIFEST)
    sink = MemoryPlace()
    assert copy_graph(source, sink, root).copied == 2
    assert not sink.has(foreign)


def test_an_index_nested_too_deep_is_refused(source):
    root = image(source)
    for _ in range(20):
        root = source.write(encode(Index((root,))), MediaType.OCI_INDEX)
    with pytest.raises(CorruptError, match="nested"):
        copy_graph(source, MemoryPlace(), root)
    assert len(list(walk(source, root))) == 22
