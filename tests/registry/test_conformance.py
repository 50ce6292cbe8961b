"""What the distribution-spec (1.1) asks of clients, point by point: the heading of each is the spec's own.

Other points have their tests where they belong: digests, redirects and cuts in test_client.py, logins in
test_auth.py, referrers in test_referrers.py.
"""

import io
import json
import re

import pytest
from tests.registry.conftest import offer, read

from tiffin.content.copy import copy_graph
from tiffin.content.memory import MemoryPlace
from tiffin.errors import NotFoundError, TiffinError, UnavailableError
from tiffin.events import Notice
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Manifest
from tiffin.oci.reference import Reference

BLOB = bytes(range(256)) * 2000
LAYER = Descriptor.of(BLOB, MediaType.OCI_LAYER)


def on(double, part, answer, method=None):
    """Let `answer` deal with requests for paths with `part`; it returns whether it did."""

    def fault(handler):
        if part not in handler.path or method not in (None, handler.command):
            return False
        return answer(handler)

    double.faults.append(fault)


class TestPull:
    """Pulling manifests and blobs."""

    def test_every_type_that_is_understood_is_accepted_and_others_are_too(self, double, ours, image):
        place, root = image
        offer(double, "a", place, root)
        ours.pull(f"{double.address}/a").resolve(Reference.parse(f"{double.address}/a:latest"))
        (asked,) = [one for one in double.seen if "/manifests/" in one.path]
        kinds = [kind.partition(";")[0].strip() for kind in asked.headers["Accept"].split(",")]
        known = {
            MediaType.OCI_INDEX, MediaType.OCI_MANIFEST, MediaType.DOCKER_INDEX, MediaType.DOCKER_MANIFEST,
        }  # fmt: skip
        assert known <= set(kinds)
        assert "*/*" in kinds
        assert asked.method == "HEAD"

    def test_media_types_that_nobody_knows_are_kept(self, double, ours):
        place = MemoryPlace()
        config = place.write(b"{}", "application/vnd.example.config.v7+json")
        part = place.write(b"part", "application/vnd.example.part.v7.tar+brotli")
        manifest = Manifest(config, (part,), {"a.b": "c"}, artifact_type="application/vnd.example")
        root = place.write(codec.encode(manifest), MediaType.OCI_MANIFEST)
        copy_graph(place, ours.push(f"{double.address}/a"), root)
        back = MemoryPlace()
        copy_graph(ours.pull(f"{double.address}/a"), back, root)
        assert back.blobs == place.blobs


class TestPush:
    """Pushing blobs, "POST then PUT" and in chunks; pushing manifests."""

    @pytest.mark.parametrize(
        "location",
        [
            "/v2/a/blobs/uploads/{upload}",
            "/v2/a/blobs/uploads/{upload}?state=x%2By&other=1",
            "{url}/v2/a/blobs/uploads/{upload}?state=x%2By",
            "{upload}?state=x",
            "?upload={upload}",
        ],
    )
    @pytest.mark.parametrize("pieces", [False, True])
    def test_a_location_is_absolute_or_relative_and_keeps_its_query(
        self, double, ours, location, pieces, monkeypatch
    ):
        monkeypatch.setattr("tiffin.registry.upload.PIECE", 200_000)
        got, places = bytearray(), []

        def take(handler):
            given = location.format(upload=f"u{len(places)}", url=double.url)
            if handler.command in ("POST", "PATCH"):
                if handler.command == "PATCH":
                    places.append(handler.path)
                    got.extend(handler.body)
                    given = location.format(upload=f"u{len(places)}", url=double.url)
                handler.reply(202, Location=given, Range=f"0-{max(len(got) - 1, 0)}")
                return True
            places.append(handler.path)
            got.extend(handler.body)
            handler.reply(201, Location="/v2/a/blobs/x")
            return True

        on(double, "/blobs/uploads/", take)
        repository = ours.push(f"{double.address}/a")
        repository._pieces = pieces
        repository.push(LAYER, io.BytesIO(BLOB))
        assert bytes(got) == BLOB
        for number, path in enumerate(places):  # each to the place that the answer before it named
            assert f"u{number}" in path
        assert places[-1].count("digest=sha256%3A") == 1
        query = re.search(r"\?([^{]*)", location)
        if query and query[1] and "upload" not in query[1]:
            assert f"?{query[1]}&digest=" in places[-1]

    def test_chunks_are_in_order_and_named_by_both_ends(self, double, ours, monkeypatch):
        monkeypatch.setattr("tiffin.registry.upload.PIECE", 200_000)
        repository = ours.push(f"{double.address}/a")
        repository._pieces = True
        repository.push(LAYER, io.BytesIO(BLOB))
        patches = [one for one in double.seen if one.method == "PATCH"]
        at = 0
        for one in patches:
            first, last = re.fullmatch(r"([0-9]+)-([0-9]+)", one.headers["Content-Range"]).groups()
            assert (int(first), int(last)) == (at, at + len(one.body) - 1)
            assert one.headers["Content-Type"] == "application/octet-stream"
            assert int(one.headers["Content-Length"]) == len(one.body)
            at += len(one.body)
        assert at == len(BLOB)

    @pytest.mark.parametrize(("least", "count"), [("300000", 2), ("100000", 3), ("0", 3), ("many", 3)])
    def test_chunks_are_as_large_as_the_registry_wants_them(self, double, ours, monkeypatch, least, count):
        monkeypatch.setattr("tiffin.registry.upload.PIECE", 200_000)

        def begin(handler):
            double.uploads["9"] = bytearray()
            location = "/v2/a/blobs/uploads/9?state=a%2Bb"
            handler.reply(202, Location=location, OCI_Chunk_Min_Length=least)
            return True

        on(double, "/blobs/uploads/", begin, "POST")
        repository = ours.push(f"{double.address}/a")
        repository._pieces = True
        repository.push(LAYER, io.BytesIO(BLOB))
        assert double.blobs["a", LAYER.digest] == BLOB
        assert len(double.requests("PATCH")) == count

    def test_a_mount_that_is_refused_goes_on_as_an_upload(self, double, ours):
        repository = ours.push(f"{double.address}/a", {LAYER.digest: "b"})
        repository.push(LAYER, io.BytesIO(BLOB))
        assert double.blobs["a", LAYER.digest] == BLOB
        (post,) = [one for one in double.seen if one.method == "POST"]
        assert "mount=sha256%3A" in post.path
        assert "from=b" in post.path

    def test_a_manifest_is_sent_as_the_type_that_it_has(self, double, ours, image):
        place, root = image
        copy_graph(place, ours.push(f"{double.address}/a"), root)
        (put,) = [one for one in double.seen if one.method == "PUT" and "/manifests/" in one.path]
        assert put.headers["Content-Type"] == root.media_type == json.loads(put.body)["mediaType"]


