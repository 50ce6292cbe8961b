"""The data base of rpm, in the form that it has had since 2020: an SQLite file of package headers.

A header is a table of tags and a store that they point into, in network byte order (rpm's
docs/manual/format_header.md). Older forms, Berkeley DB and ndb, are not read.
"""

from __future__ import annotations

import os
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from tiffin.build.attest.packages import Distribution, Package, is_name
from tiffin.build.attest.purl import package_url

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXTS: Final = {
    1000: "name",
    1001: "version",
    1002: "release",
    1011: "vendor",
    1014: "license",
    1020: "url",
    1022: "arch",
    1044: "source",
}
_EPOCH: Final = 1003
_STRINGS: Final = (6, 8, 9)  # a string, an array of strings, a translated string
_INT32: Final = 4
_INSTRUCTIONS: Final = 5_000_000  # of SQLite's machine; a list of a thousand packages takes some ten thousand
_LARGEST: Final = 1 << 20  # entries of one header; rpm itself allows no more


def read_rpm(path: str, found: str, distribution: Distribution) -> Iterator[Package]:
    """Yield the packages of the data base in the file `path` of this machine."""
    import sqlite3

    try:
        with closing(sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1", uri=True)) as db:
            # The file comes from the image: a view in it may be a query that never ends.
            db.execute("PRAGMA trusted_schema = OFF")
            db.set_progress_handler(lambda: True, _INSTRUCTIONS)
            for (blob,) in db.execute("SELECT blob FROM Packages ORDER BY hnum"):
                package = _package(_header(blob), found, distribution) if isinstance(blob, bytes) else None
                if package is not None:
                    yield package
    except sqlite3.Error:
        return


def _header(blob: bytes) -> dict[str, str]:
    """Return the texts of a header, and its epoch."""
    if len(blob) < 8:
        return {}
    count, size = struct.unpack_from(">II", blob)
    start = 8 + count * 16
    if count > _LARGEST or start + size > len(blob):
        return {}
    store = blob[start : start + size]
    found: dict[str, str] = {}
    for index in range(count):
        tag, kind, offset, _ = struct.unpack_from(">IIII", blob, 8 + index * 16)
        if tag in _TEXTS and kind in _STRINGS and offset < size:
            found[_TEXTS[tag]] = store[offset : store.find(b"\0", offset)].decode("utf-8", "replace")
        elif tag == _EPOCH and kind == _INT32 and offset + 4 <= size:
            found["epoch"] = str(struct.unpack_from(">I", store, offset)[0])
    return found


def _package(fields: dict[str, str], found: str, distribution: Distribution) -> Package | None:
    name, version = fields.get("name", ""), fields.get("version", "")
    if fields.get("release"):
        version += f"-{fields['release']}"
    if not (is_name(name) and is_name(version)) or name == "gpg-pubkey":  # a key, kept like a package
        return None
    qualifiers = {
        "arch": fields.get("arch", ""),
        "distro": distribution.qualifier,
        "epoch": fields.get("epoch", ""),
        "upstream": fields.get("source", ""),
    }
    url = package_url("rpm", name, version, namespace=distribution.id, qualifiers=qualifiers)
    shown = f"{fields['epoch']}:{version}" if fields.get("epoch") else version
    licenses = (fields["license"],) if fields.get("license") else ()
    return Package("rpm", name, shown, url, found, licenses, fields.get("vendor", ""), fields.get("url", ""))
