import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import CorruptError, InvalidError
from tiffin.oci.codec import decode, encode
from tiffin.oci.descriptor import Annotation, Descriptor, MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.platform import Platform


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    digest: Digest
    sizes: dict[DiffID, int] = {}
    names: tuple[str, ...] = ()
    inner: Descriptor | None = None


ONE, TWO = (Digest.of(data) for data in (b"1", b"2"))


def test_digests_are_fields_and_keys():
    value = Sample(ONE, {DiffID(TWO): 2, DiffID(ONE): 1})
    data = encode(value)
    again = decode(data, Sample, "sample")
    assert again == value
    assert type(again.digest) is Digest
    assert {type(key) for key in again.sizes} == {DiffID}


def test_the_form_is_canonical():
    ones = {"b": "2", "a": "1", "c": "é"}
    assert encode(ones) == '{"a":"1","b":"2","c":"é"}'.encode()
    assert encode(dict(reversed(ones.items()))) == encode(ones)


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.lists(st.booleans())))
def test_every_reader_sees_the_same_values(value):
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"{} x", "Object missing|malformed"),
        (b"nonsense", "malformed"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b'"x"', "Expected `object`"),
        (b"{}", "missing required field `digest`"),
        (b'{"digest":null}', "missing required field `digest`"),
        (b'{"digest":7}', "field digest: Expected `str`"),
        (b'{"digest":"sha256:abc"}', "field digest: digest 'sha256:abc' does not have 64"),
        (b'{"digest":"%s","names":["a",7]}', r"field names\[1\]: Expected `str`"),
        (b'{"digest":"%s","sizes":{"x":7}}', "field sizes: key: digest 'x'"),
        (b'{"digest":"%s","inner":{"mediaType":"x","digest":"%s","size":-1}}', r"field inner.size: .*>= 0"),
        (b'{"digest":"%s","inner":{"mediaType":"x","digest":"%s","size":1e40}}', r"field inner.size"),
        (
            b'{"digest":"%s","inner":{"mediaType":"x","digest":"%s","size":"7"}}',
            r"field inner.size: Expected `int`",
        ),
        (b'{"digest":"%s","inner":{"mediaType":"x","digest":"%s","size":7,"data":"!"}}', "field inner.data"),
        (b'{"digest":"\xff"}', "not UTF-8"),
        (b'{"digest":"%s","x":"\\ud800"', "truncated|malformed|surrogate"),
        (b"[" * 200_000, "Expected `object`|too deeply"),
        (b'{"x":' * 100_000, "too deeply"),
        (b'{"digest":"%s","x":null,"y":' + b"[" * 900 + b"]" * 900 + b"}", "too deeply"),
    ],
)
def test_a_bad_document_is_refused_with_the_field(document, says):
    with pytest.raises(CorruptError, match=says) as caught:
        decode(document.replace(b"%s", ONE.encode()), Sample, "the sample")
    assert caught.value.message.startswith("the sample")
    assert "$" not in caught.value.message


def test_a_huge_document_is_refused_unread():
    with pytest.raises(CorruptError, match="more than the 100"):
        decode(b'{"digest":"' + b" " * 100 + b'"}', Sample, "sample", limit=100)


def test_the_caller_may_say_that_the_user_wrote_it():
    with pytest.raises(InvalidError):
        decode(b"{}", Sample, "sample", fault=InvalidError)


def test_repeated_unknown_and_empty_fields_are_borne():
    document = f'{{"digest":"{ONE}","digest":"{TWO}","new":{{"deep":[1,null]}},"names":null,"inner":null}}'
    assert decode(document.encode(), Sample, "sample") == Sample(TWO)


def test_text_that_is_no_unicode_cannot_be_written():
    with pytest.raises(InvalidError, match="not Unicode"):
        encode({"label": "\udcff"})


@given(
    st.builds(
        Descriptor,
        st.sampled_from([MediaType.OCI_LAYER, MediaType.DOCKER_MANIFEST]),
        st.binary().map(Digest.of),
        st.integers(0, 2**63 - 1),
        st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
        st.none() | st.builds(Platform, st.just("linux"), st.just("arm"), st.sampled_from(["", "v7"])),
        st.sampled_from(["", "application/x"]),
        st.lists(st.text(max_size=5), max_size=2).map(tuple),
        st.none() | st.binary(max_size=20),
    )
)
def test_a_descriptor_survives_the_wire(descriptor):
    assert decode(encode(descriptor), Descriptor, "descriptor") == descriptor


def test_a_descriptor_has_the_wire_names_of_the_specification():
    descriptor = Descriptor(
        MediaType.OCI_MANIFEST,
        ONE,
        7,
        {Annotation.REF_NAME: "v1"},
        Platform("windows", "amd64", os_version="10.0", os_features=("win32k",)),
        "application/x",
        ("https://a.example/",),
        b"\x00\xff",
    )
    assert json.loads(encode(descriptor)) == {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": ONE,
        "size": 7,
        "annotations": {"org.opencontainers.image.ref.name": "v1"},
        "platform": {
            "os": "windows",
            "architecture": "amd64",
            "os.version": "10.0",
            "os.features": ["win32k"],
        },
        "artifactType": "application/x",
        "urls": ["https://a.example/"],
        "data": "AP8=",
    }
    assert json.loads(encode(descriptor.bare())) == {
        "mediaType": MediaType.OCI_MANIFEST,
        "digest": ONE,
        "size": 7,
    }


def test_a_descriptor_knows_what_it_points_to():
    kinds = {
        MediaType.OCI_INDEX: "index",
        MediaType.DOCKER_INDEX: "index",
        MediaType.OCI_MANIFEST: "manifest",
        MediaType.DOCKER_MANIFEST: "manifest",
        MediaType.OCI_LAYER_ZSTD: "layer",
        MediaType.DOCKER_FOREIGN_LAYER_GZIP: "layer",
        MediaType.OCI_CONFIG: "",
    }
    for media_type, kind in kinds.items():
        descriptor = Descriptor.of(b"", media_type)
        said = [name for name in ("index", "manifest", "layer") if getattr(descriptor, f"is_{name}")]
        assert said == ([kind] if kind else [])
