import hashlib
import io
import json
import threading

import pytest
from tests.doubles.registry import RegistryDouble
from tests.registry.conftest import offer, read
from tests.suites.content_place import PlaceSuite

from tiffin.content.copy import copy_graph
from tiffin.content.memory import MemoryPlace
from tiffin.content.verify import fetch_bytes
from tiffin.errors import (
    CorruptError,
    DeniedError,
    InvalidError,
    NotFoundError,
    TiffinError,
    UnavailableError,
    UnsupportedError,
)
from tiffin.events import Notice
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference

BLOB = b"".join(number.to_bytes(4, "big") for number in range(400_000))
LAYER = Descriptor.of(BLOB, MediaType.OCI_LAYER)


class TestRepository(PlaceSuite):
    @pytest.fixture
    def place(self, double, ours):
        return ours.push(f"{double.address}/some/thing")


class TestRepositoryInPieces(PlaceSuite):
    """A registry behind something that takes only small requests."""

    @pytest.fixture
    def place(self, double, ours, monkeypatch):
        monkeypatch.setattr("tiffin.registry.upload.PIECE", 100_000)
        repository = ours.push(f"{double.address}/some/thing")
        repository._pieces = True
        return repository


def reference(double, rest):
    return Reference.parse(f"{double.address}/{rest}")


def test_a_copy_from_one_registry_to_another_is_the_same_image(double, ours, image):
    place, root = image
    offer(double, "a", place, root, "1")
    with RegistryDouble().serve() as other:
        source, sink = ours.pull(f"{double.address}/a"), ours.push(f"{other.address}/deep/er/b")
        found = source.resolve(reference(double, "a:1"))
        assert found == root
        copy_graph(source, sink, found)
        sink.tag(reference(other, "deep/er/b:2"), found)
        assert sink.resolve(reference(other, "deep/er/b:2")) == root
        assert other.manifests["deep/er/b", "2"] == (root.media_type, place.blobs[root.digest])
        assert {digest for _, digest in other.blobs} | {root.digest} == set(place.blobs)


def test_a_name_is_resolved_without_fetching(double, ours, image):
    place, root = image
    offer(double, "a", place, root, "1")
    ours.pull(f"{double.address}/a").resolve(reference(double, "a:1"))
    assert double.requests() == ["HEAD /v2/a/manifests/1"]
    accept = double.seen[-1].headers["Accept"]
    for media_type in (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ):
        assert media_type in accept


@pytest.mark.parametrize("fault", ["no digest", "no head", "plain type"])
def test_a_registry_that_tells_little_is_asked_for_the_manifest_itself(double, ours, image, fault):
    place, root = image
    offer(double, "a", place, root, "1")
    data = place.blobs[root.digest]

    def little(handler):
        if "/manifests/" not in handler.path:
            return False
        if fault == "no head" and handler.command == "HEAD":
            handler.reply(405)
        else:
            kind = "application/json" if fault == "plain type" else root.media_type
            handler.reply(200, data, Content_Type=kind)
        return True

    double.faults.append(little)
    assert ours.pull(f"{double.address}/a").resolve(reference(double, "a:1")) == root


def test_a_digest_in_the_name_is_what_counts(double, ours, image):
    place, root = image
    offer(double, "a", place, root, "1")
    repository = ours.pull(f"{double.address}/a")
    assert repository.resolve(reference(double, f"a:other@{root.digest}")) == root
    assert double.requests() == [f"HEAD /v2/a/manifests/{root.digest}"]


def test_what_is_not_there_is_said_with_its_name(double, ours):
    with pytest.raises(NotFoundError, match=r"a/b:1 does not exist on 127.0.0.1.*manifest unknown"):
        ours.pull(f"{double.address}/a/b").resolve(reference(double, "a/b:1"))


def test_a_repository_knows_only_its_own_names(double, ours):
    with pytest.raises(InvalidError):
        ours.pull(f"{double.address}/a").resolve(reference(double, "b:1"))


