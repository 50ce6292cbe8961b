"""What --attest, --provenance and --sbom ask for, as buildx reads them."""

import pytest

from tiffin.build.attest.asked import Attestations, Provenance, read_attestations
from tiffin.errors import InvalidError, UnsupportedError

NOTHING = Attestations()
PLAIN = Attestations(Provenance())


@pytest.mark.parametrize(
    ("attest", "provenance", "sbom", "expected"),
    [
        ((), None, None, NOTHING),
        ((), "false", None, NOTHING),
        ((), "0", "f", NOTHING),
        ((), "disabled=true", "disabled=true", NOTHING),
        ((), "true", None, PLAIN),
        ((), "1", "1", Attestations(Provenance(), sbom=True)),
        ((), "mode=min", None, PLAIN),
        ((), "mode=max,version=v1", None, Attestations(Provenance(full=True, version="v1"))),
        (("type=provenance",), None, None, PLAIN),
        (
            ("type=provenance,mode=max", "type=sbom"),
            None,
            None,
            Attestations(Provenance(full=True), sbom=True),
        ),
        (("type=sbom,disabled=true",), "true", None, PLAIN),
        (("type=sbom,generator=docker/buildkit-syft-scanner:1",), None, None, Attestations(sbom=True)),
        (
            ('type=provenance,"builder-id=https://ci.example/7?a,b"',),
            None,
            None,
            Attestations(Provenance(builder="https://ci.example/7?a,b")),
        ),
        (
            ("type=provenance,builder-id=https://ci.example/7,reproducible=true,inline-only=true",),
            None,
            None,
            Attestations(Provenance(builder="https://ci.example/7", reproducible=True)),
        ),
    ],
)
def test_what_is_asked_for(attest, provenance, sbom, expected):
    assert read_attestations(attest, provenance, sbom) == expected


@pytest.mark.parametrize(
    ("attest", "provenance", "message"),
    [
        (("mode=max",), None, "the type is missing"),
        (("type=vex",), None, "'vex' is no type of attestation"),
        (("type=provenance", "type=provenance,mode=max"), None, "asked for twice"),
        (("type=provenance",), "true", "asked for twice"),
        ((), "max", "max has no value"),
        ((), '"mode=max', "a quote is not closed"),
        ((), "", "an empty field has no value"),
        ((), "mode=max,", "an empty field has no value"),
        ((), "mode=most", "mode is one of min, max, not 'most'"),
        ((), "version=v2", "version is one of v0.2, v1"),
        ((), "mode=max,mode=min", "mode is given twice"),
        ((), "color=red", "color means nothing for provenance"),
        ((), "reproducible=perhaps", "reproducible is true or false"),
        (("type=sbom,mode=max",), None, "mode means nothing for sbom"),
    ],
)
def test_what_cannot_be_asked_for(attest, provenance, message):
    with pytest.raises(InvalidError, match=message):
        read_attestations(attest, provenance)


def test_other_generators_are_not_run():
    with pytest.raises(UnsupportedError, match="runs no generator"):
        read_attestations((), None, "generator=example.org/scanner")
