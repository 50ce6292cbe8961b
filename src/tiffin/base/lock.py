"""What a base was made from, so that it can be made again: a JSON document to keep beside the code. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tiffin.base.fetch import without_login
from tiffin.errors import InvalidError
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import Digest

if TYPE_CHECKING:
    from tiffin.base.index import Package
    from tiffin.base.sources import Source

DEB_TYPE: Final = "application/vnd.debian.binary-package"
# Raised whenever the same packages make another tree than before.
RECIPE: Final = 1


class LockedPackage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One package: name, version and architecture for people, hash and size for the proof.

    `required`: it belongs to what must be there before any package can be configured.
    """

    package: str
    version: str
    architecture: str
    sha256: str
    size: int
    filename: str
    archive: str
    required: bool = False

    @property
    def content(self) -> Descriptor:
        """The .deb as content of the store."""
        return Descriptor(DEB_TYPE, Digest(f"sha256:{self.sha256}"), self.size)

    @classmethod
    def of(cls, package: Package, *, required: bool) -> LockedPackage:
        """The entry for a package of an index."""
        return cls(
            package.name,
            package.version,
            package.architecture,
            package.digest.encoded,
            package.size,
            package.filename,
            without_login(package.archive),
            required,
        )


class LockedSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """One suite that took part, as it is written into a base that has apt."""

    uri: str
    suite: str
    components: tuple[str, ...]
    check_valid_until: bool = True

    @classmethod
    def of(cls, source: Source, *, check_valid_until: bool) -> LockedSource:
        """The entry for a source; names and passwords are left out."""
        return cls(without_login(source.uri), source.suite, source.components, check_valid_until)


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides the base, bit for bit: building from it needs no index and no signature.

    The packages are in the order of installation. `epoch` is the time that all files get.
    """

    distribution: str
    suite: str
    architecture: str
    flavour: Literal["runtime", "build"]
    python: bool
    include: tuple[str, ...]
    epoch: int
    sources: tuple[LockedSource, ...]
    packages: tuple[LockedPackage, ...]
    recipe: int = RECIPE
    version: Literal[1] = 1

    def encode(self) -> bytes:
        """The document, one field a line, for version control."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @property
    def digest(self) -> Digest:
        """A name for this very set of packages and settings."""
        return Digest.of(self.encode())


def decode_lock(data: bytes, name: str) -> Lock:
    """The lock in the file `name`; `InvalidError` says which field is wrong."""
    try:
        lock = msgspec.json.decode(data, type=Lock)
        for package in lock.packages:
            _ = package.content
    except (msgspec.MsgspecError, InvalidError, UnicodeDecodeError) as error:
        raise InvalidError(
            f"{name} is not a lock of a base: {error}",
            code="base-lock",
            hint="make it anew: run the same command without it, then with --lock naming a new file",
        ) from error
    return lock
