import json

import pytest

from tiffin.errors import CorruptError, NotFoundError, UnsupportedError
from tiffin.oci.codec import encode
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Index, Manifest, parse_manifest
from tiffin.oci.platform import Platform

CONFIG = Descriptor.of(b"{}", MediaType.OCI_CONFIG)
LAYER = Descriptor.of(b"layer", MediaType.OCI_LAYER)
AMD64 = Platform("linux", "amd64")


def entry(text, content=b"x", media_type=MediaType.OCI_MANIFEST):
    platform = Platform(*text.split("/")) if text else None
    bare = Descriptor.of(content, media_type)
    return Descriptor(bare.media_type, bare.digest, bare.size, platform=platform)


def test_a_manifest_has_the_fields_that_the_specification_requires():
    document = json.loads(encode(Manifest(CONFIG, ())))
    assert document == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": CONFIG.media_type, "digest": CONFIG.digest, "size": 2},
        "layers": [],
    }


def test_an_index_has_the_fields_that_the_specification_requires():
    document = json.loads(encode(Index((entry("linux/amd64"),), annotations={"a": "b"})))
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert document["manifests"][0]["platform"] == {"os": "linux", "architecture": "amd64"}
    assert document["annotations"] == {"a": "b"}


@pytest.mark.parametrize("value", [Manifest(CONFIG, (LAYER, LAYER), {"k": "v"}, subject=LAYER), Index(())])
def test_what_is_written_is_read_again(value):
    assert parse_manifest(encode(value), value.media_type, "it") == value
    assert parse_manifest(encode(value), "", "it") == value


def test_docker_documents_are_read_as_such():
    manifest = Manifest(CONFIG, (LAYER,), media_type=MediaType.DOCKER_MANIFEST)
    again = parse_manifest(encode(manifest), MediaType.DOCKER_MANIFEST, "it")
    assert isinstance(again, Manifest)
    assert again.media_type == MediaType.DOCKER_MANIFEST


@pytest.mark.parametrize("media_type", ["", MediaType.OCI_MANIFEST])
@pytest.mark.parametrize("layers", [[], None])
def test_a_manifest_may_be_silent_about_its_type_and_layers(media_type, layers):
    document = {"schemaVersion": 2, "config": json.loads(encode(CONFIG)), "layers": layers}
    assert parse_manifest(json.dumps(document).encode(), media_type, "it") == Manifest(CONFIG, ())


def test_an_index_may_be_silent_about_its_type():
    assert parse_manifest(b'{"manifests":[]}', "", "it") == Index(())
    assert parse_manifest(b'{"manifests":null}', MediaType.OCI_INDEX, "it") == Index(())


@pytest.mark.parametrize(
    ("document", "media_type", "error", "says"),
    [
        ({"manifests": [], "layers": []}, MediaType.OCI_INDEX, CorruptError, "both layers and manifests"),
        (
            {"mediaType": MediaType.OCI_INDEX, "manifests": []},
            MediaType.OCI_MANIFEST,
            CorruptError,
            "calls itself",
        ),
        ({"layers": []}, MediaType.OCI_INDEX, CorruptError, "other kind"),
        ({"manifests": []}, MediaType.OCI_MANIFEST, CorruptError, "other kind"),
        ({"schemaVersion": 1, "fsLayers": []}, "", UnsupportedError, "schema 1"),
        ({"schemaVersion": 3, "manifests": []}, "", CorruptError, "schemaVersion"),
        ({"layers": []}, MediaType.OCI_MANIFEST, CorruptError, "config"),
        ({"layers": []}, "text/html", UnsupportedError, "neither a manifest nor an index"),
        ({"manifests": [7]}, "", CorruptError, r"manifests\[0\]"),
        ([], "", CorruptError, "Expected `object`"),
    ],
)
def test_a_document_that_lies_is_refused(document, media_type, error, says):
    with pytest.raises(error, match=says) as caught:
        parse_manifest(json.dumps(document).encode(), media_type, "manifest x")
    assert caught.value.message.startswith("manifest x")


def test_a_giant_manifest_is_refused():
    with pytest.raises(CorruptError, match="more than"):
        parse_manifest(b" " * (4 << 20) + b"{}", "", "it")


def test_an_index_gives_the_entry_of_the_machine():
    index = Index((entry("linux/arm64", b"1"), entry("linux/amd64", b"2"), entry("unknown/unknown", b"3")))
    assert index.select(AMD64) == index.manifests[1]
    assert index.select(Platform.parse("linux/aarch64")) == index.manifests[0]


def test_the_first_of_equals_is_taken():
    index = Index((entry("linux/amd64", b"1"), entry("linux/amd64", b"2")))
    assert index.select(AMD64) == index.manifests[0]


def test_entries_that_are_no_images_are_passed_over():
    index = Index((entry("linux/amd64", b"1", "application/x"), entry("", b"2")))
    assert index.select(AMD64) == index.manifests[1]


def test_a_platform_that_is_missing_is_told_with_those_there_are():
    index = Index((entry("linux/s390x"), entry("unknown/unknown")))
    with pytest.raises(NotFoundError, match="python is not made for linux/amd64") as caught:
        index.select(AMD64, "python")
    assert caught.value.hint == "it is made for linux/s390x"
    with pytest.raises(NotFoundError) as caught:
        Index(()).select(AMD64)
    assert "no image at all" in caught.value.hint
