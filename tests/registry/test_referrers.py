"""What refers to an image: by the API, and by the tag that stands for it where there is none."""

import io
import json

import pytest
from tests.doubles.registry import INDEX
from tests.registry.conftest import offer, read

from tiffin.errors import CorruptError, InvalidError, UnavailableError
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference
from tiffin.registry.referrers import attach, fallback_tag

SBOM = "application/spdx+json"
SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@pytest.fixture(params=["api", "tag"])
def kind(request, double):
    double.knows_referrers = request.param == "api"
    return request.param


@pytest.fixture
def subject(double, image):
    place, root = image
    offer(double, "a/b", place, root)
    return root


def sign(ours, double, subject, text, artifact_type=SIGNATURE, **annotations):
    data = text.encode()
    repository = ours.push(f"{double.address}/a/b")
    return attach(
        repository, subject, [(Descriptor.of(data, artifact_type), data)], artifact_type, annotations
    )


def listed(ours, double, subject, artifact_type=""):
    return ours.pull(f"{double.address}/a/b").referrers(subject.digest, artifact_type)


def test_what_is_attached_is_listed_with_its_type_and_annotations(double, ours, subject, kind):
    assert listed(ours, double, subject) == []
    first = sign(ours, double, subject, "one", who="anna")
    second = sign(ours, double, subject, "two", SBOM)
    found = {each.digest: each for each in listed(ours, double, subject)}
    assert set(found) == {first.digest, second.digest}
    assert found[first.digest].artifact_type == SIGNATURE
    assert found[first.digest].annotations == {"who": "anna"}
    assert [each.digest for each in listed(ours, double, subject, SBOM)] == [second.digest]
    manifest = json.loads(read(ours.pull(f"{double.address}/a/b"), first))
    assert manifest["subject"] == {
        "mediaType": subject.media_type, "digest": subject.digest, "size": subject.size,
    }  # fmt: skip
    tag = ("a/b", fallback_tag(subject.digest))
    assert (tag in double.manifests) == (kind == "tag")


def test_the_same_attached_twice_is_listed_once(double, ours, subject, kind):
    assert sign(ours, double, subject, "one") == sign(ours, double, subject, "one")
    assert len(listed(ours, double, subject)) == 1


def test_a_registry_that_does_not_filter_leaves_it_to_us(double, ours, subject):
    double.knows_referrers, double.filters = True, False
    sign(ours, double, subject, "one")
    wanted = sign(ours, double, subject, "two", SBOM)
    assert [each.digest for each in listed(ours, double, subject, SBOM)] == [wanted.digest]


def test_all_pages_are_read(double, ours, subject):
    double.knows_referrers, double.page = True, 2
    attached = {sign(ours, double, subject, f"number {n}").digest for n in range(5)}
    assert {each.digest for each in listed(ours, double, subject)} == attached


def test_pages_in_a_circle_end(double, ours, subject):
    double.knows_referrers = True
    sign(ours, double, subject, "one")

    def circle(handler):
        if "/referrers/" not in handler.path:
            return False
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
        handler.reply(200, index, Content_Type=INDEX, Link=f'<{handler.path}>; rel="next"')
        return True

    double.faults.append(circle)
    assert listed(ours, double, subject) == []


@pytest.mark.parametrize("status", [400, 405, 501])
def test_registries_without_the_api_answer_in_many_ways(double, ours, subject, status):
    attached = sign(ours, double, subject, "one")

    def strange(handler):
        if "/referrers/" not in handler.path:
            return False
        handler.fail(status, "UNSUPPORTED")
        return True

    double.faults.append(strange)
    assert [each.digest for each in listed(ours, double, subject)] == [attached.digest]


@pytest.mark.parametrize(("code", "times"), [("UNSUPPORTED", 1), ("NAME_UNKNOWN", 2), ("", 1)])
def test_an_api_that_is_missing_is_asked_for_once(double, ours, subject, code, times):
    asked = []

    def missing(handler):
        if "/referrers/" not in handler.path:
            return False
        asked.append(handler.path)
        handler.fail(404, code) if code else handler.reply(404, b"404 page not found")
        return True

    double.faults.append(missing)
    attached = sign(ours, double, subject, "one")
    with ours.registries() as registries:
        for digest, found in ((subject.digest, [attached.digest]), (attached.digest, [])):
            repository = registries.to_pull(Reference.parse(f"{double.address}/a/b"))
            assert [each.digest for each in repository.referrers(digest)] == found
    assert len(asked) == times


def test_a_page_for_people_is_no_list_of_referrers(double, ours, subject):
    attached = sign(ours, double, subject, "one")

    def page(handler):
        if "/referrers/" not in handler.path:
            return False
        handler.reply(200, b"<html>welcome</html>", Content_Type="text/html")
        return True

    double.faults.append(page)
    assert [each.digest for each in listed(ours, double, subject)] == [attached.digest]


