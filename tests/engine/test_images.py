"""List, tag, remove, inspect and history, held to what Docker says of the same images."""

import os

import pytest
from tests.suites.images import add_container, make_image

from tiffin.engine import images
from tiffin.engine.lookup import need_image
from tiffin.errors import ConflictError, InvalidError, NotFoundError
from tiffin.oci.descriptor import Descriptor

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


def listed(engine, **options):
    return [row.references for row in images.list_images(engine, **options)]


def stored(engine):
    return {str(path.relative_to(engine.home.root)) for path in engine.home.root.glob("blobs/sha256/*")} | {
        path.name for path in engine.home.layers.iterdir()
    }


def test_lists_show_the_newest_first_and_all_names_of_one(engine):
    make_image(engine, "old", layers=({"f": "1"},))
    make_image(engine, "new:2", "zoo/new:1", layers=({"f": "2"},))
    make_image(engine, layers=({"f": "3"},))
    assert listed(engine) == [(), ("new:2", "zoo/new:1"), ("old:latest",)]


def test_a_list_tells_id_size_digest_and_labels(engine):
    descriptor, image_id = make_image(engine, "a", layers=({"f": "1"}, {"g": "2"}), labels={"k": "v"})
    row = images.list_images(engine)[0]
    assert (row.id, row.digest, row.labels) == (image_id, descriptor.digest, {"k": "v"})
    assert row.size == sum(
        engine.layers.size(each) for each in need_image(engine, "a").config.rootfs.diff_ids
    )
    assert row.created > 1_600_000_000


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("app", [("app:1", "app:2")]),
        ("app:1", [("app:1",)]),
        ("docker.io/library/app", [("app:1", "app:2")]),
        ("app:3", []),
        ("other", [("other:latest",)]),
    ],
)
def test_a_list_may_be_of_one_repository(engine, name, expected):
    make_image(engine, "app:1", "app:2", layers=({"f": "1"},))
    make_image(engine, "other", layers=({"f": "2"},))
    assert listed(engine, name=name) == expected


def damage_manifest(engine, descriptor):
    engine.blobs.path(descriptor.digest).write_bytes(b"x" * descriptor.size)


def lose_manifest(engine, descriptor):
    engine.blobs.path(descriptor.digest).unlink()


def cut_manifest(engine, descriptor):
    engine.blobs.path(descriptor.digest).write_bytes(b"")


@pytest.mark.parametrize("harm", [damage_manifest, lose_manifest, cut_manifest])
def test_a_damaged_image_spoils_no_list_and_can_be_removed(engine, harm):
    make_image(engine, "good", layers=({"f": "1"},))
    descriptor, image_id = make_image(engine, "bad", layers=({"f": "2"},))
    harm(engine, descriptor)
    assert listed(engine) == [("good:latest",)]
    assert images.remove(engine, ["bad"]) == ["Untagged: bad:latest", f"Deleted: {image_id}"]
    with pytest.raises(NotFoundError):
        need_image(engine, "bad")
    assert need_image(engine, "good")


def test_tag_gives_another_name_and_takes_it_from_others(engine):
    one, _ = make_image(engine, "one", layers=({"f": "1"},))
    make_image(engine, "two", layers=({"f": "2"},))
    images.tag(engine, "one", "registry.example:5000/team/one:v1")
    images.tag(engine, "one", "two")
    assert need_image(engine, "two").descriptor == one
    assert need_image(engine, "registry.example:5000/team/one:v1").descriptor == one
    assert listed(engine) == [(), ("one:latest", "registry.example:5000/team/one:v1", "two:latest")]


def test_tag_wants_a_source_and_a_valid_name(engine):
    make_image(engine, "one")
    with pytest.raises(NotFoundError, match="no image none"):
        images.tag(engine, "none", "x")
    with pytest.raises(InvalidError):
        images.tag(engine, "one", "NOT VALID")


