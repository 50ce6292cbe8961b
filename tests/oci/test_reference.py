import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import InvalidError
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference

DIGEST = "sha256:" + "0123456789abcdef" * 4
HEX64 = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("python", "docker.io/library/python", "python"),
        ("python:3.11.8-slim", "docker.io/library/python:3.11.8-slim", "python:3.11.8-slim"),
        ("library/python", "docker.io/library/python", "python"),
        ("docker.io/python", "docker.io/library/python", "python"),
        ("index.docker.io/python", "docker.io/library/python", "python"),
        ("index.docker.io/library/python", "docker.io/library/python", "python"),
        ("docker.io/library/python", "docker.io/library/python", "python"),
        ("acme/serving", "docker.io/acme/serving", "acme/serving"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ("localhost:5000/x", "localhost:5000/x", "localhost:5000/x"),
        ("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"),
        ("host:5000/a/b/c", "host:5000/a/b/c", "host:5000/a/b/c"),
        ("quay.example.com/a/b:1", "quay.example.com/a/b:1", "quay.example.com/a/b:1"),
        ("10.0.0.1/a", "10.0.0.1/a", "10.0.0.1/a"),
        ("[::1]/a", "[::1]/a", "[::1]/a"),
        ("[2001:db8::7]:5000/a:b", "[2001:db8::7]:5000/a:b", "[2001:db8::7]:5000/a:b"),
        ("Host/a", "Host/a", "Host/a"),
        ("EXAMPLE.com:443/a", "EXAMPLE.com:443/a", "EXAMPLE.com:443/a"),
        ("xn--bcher-kva.example/a", "xn--bcher-kva.example/a", "xn--bcher-kva.example/a"),
        ("a--b__c.d_e", "docker.io/library/a--b__c.d_e", "a--b__c.d_e"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}", f"python@{DIGEST}"),
        (f"a/b:t@{DIGEST}", f"docker.io/a/b:t@{DIGEST}", f"a/b:t@{DIGEST}"),
        (f"localhost:1/b:t@{DIGEST}", f"localhost:1/b:t@{DIGEST}", f"localhost:1/b:t@{DIGEST}"),
        (f"docker.io/library/{HEX64}", f"docker.io/library/{HEX64}", f"docker.io/library/{HEX64}"),
        ("docker.io/localhost/x", "docker.io/localhost/x", "docker.io/localhost/x"),
        ("docker.io/a.b/x", "docker.io/a.b/x", "docker.io/a.b/x"),
        (HEX64[:63], f"docker.io/library/{HEX64[:63]}", HEX64[:63]),
        (f"x:{'t' * 128}", f"docker.io/library/x:{'t' * 128}", f"x:{'t' * 128}"),
        ("x:_A.b-C", "docker.io/library/x:_A.b-C", "x:_A.b-C"),
    ],
)
def test_names_are_filled_in_and_printed_as_docker_does(text, canonical, familiar):
    reference = Reference.parse(text)
    assert str(reference) == canonical
    assert reference.familiar == familiar
    assert Reference.parse(canonical) == Reference.parse(familiar) == reference


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (HEX64, "image id"),
        ("Python", "lower case"),
        ("acme/Serving", "lower case"),
        ("localhost:5000/Serving:x", "lower case"),
        ("x:", "tag"),
        (":x", "repository is missing"),
        ("x:y:z", "tag"),
        (f"x:{'t' * 129}", "tag"),
        ("x:.t", "tag"),
        ("x:-t", "tag"),
        ("x:tä", "tag"),
        ("x@", "digest"),
        ("x@sha256:abc", "digest"),
        (f"x@{DIGEST}@{DIGEST}", "digest"),
        (f"x@{DIGEST.upper()}", "digest"),
        ("a//b", "malformed"),
        ("a/", "malformed"),
        ("/a", "malformed|not a registry host"),
        ("-a", "malformed"),
        ("a-", "malformed"),
        ("a..b", "malformed"),
        ("a___b", "malformed"),
        ("a._b", "malformed"),
        ("a b", "malformed"),
        ("a\n", "malformed"),
        ("ä", "malformed"),
        ("../a", "not a registry host"),
        ("a.b/", "repository is missing"),
        ("a.b/:x", "repository is missing"),
        ("host:/a", "not a registry host"),
        ("host:99999/a", "out of range"),
        ("host:port/a", "not a registry host"),
        ("-host.example/a", "not a registry host"),
        ("ho_st.example/a", "not a registry host"),
        ("[::1/a", "not a registry host"),
        ("[::1%25eth0]/a", "not a registry host"),
        ("https://example.com/a", "not a registry host"),
        ("a" * 256, "longer than 255"),
        ("a/" * 100_000, "characters long"),
    ],
)
def test_a_malformed_name_is_refused_with_the_reason(text, why):
    with pytest.raises(InvalidError, match=why) as caught:
        Reference.parse(text)
    assert caught.value.code == "invalid-reference"
    assert len(caught.value.message) < 800


