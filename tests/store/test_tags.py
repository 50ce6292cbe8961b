import pytest

from tiffin.errors import NotFoundError
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.reference import Reference
from tiffin.store.tags import Tag, Tags


def ref(text):
    return Reference.parse(text)


ONE = Descriptor.of(b"1", MediaType.OCI_MANIFEST)
TWO = Descriptor.of(b"2", MediaType.OCI_INDEX)


@pytest.fixture
def tags(db):
    return Tags(db, clock=iter(range(1000, 2000)).__next__)


def test_a_name_without_a_tag_is_latest(tags):
    tags.set(ref("finca-serving"), ONE)
    assert tags.get(ref("docker.io/library/finca-serving:latest")) == ONE
    assert tags.all() == [Tag(ref("finca-serving:latest"), ONE, 1000)]


def test_a_name_by_digest_is_a_name_of_its_own(tags):
    pinned = ref(f"python@{ONE.digest}")
    tags.set(pinned, ONE)
    assert tags.get(pinned) == ONE
    assert tags.get(ref("python")) is None


def test_the_last_one_set_comes_first(tags):
    for name in ("a", "b", "c", "a"):
        tags.set(ref(name), ONE)
    assert [tag.reference.familiar for tag in tags.all()] == ["a:latest", "c:latest", "b:latest"]


def test_a_name_can_be_removed_once(tags):
    tags.set(ref("a"), ONE)
    tags.set(ref("a:2"), TWO)
    assert tags.remove(ref("a"))
    assert not tags.remove(ref("a"))
    assert tags.get(ref("a")) is None
    assert tags.get(ref("a:2")) == TWO


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("finca-servin", "finca-serving:latest"),
        ("fincaserving", "finca-serving:latest"),
        ("pythom:3.11", "python:3.11.8-slim"),
        ("localhost:5000/acme/mode1", "localhost:5000/acme/model:1"),
    ],
)
def test_the_name_that_was_meant_is_found(tags, written, meant):
    for name in ("finca-serving", "python:3.11.8-slim", "localhost:5000/acme/model:1", "debian:bookworm"):
        tags.set(ref(name), ONE)
    assert tags.nearest(written)[0] == meant
    with pytest.raises(NotFoundError) as caught:
        tags.resolve(ref(written))
    assert meant in caught.value.hint


def test_no_name_is_near_to_nonsense(tags):
    tags.set(ref("finca-serving"), ONE)
    assert tags.nearest("zzzzzz") == []