def test_docker_s_first_format_is_refused_by_its_name(double, ours):
    data = b'{"schemaVersion":1,"fsLayers":[]}'
    double.put("a", data, "application/vnd.docker.distribution.manifest.v1+prettyjws", "1")
    with pytest.raises(UnsupportedError, match="schema 1"):
        ours.pull(f"{double.address}/a").resolve(reference(double, "a:1"))


# Hostile and broken registries.


def fault_on(double, part, action, times=10**6, method="GET"):
    """Let `action` deal with the first `times` requests whose path has `part`."""
    left = [times]

    def fault(handler):
        if part in handler.path and handler.command == method and left[0] > 0:
            left[0] -= 1
            return action(handler) is not False
        return False

    double.faults.append(fault)


@pytest.mark.parametrize(
    "lie", [BLOB[:-4] + b"evil", BLOB + b"more", BLOB[:-1], b""], ids=["other", "longer", "shorter", "empty"]
)
def test_wrong_content_never_gets_into_a_place(double, ours, lie):
    double.blobs["a", LAYER.digest] = lie
    sink = MemoryPlace()
    with (
        pytest.raises((CorruptError, UnavailableError)),
        ours.pull(f"{double.address}/a").open(LAYER) as stream,
    ):
        sink.push(LAYER, stream)
    assert not sink.blobs


def test_a_manifest_that_is_another_is_refused(double, ours, image):
    place, root = image
    double.manifests["a", root.digest] = (
        root.media_type,
        place.blobs[root.digest].replace(b"amd64", b"arm64"),
    )
    double.manifests["a", root.digest] = (root.media_type, b" " * root.size)
    with pytest.raises(CorruptError, match="does not match its digest"):
        fetch_bytes(ours.pull(f"{double.address}/a"), root)


def test_an_endless_manifest_is_given_up(double, ours):
    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", MediaType.OCI_MANIFEST)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        piece = b"%x\r\n%b\r\n" % (1 << 16, b" " * (1 << 16))
        try:
            while handler.command == "GET":
                handler.wfile.write(piece)
        except OSError:
            handler.close_connection = True
            return True
        handler.wfile.write(b"0\r\n\r\n")
        return True

    double.faults.append(lambda handler: "/manifests/" in handler.path and endless(handler))
    with pytest.raises(CorruptError, match="longer than the 4194304 bytes"):
        ours.pull(f"{double.address}/a").resolve(reference(double, "a:1"))


def test_a_manifest_that_claims_to_be_huge_is_not_fetched(double, ours):
    def huge(handler):
        digest = "sha256:" + "0" * 64
        handler.reply(
            200, Content_Type=MediaType.OCI_MANIFEST, Content_Length=str(10**11), Docker_Content_Digest=digest
        )
        handler.close_connection = True
        return True

    fault_on(double, "/manifests/", huge, method="HEAD")
    repository = ours.pull(f"{double.address}/a")
    found = repository.resolve(reference(double, "a:1"))
    with pytest.raises(CorruptError, match="claims 100000000000 bytes"):
        fetch_bytes(repository, found)
    assert double.requests("GET") == []


def cut_after(count):
    def cut(handler):
        double = handler.registry
        start = handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-")
        data = double.blobs["a", LAYER.digest][int(start) :]
        handler.send_response(206 if int(start) else 200)
        if int(start):
            handler.send_header("Content-Range", f"bytes {start}-{len(BLOB) - 1}/{len(BLOB)}")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:count])
        handler.cut()

    return cut


def test_a_download_that_is_cut_goes_on_where_it_was(double, ours):
    double.put("a", BLOB)
    fault_on(double, "/blobs/", cut_after(500_000), times=2)
    assert read(ours.pull(f"{double.address}/a"), LAYER) == BLOB
    ranges = [one.headers.get("Range") for one in double.seen if "/blobs/" in one.path]
    assert ranges == [None, "bytes=500000-", "bytes=1000000-"]


def test_a_registry_that_knows_no_ranges_sends_all_again(double, ours):
    double.put("a", BLOB)
    fault_on(double, "/blobs/", cut_after(500_000), times=1)
    fault_on(double, "/blobs/", lambda handler: handler.reply(200, BLOB))
    assert read(ours.pull(f"{double.address}/a"), LAYER) == BLOB


