"""Attestations of builds by the engine: in the store, in archives, and in a registry."""

import io
import json
import os

import pytest
from tests.suites.attestations import check_statement

from tiffin.content.walk import walk
from tiffin.engine import archives, images
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.collection import collect
from tiffin.engine.lookup import need_image
from tiffin.engine.packing import PushOptions
from tiffin.engine.transfers import pull, push
from tiffin.errors import InvalidError, NotFoundError
from tiffin.image.platforms import open_platforms
from tiffin.oci.descriptor import MediaType
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference
from tiffin.registry.access import Registries

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")

TEXT = """\
FROM scratch AS tools
ARG BUILDKIT_SBOM_SCAN_STAGE=true
COPY status /var/lib/dpkg/status
FROM scratch
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
COPY flask.dist-info /site/flask.dist-info
COPY --from=tools /var/lib/dpkg/status /seen
"""
BOTH = ("linux/amd64,linux/arm64",)


@pytest.fixture
def make(engine, tmp_path):
    folder = tmp_path / "context"
    (folder / "flask.dist-info").mkdir(parents=True)
    (folder / "flask.dist-info/METADATA").write_text("Name: Flask\nVersion: 3.0\nLicense: BSD-3-Clause\n")
    (folder / "status").write_text("Package: gcc\nVersion: 12\nArchitecture: amd64\n")
    (folder / "node_modules/a").mkdir(parents=True)
    (folder / "node_modules/a/package.json").write_text('{"name": "a", "version": "1"}')

    def run(text=TEXT, *, tag="example.org/it:1", **more):
        (folder / "Dockerfile").write_text(text)
        return build(engine, BuildRequest(folder, tags=(tag,) if tag else (), **more))

    return run


def statements(fetcher, root):
    """The statements beside each image of an index, by the platform of that, all of them valid."""
    found = {}
    platforms = open_platforms(fetcher, root)
    for entry, image in platforms.images:
        own = [
            each
            for each in platforms.attestations
            if each.annotations["vnd.docker.reference.digest"] == entry.digest
        ]
        (attestation,) = own
        assert attestation.platform == Platform("unknown", "unknown")
        documents = [
            each
            for each in walk(fetcher, attestation)
            if each.media_type.startswith("application/vnd.in-toto")
        ]
        found[str(image.config.platform)] = read = []
        for descriptor in documents:
            with fetcher.open(descriptor) as stream:
                read.append(json.loads(stream.read()))
            check_statement(read[-1], entry.digest)
    return found


def test_nothing_is_attested_unless_it_is_asked_for(make):
    plain = make()
    assert plain.descriptor.media_type == MediaType.OCI_MANIFEST
    for more in ({"provenance": "false"}, {"sbom": "false"}, {"attest": ("type=sbom,disabled=true",)}):
        assert make(**more).descriptor == plain.descriptor
    with pytest.raises(InvalidError, match="is no type of attestation"):
        make(attest=("type=nothing",))


def test_what_is_asked_for_stands_beside_the_image(engine, make):
    plain = make()
    result = make(sbom="true", provenance="mode=max")
    assert result.descriptor.media_type == MediaType.OCI_INDEX
    assert result.images[0].descriptor == plain.descriptor  # the image is the same
    (own,) = statements(engine.fetcher, result.descriptor).values()
    assert [each["predicateType"].rpartition("/")[2] for each in own] == ["Document"] * 3 + ["v0.2"]
    names = [[package["name"] for package in each["predicate"]["packages"]] for each in own[:3]]
    assert names == [
        ["example.org/it:1", "Flask"],
        ["example.org/it:1: stage tools", "gcc"],
        ["example.org/it:1: build context", "a", "Flask"],
    ]
    assert own[0]["subject"][0]["name"].startswith("pkg:docker/example.org/it@1?platform=linux%2F")
    assert make(sbom="true", provenance="mode=max").descriptor == result.descriptor


def test_each_platform_has_its_own(engine, make):
    result = make(platforms=BOTH, attest=("type=provenance,version=v1", "type=sbom"))
    found = statements(engine.fetcher, result.descriptor)
    assert set(found) == {"linux/amd64", "linux/arm64"}
    assert [each["predicateType"].rpartition("/")[2] for each in found["linux/arm64"]] == ["Document"] * 3 + [
        "v1"
    ]
    assert "linux%2Farm64" in found["linux/arm64"][0]["subject"][0]["name"]


