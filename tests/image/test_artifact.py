"""What the manifest of a model says, and what is taken from that of another tool."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import InvalidError
from tiffin.image.artifact import FILEPATH, MODEL, TITLE, check_paths, compose, described, kind_of, parts_of
from tiffin.oci.codec import decode
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import Digest
from tiffin.oci.manifest import Manifest

DIGEST = Digest("sha256:" + "1" * 64)
CONFIG = Descriptor("application/vnd.oci.empty.v1+json", DIGEST, 2)


@pytest.mark.parametrize(
    ("path", "size", "kind"),
    [
        ("model-00001-of-00002.safetensors", 1, "weight"),
        ("onnx/model.ONNX", 1, "weight"),
        ("pytorch_model.bin", 1, "weight"),
        ("config.json", 1, "weight.config"),
        ("tokenizer.model", 1, "weight.config"),
        ("model.safetensors.index.json", 1, "weight.config"),
        ("README.md", 1, "doc"),
        ("LICENSE", 1, "doc"),
        ("modeling_custom.py", 1, "code"),
        ("chat_template.jinja", 1, "code"),
        ("train.parquet", 1, "dataset"),
        ("consolidated", 20 << 20, "weight"),
        ("strange", 5, "weight.config"),
    ],
)
def test_what_a_file_is_for(path, size, kind):
    assert kind_of(path, size) == kind


def test_a_model_in_the_words_of_modelpack():
    files = [described("a/w.safetensors", DIGEST, 5, MODEL), described("config.json", DIGEST, 2, MODEL)]
    made = compose(files, "barbera", MODEL, {"org.opencontainers.image.licenses": "MIT"})
    manifest = json.loads(made.manifest)
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    assert [
        layer["mediaType"].removeprefix("application/vnd.cncf.model.") for layer in manifest["layers"]
    ] == [
        "weight.v1.raw",
        "weight.config.v1.raw",
    ]
    assert manifest["layers"][0]["annotations"]["org.cncf.model.filepath"] == "a/w.safetensors"
    config = json.loads(made.config)
    assert config["modelfs"] == {"type": "layers", "diffIds": [str(DIGEST)] * 2}
    assert config["descriptor"] == {"name": "barbera"}
    assert compose(files, "barbera", MODEL, {"org.opencontainers.image.licenses": "MIT"}) == made


def test_any_other_artifact_has_an_empty_config():
    made = compose([described("r.pdf", DIGEST, 5, "application/x")], "report", "application/x", {})
    manifest = decode(made.manifest, Manifest, "it")
    assert (made.config, manifest.artifact_type) == (b"{}", "application/x")
    assert [part.path for part in parts_of(manifest)] == ["r.pdf"]


def manifest(*layers):
    return Manifest(CONFIG, tuple(Descriptor(kind, DIGEST, 1, annotations=notes) for kind, notes in layers))


def test_files_of_other_tools():
    parts = parts_of(
        manifest(
            ("application/x", {TITLE: "title"}),
            ("application/x", {TITLE: "other", FILEPATH: "a/b"}),
            ("application/vnd.cncf.model.weight.v1.tar+gzip", {FILEPATH: "weights"}),
            ("application/x", {}),
        )
    )
    assert [part.path for part in parts] == ["title", "a/b", "weights", "3-111111111111"]
    assert [part.is_archive for part in parts] == [False, False, True, False]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a//b", ".", "a/.", "", "a/", "a\0b"])
def test_paths_that_lead_elsewhere(path):
    if not path:
        assert parts_of(manifest(("application/x", {TITLE: path})))[0].path.startswith("0-")
        return
    with pytest.raises(InvalidError) as caught:
        parts_of(manifest(("application/x", {FILEPATH: path})))
    assert caught.value.code == "artifact-path"


@pytest.mark.parametrize("paths", [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"]])
def test_paths_that_meet(paths):
    with pytest.raises(InvalidError, match="more than one file"):
        check_paths(paths)


@given(st.text(max_size=30))
def test_no_path_leaves_its_root(path):
    try:
        (part,) = parts_of(manifest(("application/x", {FILEPATH: path})))
    except InvalidError:
        return
    assert not part.path.startswith("/")
    assert ".." not in part.path.split("/")
