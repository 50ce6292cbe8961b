"""What stands beside an image in a registry: attached, listed, copied along."""

import json
import os

import pytest
from tests.doubles.registry import RegistryDouble
from tests.engine.test_transfers import serve_image
from tests.suites.images import make_image

from tiffin.engine.artifacts import pull_artifact
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.imagecopy import copy_image
from tiffin.engine.places import parse_place
from tiffin.engine.referring import attach_files, list_beside
from tiffin.engine.transfers import push
from tiffin.errors import InvalidError, NotFoundError
from tiffin.image.layout import Layout
from tiffin.oci.platform import Platform

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")

SBOM = "application/spdx+json"
REPORT = "application/vnd.example.report"


@pytest.fixture
def sbom(tmp_path):
    path = tmp_path / "sbom.json"
    path.write_text('{"spdxVersion": "SPDX-2.3"}')
    return path


@pytest.fixture(params=[True, False])
def registry(request, double):
    double.knows_referrers = request.param
    return double


def beside(engine, name, *options):
    return [(each.artifact_type, each.about, each.kind) for each in list_beside(engine, name, *options)]


def test_files_are_attached_listed_and_fetched(engine, registry, sbom, tmp_path):
    serve_image(registry, "a/b", "1")
    name = f"{registry.address}/a/b:1"
    assert beside(engine, name) == []
    subject, sent = attach_files(engine, name, [sbom], SBOM, {"by": "anna"})
    attach_files(engine, name, [sbom], REPORT, {})
    assert subject.digest == list_subject(registry, sent)
    assert sorted(beside(engine, name)) == [(SBOM, "image", "referrer"), (REPORT, "image", "referrer")]
    (found,) = list_beside(engine, name, SBOM)
    assert found.descriptor.digest == sent.digest
    assert found.descriptor.annotations == {"by": "anna"}
    pull_artifact(engine, f"{registry.address}/a/b@{sent.digest}", tmp_path / "out")
    assert (tmp_path / "out/sbom.json").read_bytes() == sbom.read_bytes()


def list_subject(registry, sent):
    return json.loads(registry.manifests["a/b", sent.digest][1])["subject"]["digest"]


def test_nothing_is_attached_to_what_is_not_there(engine, double, sbom):
    with pytest.raises(NotFoundError):
        attach_files(engine, f"{double.address}/a/b:1", [sbom], SBOM, {})


def test_an_index_its_images_and_their_attestations(engine, double, sbom, tmp_path):
    double.knows_referrers = True
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    name = f"{double.address}/app:1"
    both = ("linux/amd64,linux/arm64",)
    request = BuildRequest(folder, tags=(name,), platforms=both, attest=("type=provenance", "type=sbom"))
    build(engine, request)
    push(engine, name)
    arm = Platform.parse("linux/arm64")
    attach_files(engine, name, [sbom], REPORT, {})
    attach_files(engine, name, [sbom], SBOM, {}, arm)
    found = beside(engine, name)
    assert (REPORT, "index", "referrer") in found
    assert (SBOM, "linux/arm64", "referrer") in found
    stated = {
        (about, kind) for kind_of, about, kind in found if "spdx.dev" in kind_of or "slsa.dev" in kind_of
    }
    assert stated == {("linux/amd64", "attestation"), ("linux/arm64", "attestation")}
    assert {about for _, about, _ in beside(engine, name, "", arm)} == {"linux/arm64"}
    assert beside(engine, name, SBOM) == [(SBOM, "linux/arm64", "referrer")]


@pytest.mark.parametrize(("registry", "layout_first"), [(True, True), (False, False)], indirect=["registry"])
def test_what_refers_to_an_image_is_copied_along(engine, registry, sbom, tmp_path, layout_first):
    serve_image(registry, "a/b", "1")
    name = f"{registry.address}/a/b:1"
    _, sent = attach_files(engine, name, [sbom], SBOM, {"by": "anna"})
    attach_files(engine, f"{registry.address}/a/b@{sent.digest}", [sbom], REPORT, {})  # a report on the SBOM
    source = parse_place(f"docker://{name}")
    with RegistryDouble().serve() as other:
        other.knows_referrers = not registry.knows_referrers
        target = parse_place(f"docker://{other.address}/c:2")
        if layout_first:
            middle = parse_place(f"oci:{tmp_path / 'layout'}:x")
            copy_image(engine, source, middle, referrers=True)
            assert len(Layout(tmp_path / "layout").entries()) == 3
            source = middle
        copied = copy_image(engine, source, target, referrers=True)
        assert beside(engine, f"{other.address}/c:2") == [(SBOM, "image", "referrer")]
        assert beside(engine, f"{other.address}/c@{sent.digest}") == [(REPORT, "image", "referrer")]
        assert beside(engine, f"{other.address}/c@{copied.digest}") == [(SBOM, "image", "referrer")]


def test_without_being_asked_for_nothing_comes_along(engine, double, sbom):
    serve_image(double, "a/b", "1")
    attach_files(engine, f"{double.address}/a/b:1", [sbom], SBOM, {})
    source, target = f"docker://{double.address}/a/b:1", f"docker://{double.address}/c:1"
    copy_image(engine, parse_place(source), parse_place(target))
    assert beside(engine, f"{double.address}/c:1") == []


@pytest.mark.parametrize(("source", "target"), [("it", "oci:{0}"), ("docker://x/y", "docker-archive:{0}")])
def test_places_that_know_nothing_of_it_are_refused(engine, tmp_path, source, target):
    make_image(engine, "it")
    places = parse_place(source), parse_place(target.format(tmp_path / "out"))
    with pytest.raises(InvalidError, match="cannot say what refers to an image"):
        copy_image(engine, *places, referrers=True)
    assert not (tmp_path / "out").exists()
