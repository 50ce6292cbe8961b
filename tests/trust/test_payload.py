import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import CorruptError, DeniedError, TiffinError
from tiffin.oci.digest import Digest
from tiffin.trust.payload import LARGEST, TYPE, Payload, compose, parse

DIGEST = Digest("sha256:" + "ab" * 32)


def document(**changes):
    critical = {
        "identity": {"docker-reference": "example.org/finca:1"},
        "image": {"docker-manifest-digest": DIGEST},
        "type": TYPE,
    }
    return {"critical": critical | changes.pop("critical", {}), "optional": None} | changes


def test_the_payload_is_that_of_cosign():
    data = compose(Payload(DIGEST, "example.org/finca:1", {"creator": "tiffin"}))
    assert json.loads(data) == document(optional={"creator": "tiffin"})
    assert compose(parse(data)) == data


def test_what_cosign_writes_is_read():
    found = parse(json.dumps(document()).encode())
    assert found == Payload(DIGEST, "example.org/finca:1", {})


@given(
    st.text(max_size=40),
    st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers(-(2**60), 2**60), max_size=3),
)
def test_composed_payloads_parse_to_the_same(name, optional):
    payload = Payload(DIGEST, name, optional)
    try:
        data = compose(payload)
    except TiffinError:  # a text that is no Unicode
        return
    assert parse(data) == payload


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", CorruptError),
        (b"\xff\xfe", CorruptError),
        (b"[]", CorruptError),
        (b'{"critical": {}}', CorruptError),
        (json.dumps(document(critical={"type": "atomic container signature"})).encode(), DeniedError),
        (
            json.dumps(document(critical={"image": {"docker-manifest-digest": "sha256:00"}})).encode(),
            CorruptError,
        ),
        (json.dumps(document(critical={"image": {"Docker-manifest-digest": DIGEST}})).encode(), CorruptError),
        (json.dumps(document(critical={"more": 1})).encode(), CorruptError),
        (json.dumps(document(more=1)).encode(), CorruptError),
        (b"[" * 100_000, CorruptError),
        (b" " * (LARGEST + 1), CorruptError),
    ],
)
def test_anything_else_is_refused(data, kind):
    with pytest.raises(kind):
        parse(data)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_in_another_way(data):
    with pytest.raises(TiffinError):
        parse(data)
