import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import InvalidError
from tiffin.oci.reference import Reference
from tiffin.trust.identity import SignedIdentity
from tiffin.trust.policy import (
    AcceptAnything,
    Fulcio,
    Reject,
    Sigstore,
    Source,
    Unsupported,
    parse_policy,
    scopes_of,
    scopes_of_path,
)

ACCEPT, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}
KEY = {"type": "sigstoreSigned", "keyPath": "/keys/a.pub"}
FULCIO = {"caPath": "/ca.pem", "oidcIssuer": "https://a", "subjectEmail": "b@c"}
LOG = {"rekorPublicKeyPath": "/log.pub"}


def parse(requirement, **more):
    return parse_policy(json.dumps({"default": [requirement], **more}).encode(), "policy.json")


def b64(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("requirement", "meant"),
    [
        (ACCEPT, AcceptAnything()),
        (REJECT, Reject()),
        (KEY, Sigstore(Source(("/keys/a.pub",)), None, Source(), SignedIdentity())),
        (
            {
                "type": "sigstoreSigned",
                "keyPaths": ["/a", "/b"],
                "signedIdentity": {"type": "matchRepository"},
            },
            Sigstore(Source(("/a", "/b")), None, Source(), SignedIdentity("matchRepository")),
        ),
        (
            {"type": "sigstoreSigned", "keyData": b64(b"key"), "rekorPublicKeyData": b64(b"log")},
            Sigstore(Source((), (b"key",)), None, Source((), (b"log",)), SignedIdentity()),
        ),
        (
            {"type": "sigstoreSigned", "keyDatas": [b64(b"1"), b64(b"2")], "rekorPublicKeyPaths": ["/l"]},
            Sigstore(Source((), (b"1", b"2")), None, Source(("/l",)), SignedIdentity()),
        ),
        (
            {"type": "sigstoreSigned", "fulcio": FULCIO, **LOG},
            Sigstore(
                Source(),
                Fulcio(Source(("/ca.pem",)), "https://a", "b@c"),
                Source(("/log.pub",)),
                SignedIdentity(),
            ),
        ),
        (
            {**KEY, "signedIdentity": {"type": "remapIdentity", "prefix": "a", "signedPrefix": "b"}},
            Sigstore(Source(("/keys/a.pub",)), None, Source(), SignedIdentity("remapIdentity", "a", "b")),
        ),
    ],
)
def test_requirements(requirement, meant):
    (found,) = parse(requirement).default
    assert (type(found), found) == (type(meant), meant)


def test_what_is_not_checked_here_is_never_fulfilled():
    gpg = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/ring"}
    own = {"type": "sigstoreSigned", "pki": {"caRootsPath": "/ca", "subjectEmail": "a@b"}}
    for requirement, word in ((gpg, "GPG"), (own, "authority of your own")):
        (found,) = parse(requirement).default
        assert isinstance(found, Unsupported)
        assert word in found.reason


@pytest.mark.parametrize(
    "requirement",
    [
        {},
        {"type": "other"},
        {"type": 1},
        {**ACCEPT, "more": 1},
        {**REJECT, "keyPath": "/a"},
        {"type": "sigstoreSigned"},
        {**KEY, "keyData": "AAAA"},
        {**KEY, "keypath": "/b"},
        {**KEY, **LOG, "rekorPublicKeyData": "AAAA"},
        {"type": "sigstoreSigned", "keyPath": ""},
        {"type": "sigstoreSigned", "keyPath": 7},
        {"type": "sigstoreSigned", "keyPaths": []},
        {"type": "sigstoreSigned", "keyPaths": "/a"},
        {"type": "sigstoreSigned", "keyData": "not base64!"},
        {"type": "sigstoreSigned", "fulcio": FULCIO},
        {"type": "sigstoreSigned", "fulcio": {**FULCIO, "caData": "AAAA"}, **LOG},
        {"type": "sigstoreSigned", "fulcio": {**FULCIO, "subjectEmail": ""}, **LOG},
        {"type": "sigstoreSigned", "fulcio": {"caPath": "/ca", "oidcIssuer": "a"}, **LOG},
        {**KEY, "signedIdentity": {}},
        {**KEY, "signedIdentity": {"type": "matchAny"}},
        {**KEY, "signedIdentity": {"type": "matchExact", "more": 1}},
        {**KEY, "signedIdentity": {"type": "exactReference"}},
        {**KEY, "signedIdentity": None},
    ],
)
def test_malformed_requirements_refuse_the_file(requirement):
    with pytest.raises(InvalidError) as caught:
        parse(requirement)
    assert caught.value.code == "invalid-policy"
    assert "policy.json" in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"default": []}',
        '{"default": [{"type": "reject"}], "default": [{"type": "insecureAcceptAnything"}]}',
        '{"default": [{"type": "reject", "type": "insecureAcceptAnything"}]}',
        '{"default": [{"type": "reject"}], "transport": {}}',
        '{"default": [{"type": "reject"}], "transports": []}',
        '{"default": [{"type": "reject"}], "transports": {"docker": {"": []}}}',
        '{"default": [{"type": "reject"}], "transports": {"docker": {"a": [], "a": []}}}',
        '{"default": null}',
        "[" * 100_000,
    ],
)
def test_malformed_files_are_refused(text):
    with pytest.raises(InvalidError):
        parse_policy(text.encode(), "policy.json")


@given(st.binary(max_size=80))
def test_no_bytes_make_it_fail_in_another_way(data):
    with pytest.raises(InvalidError):
        parse_policy(data, "policy.json")


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        ("python", ["docker.io/library/python:latest", "docker.io/library/python", "docker.io/library",
                    "docker.io", "*.io"]),
        ("a.b.example.org:5000/n/x:1", ["a.b.example.org:5000/n/x:1", "a.b.example.org:5000/n/x",
                                        "a.b.example.org:5000/n", "a.b.example.org:5000", "*.b.example.org",
                                        "*.example.org", "*.org"]),
        ("localhost:5000/x@sha256:" + "0" * 64, ["localhost:5000/x@sha256:" + "0" * 64, "localhost:5000/x",
                                                 "localhost:5000"]),
    ],
)  # fmt: skip
def test_scopes_from_the_narrowest(name, scopes):
    assert scopes_of(Reference.parse(name).tagged()) == scopes


def test_scopes_of_layouts():
    assert scopes_of_path("/a/b", "1") == ["/a/b:1", "/a/b", "/a"]
    assert scopes_of_path("/a", "") == ["/a"]


@pytest.mark.parametrize(
    ("name", "scope", "requirement"),
    [
        ("r.example.org/ns/app:1", "docker:r.example.org/ns/app:1", AcceptAnything),
        ("r.example.org/ns/app:2", "docker:r.example.org/ns", Reject),
        ("r.example.org/nsx/app:2", "docker:*.example.org", AcceptAnything),
        ("q.example.org/nsx", "docker:*.example.org", AcceptAnything),
        ("python", "docker:", Reject),
    ],
)
def test_the_narrowest_scope_decides(name, scope, requirement):
    docker = {
        "r.example.org/ns": [REJECT],
        "r.example.org/ns/app:1": [ACCEPT],
        "*.example.org": [ACCEPT],
        "": [REJECT],
    }
    policy = parse(ACCEPT, transports={"docker": docker})
    found, (what,) = policy.find("docker", scopes_of(Reference.parse(name).tagged()))
    assert (found, type(what)) == (scope, requirement)
    assert policy.find("oci", ["/a"]) == ("default", (AcceptAnything(),))
