import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import InvalidError
from tiffin.oci.digest import ChainID, DiffID, Digest, chain_id, chain_ids

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_of_nothing_is_the_known_one():
    assert Digest.of(b"") == EMPTY


def test_a_digest_is_a_string_with_parts():
    digest = Digest(EMPTY)
    assert isinstance(digest, str)
    assert (digest.algorithm, digest.encoded) == ("sha256", EMPTY[7:])
    assert digest.short == "e3b0c44298fc"
    assert {digest: 1}[EMPTY] == 1


@given(st.binary())
def test_bytes_check_against_their_digest(data):
    digest = Digest.of(data)
    state = digest.hasher()
    state.update(data)
    assert Digest.from_hash(state) == digest == "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_longer_algorithms_are_digests_too(algorithm):
    state = hashlib.new(algorithm, b"x")
    assert Digest(f"{algorithm}:{state.hexdigest()}").hasher().name == algorithm


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not of the form"),
        ("sha256", "not of the form"),
        (":" + "a" * 64, "not of the form"),
        ("md5:" + "a" * 32, "unknown algorithm"),
        ("sha256:" + "a" * 63, "64 lower-case hex digits"),
        ("sha256:" + "a" * 65, "64 lower-case hex digits"),
        ("sha256:" + "A" * 64, "lower-case"),
        ("sha256:" + "g" * 64, "hex digits"),
        ("sha256:../" + "a" * 61, "hex digits"),
        ("sha256:" + "a" * 64 + "\n", "hex digits"),
        ("sha512:" + "a" * 64, "128 lower-case hex digits"),
        ("sha256:" + "a" * 100_000, "hex digits"),
    ],
)
def test_a_malformed_digest_is_refused_with_the_reason(text, why):
    with pytest.raises(InvalidError, match=why) as caught:
        Digest(text)
    assert len(caught.value.message) < 400


def test_a_chain_starts_with_the_first_layer_and_hashes_each_step():
    one, two, three = (DiffID.of(data) for data in (b"1", b"2", b"3"))
    second = "sha256:" + hashlib.sha256(f"{one} {two}".encode()).hexdigest()
    third = "sha256:" + hashlib.sha256(f"{second} {three}".encode()).hexdigest()
    assert chain_ids([one, two, three]) == [one, second, third]
    assert chain_id([one, two, three]) == third
    assert isinstance(chain_id([one]), ChainID)


def test_no_layers_have_no_chain():
    assert chain_ids([]) == []
    with pytest.raises(InvalidError, match="without layers"):
        chain_id([])