class TestDiscovery:
    """Listing tags."""

    @pytest.mark.parametrize(
        "link",
        [
            '</v2/a/tags/list?n=2&last=b>; rel="next"',
            '<{url}/v2/a/tags/list?n=2&last=b>; rel="next"',
            '<?n=2&last=b>; rel="next"',
            "<list?n=2&last=b>;rel=next",
            '</other>; rel="prev", </v2/a/tags/list?n=2&last=b>; title="more"; rel="next"',
        ],
    )
    def test_the_next_page_is_where_the_link_leads(self, double, ours, link):
        def page(handler):
            if "last=b" in handler.path:
                handler.reply(200, b'{"name":"a","tags":["c"]}')
            else:
                handler.reply(200, b'{"name":"a","tags":["a","b"]}', Link=link.format(url=double.url))
            return True

        on(double, "/v2/a/tags/list", page)
        assert ours.pull(f"{double.address}/a").tags() == ["a", "b", "c"]


class TestErrors:
    """Error codes."""

    @pytest.mark.parametrize(
        ("status", "body", "kind", "message"),
        [
            (404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"gone"}]}', NotFoundError, "gone"),
            (
                404,
                b'{"errors":[{"code":"NEW_ONE","message":"a new code","detail":[1]}]}',
                NotFoundError,
                "a new",
            ),
            (404, b"<html>not here</html>", NotFoundError, "does not exist"),
            (404, b'{"errors":null}', NotFoundError, "does not exist"),
            (429, b'{"errors":[{"code":"TOOMANYREQUESTS"}]}', UnavailableError, "too many requests"),
            (418, b'{"errors":[{"code":"DENIED","message":"a teapot"}]}', TiffinError, "a teapot"),
        ],
    )
    def test_what_the_body_says_is_told_whatever_its_code(self, double, ours, status, body, kind, message):
        def fail(handler):
            handler.reply(status, body, Retry_After="1000", Content_Type="application/json")
            return True

        on(double, "/manifests/", fail)
        with pytest.raises(kind, match=message):
            ours.pull(f"{double.address}/a").resolve(Reference.parse(f"{double.address}/a:1"))


class TestWarnings:
    """Warnings."""

    @pytest.mark.parametrize(
        ("header", "shown"),
        [
            ('299 - "the image is old"', ["the image is old"]),
            ('299 - "a \\"quoted\\" word"', ['a "quoted" word']),
            ('299 - "one", 299 - "two"', ["one", "two"]),
            ('110 anderson/1.3.37 "Response is stale"', []),
            ('299 proxy "not of the registry"', []),
            ('299 - "with a date" "Sat, 28 Nov 2026 00:00:00 GMT"', []),
            ('299 - "a\x1b[31m red one"', ["a [31m red one"]),
            ("nonsense", []),
            ('299 - "' + "x" * 5000 + '"', []),
        ],
    )
    def test_warnings_of_the_registry_are_shown_once(self, double, ours, image, header, shown):
        place, root = image
        offer(double, "a", place, root)

        def warn(handler):
            media_type, data = double.manifests["a", "latest"]
            handler.reply(
                200, data, Content_Type=media_type, Docker_Content_Digest=str(root.digest), Warning=header
            )
            return True

        on(double, "/manifests/", warn)
        repository = ours.pull(f"{double.address}/a")
        for _ in range(2):
            repository.resolve(Reference.parse(f"{double.address}/a:latest"))
        read(repository, root)
        told = [event.message for event in ours.events if isinstance(event, Notice)]
        assert told == [f"{double.address} warns: {text}" for text in shown]