def test_the_longest_repository_counts_what_docker_adds():
    assert Reference.parse("a" * 247).repository == "library/" + "a" * 247
    with pytest.raises(InvalidError, match="longer than 255"):
        Reference.parse("a" * 248)


def test_an_uppercase_name_is_told_what_to_write():
    with pytest.raises(InvalidError) as caught:
        Reference.parse("acme/Serving")
    assert "acme/serving" in caught.value.hint


def test_latest_is_meant_where_nothing_is_said():
    assert str(Reference.parse("python").tagged()) == "docker.io/library/python:latest"
    assert Reference.parse("python:3").tagged().tag == "3"
    pinned = Reference.parse(f"python@{DIGEST}")
    assert pinned.tagged() == pinned


def test_parts_can_be_exchanged():
    reference = Reference.parse("acme/serving:1")
    assert str(reference.with_tag("2")) == "docker.io/acme/serving:2"
    assert str(reference.with_digest(Digest(DIGEST))) == f"docker.io/acme/serving:1@{DIGEST}"
    assert reference.name == "docker.io/acme/serving"
    assert reference.familiar_name == "acme/serving"


@pytest.mark.parametrize(
    ("registry", "repository", "tag"),
    [
        ("docker.io", "python", None),
        ("index.docker.io", "library/python", None),
        ("acme", "serving", None),
        ("localhost", "", None),
        ("a.b", "c", "x y"),
    ],
)
def test_no_reference_can_be_made_that_would_parse_as_another(registry, repository, tag):
    with pytest.raises(InvalidError):
        Reference(registry, repository, tag)


ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"
components = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
hosts = st.one_of(
    st.just("docker.io"),
    st.just("localhost"),
    st.from_regex(r"[a-z0-9]{1,5}\.[a-z]{2,3}(:[0-9]{1,4})?", fullmatch=True),
    st.from_regex(r"[A-Z][a-zA-Z0-9]{0,5}(:[0-9]{1,4})?", fullmatch=True),
    st.from_regex(r"\[[0-9a-f]{1,4}::[0-9a-f]{1,4}\](:[0-9]{1,4})?", fullmatch=True),
)
tags = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
digests = st.none() | st.binary().map(Digest.of)


@st.composite
def references(draw):
    registry = draw(hosts)
    least = 2 if registry == "docker.io" else 1
    path = "/".join(draw(st.lists(components, min_size=least, max_size=4)))
    return Reference(registry, path, draw(tags), draw(digests))


@given(references())
def test_what_is_printed_parses_back(reference):
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference


@given(st.text(alphabet=ALNUM + "AZ:/@._-[]%\n ä", max_size=60))
def test_any_text_is_a_reference_or_an_invalid_name(text):
    try:
        reference = Reference.parse(text)
    except InvalidError:
        return
    assert Reference.parse(str(reference)) == reference
