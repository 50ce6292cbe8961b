"""What is kept and what goes, by all that may keep it; what takes space, and how it is given back."""

import os
import time

import msgspec
import pytest
from tests.suites.images import add_container, foreign_tar, make_image, make_layer

from tiffin.build.cache import BuildCache
from tiffin.engine import containers, images, prune, volumes
from tiffin.engine.collection import BASE_LOCK, Links, collect
from tiffin.engine.lookup import need_image
from tiffin.engine.prune import PruneRequest
from tiffin.engine.standing import lock_of
from tiffin.events import Notice
from tiffin.linux import files
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.oci.manifest import Index
from tiffin.oci.reference import Reference
from tiffin.store.gc import Node

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")
OLD = 1_000_000_000  # 2001, in seconds


def age(engine, table, column="created"):
    """Let everything in `table` be old."""
    with engine.db.transaction() as connection:
        connection.execute(f"UPDATE {table} SET {column} = ?", (OLD * 1_000_000_000,))


def listed(engine):
    return sorted(name for row in images.list_images(engine) for name in row.references or ("<none>",))


def layers(engine):
    return {path.name for path in engine.home.layers.iterdir()}


def stack(engine, name):
    return {diff_id.encoded for diff_id in need_image(engine, name).config.rootfs.diff_ids}


def test_what_nothing_keeps_goes(engine):
    make_layer(engine, {"f": "orphan"})
    engine.blobs.write(b"orphan", "text/plain")
    swept = collect(engine)
    assert (len(swept.blobs), len(swept.layers)) == (1, 1)
    assert (list(engine.blobs.all()), layers(engine)) == ([], set())


def test_names_and_images_keep_all_that_they_are_made_of(engine):
    make_image(engine, "named", layers=({"f": "1"}, {"g": "2"}))
    make_image(engine, layers=({"f": "3"},))  # nobody's, and an image all the same
    before = (set(engine.blobs.all()), layers(engine))
    assert collect(engine).blobs == ()
    assert (set(engine.blobs.all()), layers(engine)) == before


def test_an_index_keeps_the_images_in_it(engine):
    made, _ = make_image(engine, "app")
    raw = msgspec.json.encode(msgspec.to_builtins(Index((made,)), enc_hook=str))
    index = engine.blobs.write(raw, MediaType.OCI_INDEX)
    engine.tags.set(Reference.parse("all:1"), index)
    engine.tags.remove(Reference.parse("app:latest"))
    engine.images.remove(made.digest)
    collect(engine)
    assert engine.blobs.has(made)
    assert layers(engine) == stack(engine, "all:1")


def test_foreign_blobs_stay_with_their_manifest(engine):
    tar = foreign_tar(f="1")
    blob = engine.blobs.write(tar, MediaType.OCI_LAYER)
    config = engine.blobs.write(
        b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
        MediaType.OCI_CONFIG,
    )
    raw = msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": MediaType.OCI_MANIFEST,
            "config": msgspec.to_builtins(config, enc_hook=str),
            "layers": [msgspec.to_builtins(blob, enc_hook=str)],
        }
    )
    engine.images.add(engine.blobs.write(raw, MediaType.OCI_MANIFEST), config.digest)
    collect(engine)
    assert engine.blobs.has(blob)


def base_lock(engine, *packages):
    wanted = [{"name": "p", "sha256": Digest.of(package).encoded} for package in packages]
    return engine.blobs.write(msgspec.json.encode({"version": 1, "packages": wanted}), "text/plain")


def test_a_base_keeps_its_lock_and_its_packages(engine):
    package = engine.blobs.write(b"a package", "application/vnd.debian.binary-package")
    lock = base_lock(engine, b"a package")
    make_image(engine, "base", labels={BASE_LOCK: str(lock.digest)})
    collect(engine)
    assert engine.blobs.has(package)
    assert engine.blobs.has(lock)
    images.remove(engine, ["base"])
    assert not engine.blobs.has(package)
    assert not engine.blobs.has(lock)