def test_a_registry_that_goes_on_in_the_wrong_place_is_caught(double, ours):
    double.put("a", BLOB)
    fault_on(double, "/blobs/", cut_after(500_000), times=1)
    fault_on(
        double, "/blobs/", lambda h: h.reply(206, BLOB, Content_Range=f"bytes 0-{len(BLOB) - 1}/{len(BLOB)}")
    )
    with pytest.raises(UnavailableError, match="goes on in the wrong place"):
        read(ours.pull(f"{double.address}/a"), LAYER)


def test_a_download_that_is_cut_again_and_again_is_given_up(double, ours):
    double.put("a", BLOB)
    fault_on(double, "/blobs/", cut_after(10))
    with pytest.raises(UnavailableError, match="cut off"):
        read(ours.pull(f"{double.address}/a"), LAYER)
    assert len(double.requests("GET")) == 6
    assert ours.pauses == sorted(ours.pauses)  # each longer than the one before


def test_a_registry_that_hangs_is_given_up(double, ours):
    release = threading.Event()

    def hang(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BLOB)))
        handler.end_headers()
        handler.wfile.write(BLOB[:100])
        release.wait(20)
        handler.cut()

    double.put("a", BLOB)
    fault_on(double, "/blobs/", hang)
    try:
        with pytest.raises(UnavailableError, match="stopped answering"):
            read(ours.pull(f"{double.address}/a", read_seconds=0.05), LAYER)
    finally:
        release.set()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_a_busy_registry_is_asked_again(double, ours, image, status):
    place, root = image
    offer(double, "a", place, root, "1")
    fault_on(double, "/manifests/", lambda handler: handler.fail(status, "X"), times=3, method="HEAD")
    assert ours.pull(f"{double.address}/a").resolve(reference(double, "a:1")) == root
    assert len(ours.pauses) == 3


def test_the_registry_says_how_long_to_wait(double, ours, image):
    place, root = image
    offer(double, "a", place, root, "1")
    fault_on(double, "/manifests/", lambda h: h.fail(429, "X", Retry_After="7"), times=1, method="HEAD")
    ours.pull(f"{double.address}/a").resolve(reference(double, "a:1"))
    assert ours.pauses == [7.0]


def test_who_is_told_to_wait_for_hours_is_told_so_at_once(double, ours):
    double.faults.append(
        lambda h: h.fail(429, "TOOMANYREQUESTS", "pull rate limit", Retry_After="21600") or True
    )
    with pytest.raises(UnavailableError) as caught:
        ours.pull(f"{double.address}/a").resolve(reference(double, "a:1"))
    assert ours.pauses == []
    assert caught.value.code == "rate-limit"
    assert "too many requests" in caught.value.message
    assert "in 21600 seconds" in caught.value.hint
    assert "TIFFIN_MIRRORS" in caught.value.hint


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_redirect_to_another_host_gets_no_login(double, ours, scheme):
    double.scheme, double.users = scheme, {"u": "p"}
    double.put("a", BLOB)
    ours.log_in(double.address, "u", "p")
    with RegistryDouble().serve() as elsewhere:
        elsewhere.put("a", BLOB)
        target = f"http://{elsewhere.address}/v2/a/blobs/{LAYER.digest}?X-Signature=secret"
        fault_on(
            double,
            "/blobs/",
            lambda h: "Authorization" in h.headers and h.reply(307, Location=target) is None,
        )
        assert read(ours.pull(f"{double.address}/a"), LAYER) == BLOB
        assert len(elsewhere.seen) >= 1
        for one in elsewhere.seen:
            assert not {"authorization", "cookie"} & {name.lower() for name in one.headers}


