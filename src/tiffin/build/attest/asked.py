"""Which attestations a build is asked for: `--attest`, and its short forms `--provenance` and `--sbom`. Pure.

Fields are those of buildx and BuildKit; of a type, only one may be asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.booleans import EITHER, FALSE, TRUE
from tiffin.errors import InvalidError, UnsupportedError
from tiffin.fields import split_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FIELDS = {
    "provenance": frozenset({"mode", "version", "builder-id", "reproducible", "inline-only", "disabled"}),
    "sbom": frozenset({"generator", "disabled"}),
}
_SCANNER = "docker/buildkit-syft-scanner"
_VERSIONS = ("v0.2", "v1")
_USAGE = "write --attest type=provenance,mode=max"


class Provenance(NamedTuple):
    """How provenance is written: `full` is mode=max, `version` that of the predicate."""

    full: bool = False
    version: str = _VERSIONS[0]
    builder: str = ""
    reproducible: bool = False


class Attestations(NamedTuple):
    """What is attested beside an image."""

    provenance: Provenance | None = None
    sbom: bool = False


def read_attestations(
    attest: Sequence[str], provenance: str | None = None, sbom: str | None = None
) -> Attestations:
    """Return what the options ask for. Raises InvalidError or UnsupportedError in their words."""
    options = [(f"--attest {text}", text) for text in attest]
    for kind, value in (("provenance", provenance), ("sbom", sbom)):
        if value is not None:
            options.append((f"--{kind}={value}", _spelt_out(kind, value)))
    found: dict[str, Mapping[str, str]] = {}
    for option, text in options:
        fields = _fields(option, text)
        kind = fields["type"]
        if kind in found:
            raise InvalidError(f"{option}: attestations of the type {kind} are asked for twice")
        found[kind] = fields
    return Attestations(
        _provenance(found["provenance"]) if _wanted(found, "provenance") else None, _wanted(found, "sbom")
    )


def _spelt_out(kind: str, value: str) -> str:
    if value in EITHER:
        return f"type={kind},disabled={'false' if value in TRUE else 'true'}"
    return f"type={kind},{value}"


def _fields(option: str, text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    try:
        parts = split_fields(text)
    except ValueError as error:
        raise InvalidError(f"{option}: {error}", hint=_USAGE) from None
    for part in parts:
        key, equals, value = part.partition("=")
        key = key.strip().lower()
        if not equals or key in fields:
            problem = "is given twice" if equals else "has no value"
            raise InvalidError(f"{option}: {key or 'an empty field'} {problem}", hint=_USAGE)
        fields[key] = value
    kind = fields.get("type", "")
    if kind not in _FIELDS:
        raise InvalidError(
            f"{option}: {kind!r} is no type of attestation" if kind else f"{option}: the type is missing",
            hint="the types are provenance and sbom",
        )
    for key in fields:
        if key != "type" and key not in _FIELDS[kind]:
            raise InvalidError(
                f"{option}: {key} means nothing for {kind}",
                hint=f"there are {', '.join(sorted(_FIELDS[kind]))}",
            )
    _check(option, kind, fields)
    return fields


def _check(option: str, kind: str, fields: Mapping[str, str]) -> None:
    """Raise InvalidError for a value that cannot be."""
    choices = {"mode": ("min", "max"), "version": _VERSIONS}
    for key, allowed in choices.items():
        if key in fields and fields[key] not in allowed:
            raise InvalidError(f"{option}: {key} is one of {', '.join(allowed)}, not {fields[key]!r}")
    for key in ("reproducible", "inline-only", "disabled"):
        if key in fields and fields[key] not in EITHER:
            raise InvalidError(f"{option}: {key} is true or false, not {fields[key]!r}")
    generator = fields.get("generator", "")
    if kind == "sbom" and generator.partition(":")[0] not in ("", _SCANNER, f"docker.io/{_SCANNER}"):
        raise UnsupportedError(
            f"{option}: tiffin lists packages itself, and runs no generator for it",
            code="sbom-generator",
            hint="leave generator= away, and see the documentation for what is listed",
        )


def _wanted(found: Mapping[str, Mapping[str, str]], kind: str) -> bool:
    return kind in found and found[kind].get("disabled", "false") in FALSE


def _provenance(fields: Mapping[str, str]) -> Provenance:
    return Provenance(
        full=fields.get("mode") == "max",
        version=fields.get("version", _VERSIONS[0]),
        builder=fields.get("builder-id", ""),
        reproducible=fields.get("reproducible", "") in TRUE,
    )
