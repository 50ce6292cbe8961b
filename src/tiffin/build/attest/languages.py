"""Packages that languages install, each with a file of its own that describes it. Pure.

As in `packages`, what cannot be understood is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tiffin.build.attest.packages import Package, is_name
from tiffin.build.attest.purl import package_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_PYTHON: Final = re.compile(r"\.(dist-info/METADATA|egg-info/PKG-INFO|egg-info)$")
_CONDA: Final = re.compile(r"/conda-meta/[^/]+\.json$")
_NPM: Final = re.compile(r"/node_modules/(@[^/]+/)?[^/@][^/]*/package\.json$")
_APPROVED: Final = "License :: OSI Approved :: "
_LINE: Final = 120  # a field that is longer is the text of a licence, not its name


def is_described(path: str) -> bool:
    """Whether the file at `path` describes a package, going by its name."""
    return any(pattern.search(path) for pattern in (_PYTHON, _CONDA, _NPM))


def read_description(path: str, data: bytes) -> Package | None:
    """Return the package that the file at `path` describes."""
    if _PYTHON.search(path):
        return _python(path, data)
    return _conda(path, data) if _CONDA.search(path) else _npm(path, data)


def _python(path: str, data: bytes) -> Package | None:
    """Read core metadata (packaging.python.org/specifications/core-metadata)."""
    head = data.partition(b"\n\n")[0].decode("utf-8", "replace")
    fields: dict[str, list[str]] = {}
    for line in head.splitlines():
        key, colon, value = line.partition(":")
        if colon and line[:1] not in (" ", "\t"):
            fields.setdefault(key.lower(), []).append(value.strip())
    name, version = (fields.get(key, [""])[0] for key in ("name", "version"))
    if not (is_name(name) and is_name(version)):
        return None
    return Package(
        "pypi",
        name,
        version,
        package_url("pypi", re.sub(r"[-_.]+", "-", name).lower(), version),
        path,
        licenses=_python_licenses(fields),
        supplier=next(iter(fields.get("author-email", fields.get("author", []))), ""),
        homepage=_homepage(fields.get("home-page", [""])[0]),
    )


def _python_licenses(fields: Mapping[str, list[str]]) -> tuple[str, ...]:
    expression = fields.get("license-expression", [""])[0]
    plain = fields.get("license", [""])[0]
    if expression or (plain and len(plain) <= _LINE and plain != "UNKNOWN"):
        return (expression or plain,)
    classifiers = (each for each in fields.get("classifier", []) if each.startswith(_APPROVED))
    return tuple(sorted(each.removeprefix(_APPROVED) for each in classifiers))


def _npm(path: str, data: bytes) -> Package | None:
    fields = _object(data)
    name, version = _text(fields, "name"), _text(fields, "version")
    scope, slash, rest = name.rpartition("/")
    if not (is_name(rest) and is_name(version)) or (slash and not is_name(scope)):
        return None
    return Package(
        "npm",
        name,
        version,
        package_url("npm", rest, version, namespace=scope),
        path,
        licenses=_license(fields),
        homepage=_homepage(_text(fields, "homepage")),
    )


def _conda(path: str, data: bytes) -> Package | None:
    fields = _object(data)
    name, version = _text(fields, "name"), _text(fields, "version")
    if not (is_name(name) and is_name(version)):
        return None
    channel = _text(fields, "channel").rstrip("/").rpartition("/")
    subdir = _text(fields, "subdir")
    qualifiers = {
        "build": _text(fields, "build"),
        "channel": channel[0].rpartition("/")[2] if channel[2] == subdir else channel[2],
        "subdir": subdir,
    }
    return Package(
        "conda",
        name,
        version,
        package_url("conda", name, version, qualifiers=qualifiers),
        path,
        licenses=_license(fields),
        homepage=_homepage(_text(fields, "url")),
    )


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(fields: Mapping[str, Any], key: str) -> str:
    found = fields.get(key)
    return found if isinstance(found, str) else ""


def _license(fields: Mapping[str, Any]) -> tuple[str, ...]:
    licence = _text(fields, "license")
    return (licence[:_LINE],) if licence else ()


def _homepage(text: str) -> str:
    return text if text.startswith(("https://", "http://")) else ""
