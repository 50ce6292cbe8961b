"""A whole store in one archive, and out of it again."""

import io
import os
import tarfile

import msgspec
import pytest
from tests.suites.images import make_image

from tiffin.engine.airgap import export_all
from tiffin.engine.archives import load
from tiffin.engine.collection import BASE_LOCK, collect
from tiffin.engine.fsck import fsck
from tiffin.engine.lookup import need_image
from tiffin.errors import NotFoundError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


@pytest.fixture
def full(engine):
    """A store with a base, what it was made from, an image on it, and one without a name."""
    packages = [engine.blobs.write(text, "application/x-deb") for text in (b"package one", b"package two")]
    lock = engine.blobs.write(
        msgspec.json.encode({"packages": [{"sha256": each.digest.encoded} for each in packages]}),
        "application/json",
    )
    make_image(engine, "base", layers=({"f": "base"},), labels={BASE_LOCK: str(lock.digest)})
    make_image(
        engine, "app", "again", layers=({"f": "base"}, {"g": "app"}), labels={BASE_LOCK: str(lock.digest)}
    )
    make_image(engine, layers=({"h": "nameless"},))
    return [lock, *packages]


def exported(engine, *names):
    out = io.BytesIO()
    count = export_all(engine, names, out)
    return count, out.getvalue()


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


def test_everything_arrives(engine, other, full):
    count, data = exported(engine)
    assert count == 3
    assert sorted(load(other, io.BytesIO(data)))[:3] == ["again:latest", "app:latest", "base:latest"]
    for name in ("base", "app", "again"):
        assert need_image(other, name).image_id == need_image(engine, name).image_id
    collect(other)
    assert all(other.blobs.has(part) for part in full)
    assert len(other.images.all()) == 3
    assert fsck(other).problems == ()


def test_the_same_store_gives_the_same_bytes(engine, full):
    assert exported(engine) == exported(engine)


def test_packages_are_there_once_and_only_with_a_base(engine, full):
    _, data = exported(engine)
    names = members(data)
    assert [names.count(f"blobs/sha256/{part.digest.encoded}") for part in full] == [1, 1, 1]
    make_image(engine, "plain", layers=({"z": "1"},))
    count, data = exported(engine, "plain")
    assert count == 1
    assert f"blobs/sha256/{full[0].digest.encoded}" not in members(data)


def test_some_images(engine, other, full):
    _, data = exported(engine, "app")
    assert load(other, io.BytesIO(data)) == ["app:latest"]
    assert all(other.blobs.has(part) for part in full)
    with pytest.raises(NotFoundError):
        exported(engine, "none")


def test_packages_that_are_gone_are_no_hindrance(engine, other, full):
    engine.blobs.delete(full[1].digest)
    _, data = exported(engine)
    load(other, io.BytesIO(data))
    assert [other.blobs.has(part) for part in full] == [True, False, True]


def test_an_empty_store(engine, other):
    count, data = exported(engine)
    assert count == 0
    with pytest.raises(Exception, match="holds no image"):
        load(other, io.BytesIO(data))
