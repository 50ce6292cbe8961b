"""Installed packages as values, and the data bases of the distributions that list them. Pure.

What is read is what an image holds, and so what anybody may have written: what cannot be
understood is left out, and nothing here raises.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.build.attest.purl import package_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME: Final = re.compile(r"[^\s/\\\x00-\x1f]{1,200}")


class Package(NamedTuple):
    """One package: `found` is the path of what says so, `licenses` are in its own words."""

    kind: str
    name: str
    version: str
    url: str
    found: str
    licenses: tuple[str, ...] = ()
    supplier: str = ""
    homepage: str = ""


class Distribution(NamedTuple):
    """What `os-release` says: `debian`, `12`."""

    id: str = ""
    version: str = ""

    @property
    def qualifier(self) -> str:
        """How package URLs name it: `debian-12`."""
        return "-".join(part for part in (self.id, self.version) if part)


def read_os_release(text: str) -> Distribution:
    """Return what an `os-release` file says (os-release(5))."""
    pairs = dict(line.partition("=")[::2] for line in text.splitlines())
    found = {key: pairs.get(key, "").strip().strip("\"'") for key in ("ID", "VERSION_ID")}
    return Distribution(found["ID"], found["VERSION_ID"])


def is_name(text: str) -> bool:
    """Whether this may be the name or version of a package."""
    return _NAME.fullmatch(text) is not None


def read_dpkg(text: str, found: str, distribution: Distribution) -> Iterator[Package]:
    """Yield the packages of a dpkg status file; those that were removed are in it, too."""
    for fields in _paragraphs(text):
        name, version = fields.get("Package", ""), fields.get("Version", "")
        state = fields.get("Status", "install ok installed").split()
        if not (is_name(name) and is_name(version)) or state[-1:] != ["installed"]:
            continue
        upstream, _, source_version = fields.get("Source", "").partition(" ")
        if source_version:
            upstream += f"@{source_version.strip('() ')}"
        qualifiers = {
            "arch": fields.get("Architecture", ""),
            "distro": distribution.qualifier,
            "upstream": upstream,
        }
        yield Package(
            "deb",
            name,
            version,
            package_url("deb", name, version, namespace=distribution.id or "debian", qualifiers=qualifiers),
            found,
            supplier=fields.get("Maintainer", ""),
            homepage=fields.get("Homepage", ""),
        )


def _paragraphs(text: str) -> Iterator[Mapping[str, str]]:
    """Yield the fields of each paragraph by name, the first line of each (deb822(5))."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        lines = (line for line in paragraph.splitlines() if line[:1] not in (" ", "\t", "#"))
        yield {
            key.strip(): value.strip()
            for key, colon, value in (each.partition(":") for each in lines)
            if colon
        }


def read_apk(text: str, found: str, distribution: Distribution) -> Iterator[Package]:
    """Yield the packages of apk's data base: one letter a field, an empty line after each package."""
    for paragraph in text.split("\n\n"):
        fields: dict[str, str] = {}
        for line in paragraph.splitlines():
            if line[1:2] == ":":
                fields.setdefault(line[0], line[2:].strip())
        name, version = fields.get("P", ""), fields.get("V", "")
        if not (is_name(name) and is_name(version)):
            continue
        qualifiers = {
            "arch": fields.get("A", ""),
            "distro": distribution.qualifier,
            "upstream": fields.get("o", "") if fields.get("o", "") != name else "",
        }
        yield Package(
            "apk",
            name,
            version,
            package_url("apk", name, version, namespace=distribution.id or "alpine", qualifiers=qualifiers),
            found,
            licenses=(fields["L"],) if fields.get("L") else (),
            supplier=fields.get("m", ""),
            homepage=fields.get("U", ""),
        )


def read_copyright(text: str) -> tuple[str, ...]:
    """Return the licences that a Debian copyright file names, if a machine can read it (DEP 5)."""
    if not text.startswith("Format:"):
        return ()
    names = re.findall(r"^License:[ \t]*(\S[^\n]{0,80})", text, re.MULTILINE)
    return tuple(sorted({name.strip() for name in names}))