def test_a_refusal_elsewhere_neither_gets_the_login_nor_shows_the_signature(double, ours):
    double.put("a", BLOB)
    double.scheme, double.users = "basic", {"u": "p"}
    ours.log_in(double.address, "u", "p")
    with RegistryDouble().serve() as elsewhere:
        elsewhere.faults.append(
            lambda h: h.fail(401, "DENIED", "", WWW_Authenticate='Basic realm="give it to me"') or True
        )
        target = f"http://{elsewhere.address}/x?X-Signature=secret"
        fault_on(
            double,
            "/blobs/",
            lambda h: "Authorization" in h.headers and h.reply(307, Location=target) is None,
        )
        with pytest.raises(TiffinError) as caught:
            ours.pull(f"{double.address}/a").open(LAYER)
        assert "secret" not in caught.value.message + caught.value.hint
        assert all("Authorization" not in one.headers for one in elsewhere.seen)


def test_an_address_that_has_expired_is_asked_for_anew(double, ours):
    """As with storage behind signed addresses that are good for one request, or for minutes."""
    given, used = [], []
    with RegistryDouble().serve() as storage:

        def redirect(handler):
            given.append(f"signature-{len(given)}")
            handler.reply(307, Location=f"{storage.url}/v2/a/blobs/{LAYER.digest}?X-Signature={given[-1]}")
            return True

        def signed(handler):
            (signature,) = handler.query["X-Signature"]
            if signature in used:
                handler.fail(403, "DENIED", "Request has expired")
                return True
            used.append(signature)
            if len(used) == 1:
                cut_after(500_000)(handler)
                return True
            return False

        storage.put("a", BLOB)
        storage.faults.append(signed)
        fault_on(double, "/blobs/", redirect)
        repository = ours.pull(f"{double.address}/a")
        assert read(repository, LAYER) == BLOB
        with repository.open_piece(LAYER, 10, 20) as piece:
            assert piece.read() == BLOB[10:20]
        assert used == given == ["signature-0", "signature-1", "signature-2"]
        assert storage.seen[1].headers["Range"] == "bytes=500000-"


@pytest.mark.parametrize("status", [200, 400, 416, 501])
def test_a_registry_that_gives_no_pieces_says_so_in_many_ways(double, ours, status):
    double.put("a", BLOB)
    if status == 200:
        fault_on(double, "/blobs/", lambda h: h.reply(200, BLOB) is None)
    else:
        fault_on(double, "/blobs/", lambda h: h.fail(status, "UNSUPPORTED") is None)
    assert ours.pull(f"{double.address}/a").open_piece(LAYER, 10, 20) is None


def test_a_piece_of_another_size_or_place_is_not_taken(double, ours):
    repository = ours.pull(f"{double.address}/a")
    double.put("a", BLOB)
    fault_on(
        double, "/blobs/", lambda h: h.reply(206, b"x" * 10, Content_Range="bytes 0-9/77") is None, times=1
    )
    with pytest.raises(CorruptError, match="has 77 bytes, not"):
        repository.open_piece(LAYER, 0, 10)
    other = f"bytes 5-14/{len(BLOB)}"
    fault_on(double, "/blobs/", lambda h: h.reply(206, b"x" * 10, Content_Range=other) is None, times=1)
    assert repository.open_piece(LAYER, 0, 10) is None


def test_redirects_in_a_circle_end(double, ours):
    fault_on(double, "/blobs/", lambda h: h.reply(302, Location=h.path))
    with pytest.raises(UnavailableError, match="redirects without end"):
        ours.pull(f"{double.address}/a").open(LAYER)


@pytest.mark.parametrize("target", ["ftp://x/y", "file:///etc/passwd", "http://[", "http://:1x/"])
def test_a_redirect_to_anything_but_http_is_refused(double, ours, target):
    fault_on(double, "/blobs/", lambda h: h.reply(302, Location=target))
    with pytest.raises(UnavailableError, match="malformed"):
        ours.pull(f"{double.address}/a").open(LAYER)


def test_what_a_registry_says_is_shown_on_one_line_without_secrets(double, ours):
    double.scheme, double.users = "basic", {"u": "tops3cret"}
    ours.log_in(double.address, "u", "tops3cret")
    said = "your password tops3cret\r\n\x1b[31mis bad" + "x" * 9999
    fault_on(
        double, "/blobs/", lambda h: "Authorization" in h.headers and h.fail(403, "DENIED", said) is None
    )
    with pytest.raises(DeniedError) as caught:
        ours.pull(f"{double.address}/a").open(LAYER)
    assert "your password *** [31mis bad" in caught.value.message
    assert "tops3cret" not in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600


