import json

import pytest
from tests.image.images import AMD64, CREATED, draft_of, make_image, tar

from tiffin.content.memory import MemoryPlace
from tiffin.errors import InvalidError
from tiffin.image.edit import Draft, uncompressed_layer
from tiffin.oci.config import ContainerConfig, History, ImageConfig, RootFS
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.platform import Platform

ONE, TWO, THREE = tar(a=b"1"), tar(b=b"2"), tar(c=b"3")


def layers_of(draft):
    return [layer.digest for layer in draft.layers]


def append(draft, data, by="RUN"):
    diff_id = DiffID.of(data)
    return draft.append(uncompressed_layer(diff_id, len(data)), diff_id, History(created_by=by))


def test_scratch_is_an_image_without_layers():
    built = Draft.scratch(Platform("linux", "arm", "v7")).build()
    assert json.loads(built.config) == {
        "architecture": "arm",
        "os": "linux",
        "variant": "v7",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    manifest = json.loads(built.manifest)
    assert manifest["layers"] == []
    assert manifest["config"]["digest"] == Digest.of(built.config) == built.config_descriptor.digest
    assert built.descriptor == Descriptor.of(built.manifest, MediaType.OCI_MANIFEST)


def test_a_layer_on_top_is_in_manifest_config_and_history():
    draft = append(append(Draft.scratch(AMD64), ONE, "COPY one"), TWO, "COPY two")
    built = draft.build()
    manifest, config = json.loads(built.manifest), json.loads(built.config)
    assert [layer["digest"] for layer in manifest["layers"]] == [DiffID.of(ONE), DiffID.of(TWO)]
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar"}
    assert config["rootfs"]["diff_ids"] == [DiffID.of(ONE), DiffID.of(TWO)]
    assert config["history"] == [{"created_by": "COPY one"}, {"created_by": "COPY two"}]


def test_settings_leave_no_layer_but_a_line_of_history():
    draft = append(Draft.scratch(AMD64), ONE).configure(
        ContainerConfig(user="app"), History(created_by="USER app")
    )
    config = json.loads(draft.build().config)
    assert config["config"] == {"User": "app"}
    assert config["history"][1] == {"created_by": "USER app", "empty_layer": True}
    assert len(config["rootfs"]["diff_ids"]) == 1
    assert draft.configure(ContainerConfig()).config.history == draft.config.history


def test_edits_leave_the_original_alone():
    base = append(Draft.scratch(AMD64), ONE)
    before = base.build()
    append(base, TWO).configure(ContainerConfig(user="x")).stamp(CREATED).annotate({"a": "b"})
    assert base.build() == before


def test_the_same_edits_give_the_same_bytes():
    one, two = (draft_of(MemoryPlace(), ONE, TWO).annotate({"b": "1", "a": "2"}).build() for _ in range(2))
    assert one == two


def test_stamps_and_annotations_are_written():
    built = Draft.scratch(AMD64).stamp(CREATED, author="me").annotate({"k": "v"}).build()
    assert json.loads(built.config)["created"] == CREATED
    assert json.loads(built.config)["author"] == "me"
    assert json.loads(built.manifest)["annotations"] == {"k": "v"}


def test_a_draft_begins_as_an_image():
    image = make_image(ONE, TWO)
    assert Draft.of(image).build().config == image.raw_config
    assert Draft.of(image).build().descriptor == image.descriptor


def test_a_history_that_does_not_count_up_is_completed():
    config = ImageConfig(
        "amd64",
        "linux",
        rootfs=RootFS((DiffID.of(ONE), DiffID.of(TWO))),
        history=(History(created_by="CMD", empty_layer=True), History(created_by="COPY")),
    )
    draft = Draft(config, (uncompressed_layer(DiffID.of(ONE), 1), uncompressed_layer(DiffID.of(TWO), 1)))
    history = append(draft, THREE).config.history
    assert sum(not entry.empty_layer for entry in history) == 3
    assert [entry.created_by for entry in history] == ["", "CMD", "COPY", "RUN"]


def test_a_draft_cannot_contradict_itself():
    with pytest.raises(InvalidError, match="1 layers and 0 diff ids"):
        Draft(ImageConfig("amd64", "linux"), (uncompressed_layer(DiffID.of(ONE), 1),))


def test_rebasing_exchanges_what_lies_below():
    old, new = (
        append(Draft.scratch(AMD64), ONE, "old"),
        append(append(Draft.scratch(AMD64), TWO, "new"), ONE, "new2"),
    )
    app = append(old, THREE, "app").configure(ContainerConfig(user="app"), History(created_by="USER"))
    moved = app.rebase(old, new)
    assert layers_of(moved) == [DiffID.of(TWO), DiffID.of(ONE), DiffID.of(THREE)]
    assert list(moved.config.rootfs.diff_ids) == layers_of(moved)
    assert [entry.created_by for entry in moved.config.history] == ["new", "new2", "app", "USER"]
    assert moved.config.config.user == "app"
    with pytest.raises(InvalidError, match="does not stand on"):
        app.rebase(new, old)