def test_removing_the_last_name_removes_the_image(engine):
    empty = stored(engine)
    _, image_id = make_image(engine, "app")
    assert stored(engine) > empty
    assert images.remove(engine, ["app"]) == ["Untagged: app:latest", f"Deleted: {image_id}"]
    assert stored(engine) == empty
    assert listed(engine) == []


def test_removing_one_of_several_names_leaves_the_image(engine):
    make_image(engine, "app:1", "app:2")
    before = stored(engine)
    assert images.remove(engine, ["app:1"]) == ["Untagged: app:1"]
    assert (stored(engine), listed(engine)) == (before, [("app:2",)])


def test_an_id_stands_for_the_image_and_its_names_protect_it(engine):
    _, image_id = make_image(engine, "app:1", "app:2")
    with pytest.raises(ConflictError, match=r"app:1, app:2|app:2, app:1") as caught:
        images.remove(engine, [image_id.encoded[:12]])
    assert "--force" in caught.value.hint
    lines = images.remove(engine, [image_id.encoded[:12]], force=True)
    assert sorted(lines) == [f"Deleted: {image_id}", "Untagged: app:1", "Untagged: app:2"]
    assert listed(engine) == []


def test_an_image_with_one_name_or_none_goes_by_its_id(engine):
    _, one = make_image(engine, "app", layers=({"f": "1"},))
    _, two = make_image(engine, layers=({"f": "2"},))
    assert images.remove(engine, [one]) == ["Untagged: app:latest", f"Deleted: {one}"]
    assert images.remove(engine, [two.encoded]) == [f"Deleted: {two}"]
    assert listed(engine) == []


def test_an_id_of_two_manifests_removes_both(engine):
    """One config may be known under two manifests: as built, and as it came back from a registry."""
    descriptor, image_id = make_image(engine, "app")
    raw = engine.blobs.path(descriptor.digest).read_bytes()
    other = engine.blobs.write(raw + b"\n", descriptor.media_type)
    engine.images.add(other, image_id)
    images.remove(engine, [image_id])
    assert (engine.images.all(), listed(engine)) == ([], [])


def test_layers_that_another_image_has_stay(engine):
    make_image(engine, "one", layers=({"base": "x"}, {"f": "1"}))
    make_image(engine, "two", layers=({"base": "x"}, {"f": "2"}))
    images.remove(engine, ["one"])
    diff_ids = need_image(engine, "two").config.rootfs.diff_ids
    assert {path.name for path in engine.home.layers.iterdir()} == {each.encoded for each in diff_ids}


def test_an_image_that_a_container_uses_stays_unless_forced(engine):
    make_image(engine, "app")
    add_container(engine, need_image(engine, "app"), "box")
    with pytest.raises(ConflictError, match="used by the container box") as caught:
        images.remove(engine, ["app"])
    assert "tiffin rm box" in caught.value.hint
    assert listed(engine) == [("app:latest",)]
    diff_ids = need_image(engine, "app").config.rootfs.diff_ids
    images.remove(engine, ["app"], force=True)
    assert listed(engine) == []
    assert all(engine.layers.has(each) for each in diff_ids)  # the container can still be started


def test_an_image_in_use_may_lose_one_of_its_names(engine):
    make_image(engine, "app:1", "app:2")
    add_container(engine, need_image(engine, "app:1"))
    assert images.remove(engine, ["app:1"]) == ["Untagged: app:1"]


def test_removing_what_is_not_there_names_the_nearest(engine):
    make_image(engine, "finca-serving")
    with pytest.raises(NotFoundError) as caught:
        images.remove(engine, ["finca-servin"])
    assert "finca-serving" in caught.value.hint


HISTORY = (
    {"created": "1980-01-02T00:00:00Z", "created_by": "COPY a /", "comment": "tiffin"},
    {"created": "1980-01-02T00:00:00Z", "created_by": "ENV X=1", "empty_layer": True},
    {"created": "2024-05-01T10:00:00.123456789Z", "created_by": "RUN make"},
)