def test_an_image_without_a_name_and_stages_that_are_not_looked_at(engine, make):
    result = make("FROM scratch AS a\nCOPY status /a\nFROM scratch\nCOPY --from=a /a /b\n", tag="", sbom="1")
    (own,) = statements(engine.fetcher, result.descriptor).values()
    assert len(own) == 1
    assert own[0]["subject"][0]["name"] == "_"


def test_scans_are_asked_for_before_the_first_stage_and_by_arguments(engine, make):
    text = "ARG BUILDKIT_SBOM_SCAN_STAGE=a\nFROM scratch AS a\nCOPY status /a\n"
    text += "FROM scratch AS b\nCOPY status /a\nFROM scratch\nCOPY --from=a /a /b\nCOPY --from=b /a /c\n"

    def looked_at(**more):
        (own,) = statements(engine.fetcher, make(text, sbom="true", **more).descriptor).values()
        return [each["predicate"]["name"].rpartition(" ")[2] for each in own[1:]]

    assert looked_at() == ["a"]
    assert looked_at(build_args={"BUILDKIT_SBOM_SCAN_STAGE": "b,c"}) == ["b"]
    assert looked_at(build_args={"BUILDKIT_SBOM_SCAN_STAGE": "true"}) == ["a", "b"]
    assert looked_at(build_args={"BUILDKIT_SBOM_SCAN_STAGE": "false"}) == []


def test_commands_see_the_image_and_not_what_is_said_of_it(engine, make):
    result = make(sbom="true")
    assert need_image(engine, "example.org/it:1").image_id == result.images[0].image_id
    (row,) = images.list_images(engine)
    assert row.id == result.images[0].image_id
    (document,) = images.inspect(engine, ["example.org/it:1"])
    assert document["Architecture"] == engine.platform.architecture
    collect(engine)
    assert statements(engine.fetcher, result.descriptor)
    images.remove(engine, ["example.org/it:1"])
    assert list(engine.blobs.all()) == []


def saved(engine, *names, **more):
    out = io.BytesIO()
    archives.save(engine, names, out, **more)
    return out.getvalue()


def test_archives_carry_it_all(engine, other, make):
    result = make(platforms=BOTH, provenance="true", sbom="true")
    for form in ("docker", "oci"):
        data = saved(engine, "example.org/it:1", form=form)
        assert archives.load(other, io.BytesIO(data)) == ["example.org/it:1"]
        assert need_image(other, "example.org/it:1").descriptor == result.descriptor
        assert statements(other.fetcher, result.descriptor) == statements(engine.fetcher, result.descriptor)
        assert saved(other, "example.org/it:1", form=form) == data
        images.remove(other, ["example.org/it:1"])
    one = saved(engine, "example.org/it:1", platform=Platform.parse("arm64"))
    archives.load(other, io.BytesIO(one))
    assert need_image(other, "example.org/it:1").config.architecture == "arm64"
    with pytest.raises(NotFoundError, match="not made for linux/s390x"):
        saved(engine, "example.org/it:1", platform=Platform.parse("s390x"))


def test_a_registry_gets_it_all(engine, other, make, double):
    name = f"{double.address}/it:1"
    result = make(tag=name, platforms=BOTH, provenance="mode=max", sbom="true")
    before = statements(engine.fetcher, result.descriptor)
    assert before.keys() == {"linux/amd64", "linux/arm64"}
    sent = push(engine, name)
    assert sent.media_type == MediaType.OCI_INDEX
    assert sent != result.descriptor  # there, layers are compressed
    with Registries(engine.settings.environ) as registries:
        after = statements(registries.to_pull(Reference.parse(name)), sent)  # each is of the image there
    assert [[each["predicate"] for each in own] for own in after.values()] == [
        [each["predicate"] for each in own] for own in before.values()
    ]
    pull(other, name)
    found = need_image(other, name)
    assert found.image_id == need_image(engine, name).image_id


def test_one_platform_of_several_can_be_pushed(engine, make, double):
    name = f"{double.address}/it:1"
    make(tag=name, platforms=BOTH, provenance="true")
    sent = push(engine, name, PushOptions(Platform.parse("arm64")))
    assert sent.media_type == MediaType.OCI_MANIFEST
    with pytest.raises(NotFoundError, match="not made for linux/s390x"):
        push(engine, name, PushOptions(Platform.parse("s390x")))


def test_files_that_are_put_out_have_none_and_that_is_said(make, tmp_path, events):
    make(provenance="true", outputs=(f"type=local,dest={tmp_path / 'out'}",))
    assert (tmp_path / "out/seen").exists()
    assert any("attestations stand beside images" in getattr(event, "message", "") for event in events)