@pytest.mark.parametrize(
    "label",
    ["", "no digest", "sha256:" + "0" * 64, "junk", "huge"],
    ids=["empty", "no digest", "elsewhere", "junk", "huge"],
)
def test_an_image_is_kept_whatever_its_label_says_of_a_base(engine, label):
    """A label is inherited by what is built on a base and pulled elsewhere, and anybody can write one."""
    if label == "junk":
        label = str(engine.blobs.write(b"no lock", "text/plain").digest)
    elif label == "huge":
        digest = Digest.of(b"huge")
        with engine.blobs.path(digest).open("wb") as stream:
            stream.truncate(1 << 40)
        label = str(digest)
    make_image(engine, "app", labels={BASE_LOCK: label})
    before = layers(engine)
    collect(engine)
    assert layers(engine) == before
    assert need_image(engine, "app")


def test_a_container_keeps_its_layers_when_its_image_is_gone(engine):
    make_image(engine, "app")
    record = add_container(engine, need_image(engine, "app"))
    kept = stack(engine, "app")
    images.remove(engine, ["app"], force=True)
    collect(engine)
    assert layers(engine) == kept
    containers.rm(engine, [record.id])
    collect(engine)
    assert layers(engine) == set()


def test_a_cached_step_keeps_its_layer(engine):
    diff_id = make_layer(engine, {"f": "step"})
    BuildCache(engine.db, engine.layers).put("k" * 64, diff_id, "RUN x", 1.0)
    collect(engine)
    assert layers(engine) == {diff_id.encoded}


def test_a_lease_keeps_what_it_holds(engine):
    diff_id = make_layer(engine, {"f": "1"})
    with engine.leases.hold("test") as lease:
        lease.add("layer", diff_id)
        collect(engine)
        assert layers(engine) == {diff_id.encoded}
    collect(engine)
    assert layers(engine) == set()


def test_a_name_that_is_given_while_a_collection_begins_keeps_its_image(engine):
    """Links are asked within the transaction; what they know must not be older than it."""
    links = Links(engine)
    made, _ = make_image(engine, "late")
    found = list(links(Node("blob", made.digest)))
    assert len(found) == 2  # config and layer
    assert links(Node("layer", "sha256:" + "0" * 64)) == ()


def test_a_damaged_manifest_keeps_nothing_and_harms_no_other(engine):
    make_image(engine, "good", layers=({"f": "1"},))
    bad, _ = make_image(engine, "bad", layers=({"f": "2"},))
    kept = stack(engine, "good")
    engine.blobs.path(bad.digest).write_bytes(b"{")
    collect(engine)
    assert layers(engine) == kept


def test_disk_usage_counts_shared_layers_once(engine):
    make_image(engine, "one", layers=({"base": "x" * 5000}, {"f": "1"}))
    make_image(engine, "two", layers=({"base": "x" * 5000}, {"f": "2"}))
    make_image(engine, "three", layers=({"alone": "3"},))
    usage = prune.disk_usage(engine)
    with engine.db.read() as connection:
        sizes = {
            row[0].removeprefix("sha256:"): row[1]
            for row in connection.execute("SELECT diff_id, usage FROM layer")
        }
    assert usage.layers_size == sum(sizes.values())
    shared = stack(engine, "one") & stack(engine, "two")
    found = {image.references[0]: image.shared_size for image in usage.images}
    one = sum(sizes[each] for each in shared)
    assert one > 5000
    assert found == {"one:latest": one, "two:latest": one, "three:latest": 0}


def test_disk_usage_tells_of_containers_volumes_and_cache(engine):
    make_image(engine, "app", layers=({"f": "1"},))
    add_container(engine, need_image(engine, "app"))
    volume = volumes.create(engine, "data")
    (volumes.list_volumes(engine)[0].mountpoint / "f").write_bytes(b"x" * 1234)
    cache = BuildCache(engine.db, engine.layers)
    shared, alone = (need_image(engine, "app").config.rootfs.diff_ids[0], make_layer(engine, {"g": "2"}))
    cache.put("a" * 64, shared, "COPY", 1.0)
    cache.put("b" * 64, alone, "RUN", 1.0)
    cache.put("c" * 64, None, "RUN true", 1.0)
    usage = prune.disk_usage(engine)
    assert [(image.references, image.containers) for image in usage.images] == [(("app:latest",), 1)]
    assert [(found.name, found.size, found.links) for found in usage.volumes] == [(volume, 1234, 0)]
    assert len(usage.containers) == 1
    found = {step.id[0]: (step.size > 0, step.in_use) for step in usage.cache}
    assert found == {"a": (True, True), "b": (True, False), "c": (False, False)}