# Pushing.


def test_what_is_there_is_not_sent_again(double, ours, image):
    place, root = image
    offer(double, "a", place, root)
    sink = ours.push(f"{double.address}/a")
    assert copy_graph(place, sink, root).copied == 0
    assert {one.method for one in double.seen if one.path != "/v2/"} == {"HEAD"}


def test_a_blob_is_taken_over_from_another_repository(double, ours):
    double.scheme = "bearer"
    double.put("base/python", BLOB)
    sink = ours.push(f"{double.address}/me/x", {LAYER.digest: "base/python"})
    sink.push(LAYER, io.BytesIO(BLOB))
    assert double.blobs["me/x", LAYER.digest] == BLOB
    assert not double.requests("PUT")
    scopes = [one.path for one in double.seen if one.path.startswith("/token")]
    assert "repository%3Abase%2Fpython%3Apull" in scopes[-1]


def test_a_blob_that_cannot_be_taken_over_is_sent_in_the_same_breath(double, ours):
    sink = ours.push(f"{double.address}/me/x", {LAYER.digest: "base/python"})
    sink.push(LAYER, io.BytesIO(BLOB))
    assert double.blobs["me/x", LAYER.digest] == BLOB
    assert len(double.requests("POST")) == 1


def test_a_registry_behind_a_small_door_gets_pieces_from_the_next_attempt_on(double, ours, monkeypatch):
    monkeypatch.setattr("tiffin.registry.upload.PIECE", 300_000)
    fault_on(
        double,
        "/uploads/",
        lambda h: len(h.body) > 500_000 and h.fail(413, "SIZE_INVALID") is None,
        method="PUT",
    )
    sink = ours.push(f"{double.address}/a")
    with pytest.raises(UnavailableError) as caught:
        sink.push(LAYER, io.BytesIO(BLOB))
    assert caught.value.code == "in-pieces"
    sink.push(LAYER, io.BytesIO(BLOB))
    assert double.blobs["a", LAYER.digest] == BLOB
    assert len(double.requests("PATCH")) == 6


def test_a_piece_whose_answer_was_lost_is_not_sent_twice(double, ours, monkeypatch):
    monkeypatch.setattr("tiffin.registry.upload.PIECE", 500_000)

    def lost(handler):
        double.uploads["1"].extend(handler.body)
        handler.cut()

    sink = ours.push(f"{double.address}/a")
    sink._pieces = True
    fault_on(double, "/uploads/", lost, times=1, method="PATCH")
    sink.push(LAYER, io.BytesIO(BLOB))
    assert double.blobs["a", LAYER.digest] == BLOB


def test_an_upload_that_fails_is_taken_back(double, ours):
    sink = ours.push(f"{double.address}/a")
    with pytest.raises(CorruptError):
        sink.push(LAYER, io.BytesIO(BLOB[:-1]))
    assert double.uploads == {}


def test_a_registry_that_takes_content_for_other_content_is_caught(double, ours, image):
    place, root = image
    sink = ours.push(f"{double.address}/a")
    other = "sha256:" + "0" * 64
    fault_on(double, "/manifests/", lambda h: h.reply(201, Docker_Content_Digest=other), method="PUT")
    with pytest.raises(CorruptError, match="took manifest"):
        sink.push(root, io.BytesIO(place.blobs[root.digest]))


def test_a_login_does_not_go_to_an_upload_on_another_host(double, ours):
    double.scheme, double.users = "basic", {"u": "p"}
    ours.log_in(double.address, "u", "p")
    with RegistryDouble().serve() as elsewhere:
        elsewhere.uploads["0"] = bytearray()
        location = f"http://{elsewhere.address}/v2/a/blobs/uploads/0?state=a%2Bb"
        fault_on(
            double,
            "/uploads/",
            lambda h: "Authorization" in h.headers and h.reply(202, Location=location) is None,
            method="POST",
        )
        ours.push(f"{double.address}/a").push(LAYER, io.BytesIO(BLOB))
        assert elsewhere.blobs["a", LAYER.digest] == BLOB
        assert all("Authorization" not in one.headers for one in elsewhere.seen)