def test_history_is_newest_first_with_the_id_on_top(engine):
    _, image_id = make_image(engine, "app", layers=({"a": "1"}, {"b": "22"}), history=HISTORY)
    rows = images.history(engine, "app")
    assert [row.created_by for row in rows] == ["RUN make", "ENV X=1", "COPY a /"]
    assert [row.id for row in rows] == [image_id, "<missing>", "<missing>"]
    sizes = [engine.layers.size(each) for each in need_image(engine, "app").config.rootfs.diff_ids]
    assert [row.size for row in rows] == [sizes[1], 0, sizes[0]]
    assert rows[0].created == pytest.approx(1714557600.123456)
    assert (rows[2].created, rows[2].comment) == (315_619_200, "tiffin")


def test_an_image_without_a_history_shows_its_layers(engine):
    _, image_id = make_image(engine, "app", layers=({"a": "1"}, {"b": "2"}))
    rows = images.history(engine, "app")
    assert [(row.id, row.created, row.size > 0) for row in rows] == [
        (image_id, None, True),
        ("<missing>", None, True),
    ]


def test_a_history_with_an_odd_time_is_shown_without(engine):
    make_image(engine, "app", history=({"created": "yesterday", "created_by": "x"},))
    assert images.history(engine, "app")[0].created is None


def test_an_empty_image_has_no_history(engine):
    make_image(engine, "app", layers=())
    assert images.history(engine, "app") == []


def test_inspect_has_the_fields_that_scripts_read(engine):
    descriptor, image_id = make_image(
        engine,
        "app:1",
        "registry.example/app:2",
        created="1980-01-02T00:00:00Z",
        env=("A=1",),
        cmd=("serve",),
        exposed_ports={"8000/tcp": {}},
        labels={"k": "v"},
        working_dir="/srv",
        user="app",
    )
    document = images.inspect(engine, ["app:1"])[0]
    assert document["Id"] == image_id
    assert document["RepoTags"] == ["app:1", "registry.example/app:2"]
    assert document["RepoDigests"] == [
        f"app@{descriptor.digest}",
        f"registry.example/app@{descriptor.digest}",
    ]
    assert document["Created"] == "1980-01-02T00:00:00Z"
    assert document["Os"] == "linux"
    assert document["Architecture"] == engine.platform.architecture
    assert document["RootFS"]["Layers"] == list(need_image(engine, "app:1").config.rootfs.diff_ids)
    assert document["Size"] == sum(engine.layers.sizes().values())
    config = document["Config"]
    assert config["Env"] == ["A=1"]
    assert config["Cmd"] == ["serve"]
    assert config["Entrypoint"] is None
    assert config["ExposedPorts"] == {"8000/tcp": {}}
    assert (config["Labels"], config["WorkingDir"], config["User"]) == ({"k": "v"}, "/srv", "app")


def test_inspect_takes_several_and_refuses_the_unknown(engine):
    make_image(engine, "a", layers=({"f": "1"},))
    make_image(engine, "b", layers=({"f": "2"},))
    assert [document["RepoTags"] for document in images.inspect(engine, ["b", "a"])] == [
        ["b:latest"],
        ["a:latest"],
    ]
    with pytest.raises(NotFoundError):
        images.inspect(engine, ["a", "c"])


def test_exists(engine):
    _, image_id = make_image(engine, "a")
    assert images.exists(engine, "a")
    assert images.exists(engine, image_id)
    assert not images.exists(engine, "b")


def test_a_layer_that_is_not_unpacked_counts_as_the_manifest_says(engine):
    descriptor, _ = make_image(engine, "a")
    claimed = need_image(engine, "a").manifest.layers[0].size
    with engine.db.transaction() as connection:
        connection.execute("DELETE FROM layer")
    assert images.list_images(engine)[0].size == claimed
    assert isinstance(descriptor, Descriptor)
