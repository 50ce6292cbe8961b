"""The packages that the signed indexes of an archive offer. Pure: it is given the verified bytes.

An index has sixty thousand paragraphs and a base needs a hundred of them, so
paragraphs are found by name first and parsed only when somebody asks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from tiffin.base.deb822 import Paragraph, parse_paragraph, split_paragraphs
from tiffin.base.relations import Clause, parse_relations
from tiffin.base.versions import version_key
from tiffin.errors import CorruptError, InvalidError
from tiffin.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME: Final = re.compile(rb"^Package:[ \t]*(\S+)", re.MULTILINE)
_PROVIDES: Final = re.compile(rb"^Provides:[ \t]*(.+(?:\n[ \t].*)*)", re.MULTILINE)
_FILE_NAME: Final = re.compile(r"(?!/)[A-Za-z0-9._+~:%/-]+\.deb")
_PACKAGE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]*")
_LARGEST: Final = 4 << 30
PRIORITIES: Final = ("required", "important", "standard", "optional", "extra")


class Package(msgspec.Struct, frozen=True):
    """A package in one version, where its file lies, and what it must be."""

    name: str
    version: str
    architecture: str
    filename: str
    size: int
    digest: Digest
    archive: str = ""
    fields: Paragraph = {}

    @property
    def essential(self) -> bool:
        """It must be on every system of the distribution."""
        return self.fields.get("essential", "no") == "yes"

    @property
    def rank(self) -> int:
        """The priority as a number, the most needed first."""
        priority = self.fields.get("priority", "extra")
        return PRIORITIES.index(priority) if priority in PRIORITIES else len(PRIORITIES)

    def relations(self, *fields: str) -> tuple[Clause, ...]:
        """The clauses of the named fields, one field after the other."""
        return tuple(clause for field in fields for clause in parse_relations(self.fields.get(field, "")))

    def offers(self, name: str) -> list[str | None]:
        """The versions under which this package goes by `name`; None for a provided name without one."""
        own: list[str | None] = [self.version] if name == self.name else []
        provided = (relation for clause in self.relations("provides") for relation in clause)
        return own + [relation.version or None for relation in provided if relation.name == name]


class PackageIndex:
    """All packages of several indexes. Names in, packages out, the newest version first."""

    def __init__(self) -> None:
        self._paragraphs: dict[str, list[tuple[bytes, str]]] = {}
        self._providers: dict[str, list[str]] = {}
        self._essential: dict[str, None] = {}
        self._parsed: dict[str, tuple[Package, ...]] = {}

    def add(self, data: bytes, archive: str) -> None:
        """Add the paragraphs of one verified Packages file; `archive` is the URI its file names belong to."""
        for paragraph in split_paragraphs(data):
            found = _NAME.search(paragraph)
            if found is None:
                raise CorruptError(
                    f"an index of {archive} has a paragraph without Package: {paragraph[:60]!r}",
                    code="package-index",
                )
            name = found[1].decode("ascii", "replace")
            self._paragraphs.setdefault(name, []).append((paragraph, archive))
            if b"\nProvides:" in paragraph:
                self._note_provided(name, paragraph)
            if b"\nEssential: yes" in paragraph:
                self._essential[name] = None
        self._parsed.clear()

    def names(self) -> Sequence[str]:
        """Every name, provided ones too, sorted: to find what somebody may have meant."""
        return sorted(self._paragraphs.keys() | self._providers.keys())

    def versions(self, name: str) -> tuple[Package, ...]:
        """The packages of that name, the newest first; of equal ones the first that was added."""
        known = self._parsed.get(name)
        if known is None:
            packages = [_package(*entry) for entry in self._paragraphs.get(name, ())]
            packages.sort(key=lambda package: version_key(package.version), reverse=True)
            known = self._parsed[name] = tuple(packages)
        return known

    def newest(self, name: str) -> Package | None:
        """The newest package of that name."""
        return next(iter(self.versions(name)), None)

    def providers(self, name: str) -> tuple[Package, ...]:
        """The newest packages that provide the name, in an order that is always the same."""
        packages = [
            package for owner in self._providers.get(name, ()) for package in self.versions(owner)[:1]
        ]
        providing = (package for package in packages if package.offers(name))
        return tuple(sorted(providing, key=lambda package: (package.rank, package.name)))

    def essential(self) -> tuple[str, ...]:
        """The names of the packages that every system must have."""
        return tuple(sorted(self._essential))

    def _note_provided(self, name: str, paragraph: bytes) -> None:
        found = _PROVIDES.search(paragraph)
        text = found[1].decode("ascii", "replace") if found else ""
        for provided in re.findall(r"(?:^|,)\s*([a-zA-Z0-9][^\s,(:]*)", text):
            owners = self._providers.setdefault(provided, [])
            if name not in owners:
                owners.append(name)


def _package(paragraph: bytes, archive: str) -> Package:
    fields = parse_paragraph(paragraph.decode("utf-8", "replace"), f"index of {archive}")
    try:
        name, filename, size = fields["package"], fields["filename"], int(fields["size"])
        digest = Digest("sha256:" + fields["sha256"])
        version, architecture = fields["version"], fields["architecture"]
    except (KeyError, ValueError, InvalidError) as error:
        raise CorruptError(
            f"an index of {archive} describes {fields.get('package', 'a package')} without a valid {error}",
            code="package-index",
            hint="only packages with a sha256, a size and a file name can be used",
        ) from error
    good = _PACKAGE_NAME.fullmatch(name) and _FILE_NAME.fullmatch(filename) and 0 < size <= _LARGEST
    if not good or ".." in filename.split("/"):
        raise CorruptError(
            f"an index of {archive} describes {name[:60]!r} with the file {filename[:120]!r} of {size} bytes",
            code="package-index",
        )
    return Package(name, version, architecture, filename, size, digest, archive, fields)