def test_a_damaged_image_spoils_neither_usage_nor_pruning(engine):
    make_image(engine, "good", layers=({"f": "1"},))
    bad, _ = make_image(engine, "bad", layers=({"f": "2"},))
    engine.blobs.path(bad.digest).unlink()
    assert [image.references for image in prune.disk_usage(engine).images] == [("good:latest",)]
    prune.prune(engine, PruneRequest(images="dangling", cache="unused"))
    assert listed(engine) == ["good:latest"]


def test_dangling_images_go_and_named_ones_stay(engine):
    make_image(engine, "app", layers=({"f": "1"},))
    _, image_id = make_image(engine, layers=({"f": "2" * 9000},))
    report = prune.prune(engine, PruneRequest(images="dangling"))
    assert report.images == (f"deleted: {image_id}",)
    assert report.reclaimed > 9000
    assert listed(engine) == ["app:latest"]
    assert layers(engine) == stack(engine, "app")


def test_all_images_but_those_of_containers_go(engine):
    make_image(engine, "used", layers=({"f": "1"},))
    _, image_id = make_image(engine, "unused:1", "unused:2", layers=({"f": "2"},))
    add_container(engine, need_image(engine, "used"))
    report = prune.prune(engine, PruneRequest(images="all"))
    assert sorted(report.images) == [f"deleted: {image_id}", "untagged: unused:1", "untagged: unused:2"]
    assert listed(engine) == ["used:latest"]


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        ({}, {"old:1", "plain:1", "staged:1"}),
        ({"labels": ("stage",)}, {"staged:1"}),
        ({"labels": ("stage=test",)}, {"staged:1"}),
        ({"labels": ("stage=live",)}, set()),
        ({"labels": ("stage", "other")}, set()),
        ({"not_labels": ("stage",)}, {"old:1", "plain:1"}),
        ({"not_labels": ("stage=live",)}, {"old:1", "plain:1", "staged:1"}),
        ({"until": OLD + 1.0}, {"old:1"}),
        ({"until": OLD + 0.0}, set()),
        ({"until": OLD - 1.0}, set()),
    ],
)
def test_filters_of_images(engine, filters, gone):
    make_image(engine, "old:1", layers=({"f": "1"},))
    age(engine, "image")
    make_image(engine, "plain:1", layers=({"f": "2"},))
    make_image(engine, "staged:1", layers=({"f": "3"},), labels={"stage": "test"})
    prune.prune(engine, PruneRequest(images="all", **filters))
    assert {"old:1", "plain:1", "staged:1"} - set(listed(engine)) == gone


def test_containers_that_run_not_go_and_their_labels_count(engine):
    make_image(engine, "app")
    found = need_image(engine, "app")
    add_container(engine, found, "one", number=1, labels={"keep": "yes"})
    add_container(engine, found, "two", number=2)
    report = prune.prune(engine, PruneRequest(containers=True, not_labels=("keep",)))
    assert report.containers == (f"{2:064x}",)
    assert [container.name for container in containers.ps(engine, all_=True)] == ["one"]
    assert prune.prune(engine, PruneRequest(containers=True, until=time.time())).containers == (f"{1:064x}",)


def test_a_container_that_is_being_started_is_not_pruned(engine):
    """It looks as one that was made and left: the two are told apart by the lock."""
    make_image(engine, "app")
    record = add_container(engine, need_image(engine, "app"))
    with files.lock(lock_of(engine, record)):
        assert prune.prune(engine, PruneRequest(containers=True)).containers == ()
    assert prune.prune(engine, PruneRequest(containers=True)).containers == (record.id,)
    assert not lock_of(engine, record).exists()


