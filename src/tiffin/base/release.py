"""What a verified Release file says about its suite and its indexes. Pure."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.base.deb822 import parse_paragraph
from tiffin.errors import CorruptError, DeniedError, InvalidError, NotFoundError
from tiffin.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.base.sources import Source

# In the order of preference; the bare index is always listed, though most archives do not carry it.
COMPRESSIONS: Final = (".xz", ".gz", "")
_LARGEST_INDEX: Final = 1 << 30
_CLOCKS_DIFFER: Final = 24 * 3600


class IndexFile(NamedTuple):
    """One form of an index: its path below the suite, what it must be, and its size when unpacked."""

    path: str
    digest: Digest
    size: int
    unpacked: int


class Release(NamedTuple):
    """A suite: who made it, when, and the hashes of its files."""

    name: str
    origin: str
    suite: str
    codename: str
    date: float
    valid_until: float | None
    by_hash: bool
    fields: Mapping[str, str]
    files: Mapping[str, tuple[Digest, int]]

    def indexes(self, component: str, architecture: str) -> list[list[IndexFile]]:
        """The package indexes of a component, each in all its forms, the smallest first."""
        names = [f"{component}/binary-{architecture}/Packages"]
        listed = self.fields.get("architectures", "").split()
        if "all" in listed and "Packages" not in self.fields.get("no-support-for-architecture-all", ""):
            names.append(f"{component}/binary-all/Packages")
        forms = [[form for kind in COMPRESSIONS if (form := self._form(name, kind))] for name in names]
        if not forms[0]:
            raise NotFoundError(
                f"{self.name} has no packages of {component} for {architecture}",
                code="no-package-index",
                hint=f"it has the components {self.fields.get('components', '')}"
                f" and the architectures {self.fields.get('architectures', '')}",
            )
        return [form for form in forms if form]

    def _form(self, name: str, kind: str) -> IndexFile | None:
        found = self.files.get(name + kind)
        if found is None:
            return None
        unpacked = self.files.get(name, (None, _LARGEST_INDEX))[1]
        return IndexFile(name + kind, *found, min(unpacked, _LARGEST_INDEX))


def parse_release(text: bytes, name: str) -> Release:
    """The Release file in `text`, which has been verified; `CorruptError` for what does not make sense."""
    try:
        fields = parse_paragraph(text.decode("utf-8"), name)
        date = _moment(fields["date"])
        until = _moment(fields["valid-until"]) if "valid-until" in fields else None
        files = dict(_file(line) for line in fields["sha256"].split("\n") if line.strip())
    except (KeyError, ValueError, InvalidError) as error:
        raise CorruptError(
            f"{name} is signed, but not a usable Release file: {error}", code="release"
        ) from error
    return Release(
        name,
        fields.get("origin", ""),
        fields.get("suite", ""),
        fields.get("codename", ""),
        date,
        until,
        fields.get("acquire-by-hash", "no") == "yes",
        fields,
        files,
    )


def check_release(release: Release, source: Source, now: float) -> None:
    """Refuse a Release of another suite than was asked for, and one that is not valid (`DeniedError`)."""
    if source.suite not in (release.suite, release.codename):
        raise DeniedError(
            f"{release.name} is signed, but it is {release.suite} ({release.codename}), not {source.suite}",
            code="wrong-suite",
            hint="the mirror is mixed up, or somebody is passing an old release off as another",
        )
    if release.date > now + _CLOCKS_DIFFER:
        raise DeniedError(
            f"{release.name} is from the future ({release.fields['date']})",
            code="release-date",
            hint="look at this machine's clock",
        )


def is_expired(release: Release, now: float) -> bool:
    """Whether its Valid-Until has passed: then somebody may be holding back newer packages."""
    return release.valid_until is not None and release.valid_until < now


def _moment(text: str) -> float:
    return parsedate_to_datetime(text.replace("UTC", "+0000").replace("GMT", "+0000")).timestamp()


def _file(line: str) -> tuple[str, tuple[Digest, int]]:
    digest, size, path = line.split()
    return path, (Digest("sha256:" + digest), int(size))