# Mirrors.


@pytest.fixture
def mirror():
    with RegistryDouble().serve() as served:
        yield served


def test_a_mirror_is_asked_first_and_the_registry_for_what_it_lacks(double, mirror, ours, image):
    place, root = image
    offer(double, "a", place, root, "1")
    mirror.put("m/a", place.blobs[root.digest], root.media_type, "1")
    ours.environ["TIFFIN_MIRRORS"] = f"{double.address}=http://{mirror.address}/m"
    repository = ours.pull(f"{double.address}/a")
    found = repository.resolve(reference(double, "a:1"))
    sink = MemoryPlace()
    copy_graph(repository, sink, found)
    assert sink.blobs == place.blobs
    assert f"GET /v2/m/a/manifests/{root.digest}" in mirror.requests()
    assert {one.split("/")[3] for one in double.requests()} == {"blobs"}
    assert not any(isinstance(event, Notice) for event in ours.events)


def test_a_mirror_that_is_out_of_order_is_left_alone_and_said_to_be_so(double, mirror, ours, image):
    place, root = image
    offer(double, "a", place, root, "1")
    mirror.faults.append(lambda handler: handler.fail(500, "X") or True)
    ours.environ["TIFFIN_MIRRORS"] = f"{double.address}=http://{mirror.address}"
    repository = ours.pull(f"{double.address}/a")
    assert repository.resolve(reference(double, "a:1")) == root
    asked = len(mirror.seen)
    assert fetch_bytes(repository, root) == place.blobs[root.digest]
    assert len(mirror.seen) == asked
    notices = [event.message for event in ours.events if isinstance(event, Notice)]
    assert len(notices) == 1
    assert f"went on without the mirror {mirror.address}" in notices[0]


def test_a_mirror_cannot_change_what_a_digest_stands_for(double, mirror, ours, image):
    place, root = image
    offer(double, "a", place, root, "1")
    mirror.manifests["a", root.digest] = (root.media_type, b"{}" + b" " * (root.size - 2))
    ours.environ["TIFFIN_MIRRORS"] = f"{double.address}=http://{mirror.address}"
    with pytest.raises(CorruptError):
        fetch_bytes(ours.pull(f"{double.address}/a"), root)


def test_the_login_of_the_registry_does_not_go_to_its_mirror(double, mirror, ours, image):
    place, root = image
    double.scheme, double.users = "basic", {"u": "p"}
    mirror.scheme, mirror.users = "basic", {"u": "p"}
    offer(double, "a", place, root, "1")
    ours.log_in(double.address, "u", "p")
    ours.environ["TIFFIN_MIRRORS"] = f"{double.address}=http://{mirror.address}"
    assert ours.pull(f"{double.address}/a").resolve(reference(double, "a:1")) == root
    assert all("Authorization" not in one.headers for one in mirror.seen)


def test_when_nothing_helps_all_that_was_tried_is_said(double, mirror, ours):
    ours.environ["TIFFIN_MIRRORS"] = f"{double.address}=http://{mirror.address}"
    with pytest.raises(NotFoundError) as caught:
        ours.pull(f"{double.address}/a").resolve(reference(double, "a:1"))
    assert f"does not exist on {double.address}" in caught.value.message
    assert f"its mirror {mirror.address}" in caught.value.message


def test_other_digest_algorithms_verify_too(double, ours):
    data = b"content"
    digest = Digest("sha512:" + hashlib.sha512(data).hexdigest())
    double.blobs["a", digest] = b"Content"
    descriptor = Descriptor(MediaType.OCI_LAYER, digest, len(data))
    with pytest.raises(CorruptError):
        fetch_bytes(ours.pull(f"{double.address}/a"), descriptor)


def test_the_double_itself_refuses_what_the_specification_forbids(double, ours, image):
    place, root = image
    sink = ours.push(f"{double.address}/a")
    with pytest.raises(NotFoundError):
        sink.push(root, io.BytesIO(place.blobs[root.digest]))
    assert json.loads(place.blobs[root.digest])["layers"]
