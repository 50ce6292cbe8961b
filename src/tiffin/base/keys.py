"""The keys that may sign an archive: from Signed-By, a file the user names, or the machine's trusted keys."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.base.machine import Machine
    from tiffin.base.sources import Source

_FINGERPRINT: Final = re.compile(r"(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})!?")
_ARMOUR: Final = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[^\r\n]+:[^\r\n]*\r?\n)*\s*?\n(.*?)"
    rb"-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
_LARGEST: Final = 16 << 20


class Keys(NamedTuple):
    """Binary key rings, and, where the source names them, the only fingerprints that count."""

    rings: tuple[bytes, ...]
    fingerprints: tuple[str, ...]
    origin: str


def keys_for(source: Source, machine: Machine, named: Path | None) -> Keys:
    """The keys that must have signed `source`; `NotFoundError` when there are none, never "any key"."""
    if named is not None:
        return Keys((_read(named),), (), str(named))
    if source.inline_key:
        return Keys((binary_ring(source.inline_key.encode(), "Signed-By"),), (), "the key in Signed-By")
    files = [entry for entry in source.signed_by if entry.startswith("/")]
    fingerprints = [entry.upper() for entry in source.signed_by if _FINGERPRINT.fullmatch(entry)]
    if len(files) + len(fingerprints) != len(source.signed_by):
        raise InvalidError(
            f"Signed-By of {source.uri} {source.suite} is neither a file nor a fingerprint:"
            f" {' '.join(source.signed_by)[:120]}",
            code="signed-by",
        )
    paths = [machine.root / name.lstrip("/") for name in files] or trusted_rings(machine)
    if not paths:
        raise NotFoundError(
            f"this machine has no key to verify {source.uri} {source.suite} with",
            code="no-keyring",
            hint="install the distribution's archive keyring package, or name a file: --keyring FILE",
        )
    return Keys(tuple(map(_read, paths)), tuple(fingerprints), ", ".join(map(str, paths)))


def trusted_rings(machine: Machine) -> list[Path]:
    """The key rings for sources without Signed-By: what apt trusts, else the distribution's own ring."""
    apt = machine.root / "etc/apt"
    found = sorted((apt / "trusted.gpg.d").glob("*")) if (apt / "trusted.gpg.d").is_dir() else []
    found = [path for path in (apt / "trusted.gpg", *found) if path.suffix in {".gpg", ".asc"}]
    found = [path for path in found if path.is_file() and path.stat().st_size]
    ring = machine.root / f"usr/share/keyrings/{machine.distribution}-archive-keyring.gpg"
    return found or ([ring] if ring.is_file() else [])


def binary_ring(data: bytes, name: str) -> bytes:
    """A key ring without its ASCII armour: the verifiers want it binary."""
    if not data.lstrip().startswith(b"-----BEGIN"):
        return data
    blocks = _ARMOUR.findall(data)
    try:
        rings = [
            base64.b64decode(re.sub(rb"\n=[A-Za-z0-9+/]{4}\s*$", b"", block), validate=False)
            for block in blocks
        ]
    except binascii.Error as error:
        raise InvalidError(f"{name} is not a readable key: {error}", code="keyring") from error
    if not any(rings):
        raise InvalidError(f"{name} holds no public key", code="keyring")
    return b"".join(rings)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise NotFoundError(
            f"the key ring {path} does not exist",
            code="no-keyring",
            hint="install the distribution's archive keyring package, or name another file: --keyring FILE",
        )
    with path.open("rb") as stream:
        data = stream.read(_LARGEST)
    return binary_ring(data, str(path))