def test_a_tag_that_is_something_else_is_left_as_it_is(double, ours, image, subject):
    place, root = image
    offer(double, "a/b", place, root, fallback_tag(subject.digest))
    before = double.manifests["a/b", fallback_tag(subject.digest)]
    with pytest.raises(InvalidError, match="is no index of what refers to"):
        sign(ours, double, subject, "one")
    assert double.manifests["a/b", fallback_tag(subject.digest)] == before


def test_what_others_wrote_into_the_index_stays(double, ours, subject):
    known = sign(ours, double, subject, "one")
    tag = ("a/b", fallback_tag(subject.digest))
    index = json.loads(double.manifests[tag][1])
    index["annotations"] = {"by": "someone"}
    index["manifests"][0]["newField"] = {"a": 1}
    double.manifests[tag] = (INDEX, json.dumps(index).encode())
    sign(ours, double, subject, "two")
    after = json.loads(double.manifests[tag][1])
    assert after["annotations"] == {"by": "someone"}
    assert after["manifests"][0]["digest"] == known.digest
    assert after["manifests"][0]["newField"] == {"a": 1}
    assert len(after["manifests"]) == 2


def test_two_who_attach_at_once_lose_nothing(double, ours, subject):
    """Another client overwrites the index between our look and our entry."""
    other = sign(ours, double, subject, "other")
    tag = ("a/b", fallback_tag(subject.digest))
    theirs = double.manifests.pop(tag)
    raced = []

    def race(handler):
        if handler.command == "PUT" and handler.path.endswith(tag[1]) and not raced:
            raced.append(1)
            handler.reply(201)  # and then theirs comes
            double.manifests[tag] = theirs
            return True
        return False

    double.faults.append(race)
    ours_one = sign(ours, double, subject, "ours")
    assert {each.digest for each in listed(ours, double, subject)} == {other.digest, ours_one.digest}
    assert raced


def test_an_index_that_never_takes_our_entry_is_given_up(double, ours, subject):
    def deaf(handler):
        if handler.command == "PUT" and handler.path.endswith(fallback_tag(subject.digest)):
            handler.reply(201)
            return True
        return False

    double.faults.append(deaf)
    with pytest.raises(UnavailableError, match="at the same time"):
        sign(ours, double, subject, "one")


def test_an_etag_is_given_back_and_a_conflict_looked_at_again(double, ours, subject):
    sign(ours, double, subject, "one")
    tag = fallback_tag(subject.digest)
    refused = []

    def versioned(handler):
        if not handler.path.endswith(tag):
            return False
        if handler.command == "GET":
            media_type, data = double.manifests["a/b", tag]
            handler.reply(200, data, Content_Type=media_type, ETag=f'"v{len(refused)}"')
            return True
        assert handler.headers["If-Match"] == f'"v{len(refused)}"'
        if not refused:
            refused.append(1)
            handler.fail(412, "DENIED", "the index was changed")
            return True
        return False

    double.faults.append(versioned)
    sign(ours, double, subject, "two")
    double.faults.clear()
    assert refused
    assert len(listed(ours, double, subject)) == 2


def test_a_manifest_without_a_subject_asks_for_no_index(double, ours, image):
    place, root = image
    target = ours.push(f"{double.address}/c/d")
    for digest, data in place.blobs.items():
        if digest != root.digest:
            target.push(Descriptor(("application/octet-stream"), digest, len(data)), io.BytesIO(data))
    target.push(root, io.BytesIO(place.blobs[root.digest]))
    assert not any("sha256-" in one for one in double.requests())


def test_what_is_refused_is_said(double, ours, subject):
    def denied(handler):
        if "/referrers/" not in handler.path:
            return False
        handler.fail(500, "UNKNOWN", "no database")
        return True

    double.faults.append(denied)
    with pytest.raises(UnavailableError, match="no database"):
        listed(ours, double, subject)


def test_an_index_that_lies_about_itself_is_refused(double, ours, subject):
    double.manifests["a/b", fallback_tag(subject.digest)] = (INDEX, b'{"schemaVersion":2,"layers":[]}')
    with pytest.raises(CorruptError):
        listed(ours, double, subject)


@pytest.mark.parametrize(
    ("digest", "tag"),
    [
        ("sha256:" + "a" * 64, "sha256-" + "a" * 64),
        ("sha512:" + "b" * 128, "sha512-" + "b" * 64),
    ],
)
def test_the_tag_is_made_from_the_digest(digest, tag):
    assert fallback_tag(Digest(digest)) == tag