def test_anonymous_volumes_go_before_named_ones(engine):
    named, anonymous = volumes.create(engine, "data"), volumes.create(engine)
    found = next(volume for volume in volumes.list_volumes(engine) if volume.name == anonymous)
    (found.mountpoint / "f").write_bytes(b"x" * 4321)
    report = prune.prune(engine, PruneRequest(volumes="anonymous"))
    assert (report.volumes, report.reclaimed >= 4321) == ((anonymous,), True)
    assert prune.prune(engine, PruneRequest(volumes="all")).volumes == (named,)


@pytest.mark.parametrize(("what", "gone"), [("none", ""), ("unused", "bc"), ("all", "abc")])
def test_the_cache_is_pruned_by_use(engine, what, gone):
    make_image(engine, "app")
    cache = BuildCache(engine.db, engine.layers)
    cache.put("a" * 64, need_image(engine, "app").config.rootfs.diff_ids[0], "COPY", 1.0)
    cache.put("b" * 64, make_layer(engine, {"g": "2"}), "RUN", 1.0)
    cache.put("c" * 64, None, "RUN true", 1.0)
    report = prune.prune(engine, PruneRequest(cache=what))
    assert sorted(key[0] for key in report.cache) == list(gone)
    assert [key for key in "abc" if cache.get(key * 64) is None] == list(gone)
    assert need_image(engine, "app")
    assert layers(engine) >= stack(engine, "app")


@pytest.mark.parametrize("filters", [{"labels": ("stage",)}, {"not_labels": ("keep",)}])
def test_labels_spare_the_cache_which_has_none_and_that_is_said(engine, events, filters):
    cache = BuildCache(engine.db, engine.layers)
    cache.put("c" * 64, None, "RUN true", 1.0)
    report = prune.prune(engine, PruneRequest(cache="all", **filters))
    assert (report.cache, cache.get("c" * 64) is None) == ((), False)
    (told,) = [event for event in events if isinstance(event, Notice)]
    assert told.message.startswith("the build cache stays: nothing in it has labels")


def test_the_cache_that_was_used_lately_is_spared(engine):
    cache = BuildCache(engine.db, engine.layers)
    cache.put("a" * 64, make_layer(engine, {"g": "1"}), "RUN", 1.0)
    age(engine, "cache", "used")
    cache.put("b" * 64, make_layer(engine, {"g": "2"}), "RUN", 1.0)
    report = prune.prune(engine, PruneRequest(cache="all", until=time.time() - 3600))
    assert report.cache == ("a" * 12,)


def test_nothing_asked_is_nothing_pruned(engine):
    make_image(engine, layers=({"f": "1"},))
    assert not any(prune.prune(engine, PruneRequest()))
    assert isinstance(engine.images.all()[0].descriptor, Descriptor)


def test_directories_of_containers_that_nobody_recorded_go_once_they_are_old(engine, monkeypatch):
    make_image(engine, "app")
    add_container(engine, need_image(engine, "app"))
    (kept,) = engine.home.containers.iterdir()
    strays = [engine.home.containers / ("a" * 64), engine.home.containers / f".gone-{'b' * 64}"]
    for stray in strays:
        (stray / "upper" / "d").mkdir(parents=True)
    collect(engine)
    assert set(engine.home.containers.iterdir()) == {kept, *strays}  # they may be in the making
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 3601)
    assert collect(engine).leftovers == 2
    assert list(engine.home.containers.iterdir()) == [kept]


def test_locks_of_containers_that_are_no_more_go_once_they_are_old(engine, monkeypatch):
    make_image(engine, "app")
    add_container(engine, need_image(engine, "app"))
    (kept,) = engine.home.containers.iterdir()
    names = (kept.name[:12], "a" * 12, "b" * 12)
    known, stray, held = (engine.home.locks / f"container-{name}" for name in names)
    for path in (known, stray, held):
        path.touch()
    collect(engine)
    assert stray.exists()
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 3601)
    with files.lock(held):
        collect(engine)
    assert [path.exists() for path in (known, stray, held)] == [True, False, True]
