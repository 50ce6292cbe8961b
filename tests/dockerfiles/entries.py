"""What the layers of an image, in a Docker archive, say of its files: owners, modes, attributes."""

import hashlib
import json
import stat
import tarfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["Entry", "Tree", "read_tree"]

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_KINDS = {b"0": "file", b"\0": "file", b"2": "link", b"3": "char", b"4": "block", b"5": "dir", b"6": "fifo"}
_ACCOUNTS = ("/etc/passwd", "/etc/group")
_DATED = ("/etc/shadow", "/etc/shadow-", "/var/log/", "/var/cache/ldconfig/")
"""In these, programs write when they ran."""
_STAMPED = ("uv_cache.json", "RECORD")
"""So does uv in the first of these, when a project's files were changed, and its digest in the second."""


class Entry(NamedTuple):
    """One file, without what differs from one build to the next, like times and contents."""

    kind: str
    uid: int
    gid: int
    mode: int
    xattrs: tuple[str, ...] = ()
    target: str = ""


class Tree(NamedTuple):
    """All entries of the layers, one laid over the other, and the layers' digests."""

    entries: dict[str, Entry]
    layers: tuple[str, ...]
    names: dict[str, dict[str, int]]
    parts: tuple[str, ...] = ()
    """Of each layer its digest, or, where there is a date in it, one of all but the files with dates."""

    def said(self, path: str) -> str:
        """What there is of a path, as in `Case.owners`."""
        found = self.entries.get(path)
        if found is None:
            return "absent"
        return " ".join((f"{found.uid}:{found.gid}", f"{found.mode:o}", *found.xattrs))

    def wanted(self, text: str) -> str:
        """The same with the names of users and groups replaced by the numbers that they have in the image."""
        owner, colon, rest = text.partition(":")
        if not colon:
            return text
        group, _, rest = rest.partition(" ")
        numbers = [
            name if name.isdigit() else str(self.names[file].get(name, name))
            for file, name in zip(_ACCOUNTS, (owner, group), strict=True)
        ]
        return f"{':'.join(numbers)} {rest}"

    def digest(self) -> str:
        """A digest of all owners, modes and attributes."""
        lines = [f"{path} {tuple(entry)}\n" for path, entry in sorted(self.entries.items())]
        return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def read_tree(archive: Path) -> Tree:
    """Return what the layers of an archive make together."""
    entries: dict[str, Entry] = {}
    names: dict[str, dict[str, int]] = {path: {} for path in _ACCOUNTS}
    with tarfile.open(archive) as outer:
        (manifest,) = json.loads(_member(outer, "manifest.json"))
        config = json.loads(_member(outer, manifest["Config"]))
        digests = config["rootfs"]["diff_ids"]
        parts = []
        for name, digest in zip(manifest["Layers"], digests, strict=True):
            stream = outer.extractfile(name)
            with tarfile.open(fileobj=stream, mode="r:*") as layer:
                _lay(entries, names, layer)
                dated = _dated(layer)
                parts.append(_undated(layer, dated) if dated else digest)
    return Tree(entries, tuple(digests), names, tuple(parts))


def _dated(layer: tarfile.TarFile) -> set[str]:
    """The names of the files in a layer whose contents are of the time."""
    names = {member.name for member in layer if member.isfile()}
    found = {name for name in names if f"/{name.removeprefix('./')}".startswith(_DATED)}
    stamped = {name.rpartition("/")[0] for name in names if name.endswith(f".dist-info/{_STAMPED[0]}")}
    return found | {f"{folder}/{name}" for folder in stamped for name in _STAMPED}


def _undated(layer: tarfile.TarFile, dated: set[str]) -> str:
    """A digest of all that is in a layer but the contents and sizes of files with dates."""
    found = hashlib.sha256()
    for member in layer:
        facts = (member.name, member.type, member.mode, member.uid, member.gid, member.mtime, member.linkname)
        found.update(repr(facts).encode(errors="surrogateescape"))
        stream = layer.extractfile(member) if member.isfile() and member.name not in dated else None
        if stream is not None:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return f"undated:{found.hexdigest()}"


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()


def _lay(entries: dict[str, Entry], names: dict[str, dict[str, int]], layer: tarfile.TarFile) -> None:
    lower = list(entries)
    for member in layer:
        path = "/" + member.name.removeprefix("./").strip("/")
        folder, _, name = path.rpartition("/")
        if name == _OPAQUE:
            _drop(entries, lower, folder, whole=False)
        elif name.startswith(_WHITEOUT):
            _drop(entries, lower, f"{folder}/{name.removeprefix(_WHITEOUT)}", whole=True)
        else:
            if path in entries and not member.isdir():
                _drop(entries, lower, path, whole=False)
            entries[path] = _entry(entries, member)
            if path in names and member.isfile():
                stream = layer.extractfile(member)
                assert stream is not None
                names[path] = _numbers(stream.read().decode())


def _entry(entries: dict[str, Entry], member: tarfile.TarInfo) -> Entry:
    if member.islnk():
        other = entries.get("/" + member.linkname.removeprefix("./").strip("/"))
        if other is not None:
            return other
    xattrs = sorted(key.removeprefix("SCHILY.xattr.") for key in member.pax_headers if "SCHILY.xattr." in key)
    kind = _KINDS.get(member.type, "other")
    mode = 0o777 if member.issym() else stat.S_IMODE(member.mode)
    return Entry(kind, member.uid, member.gid, mode, tuple(xattrs), member.linkname)


def _drop(entries: dict[str, Entry], lower: list[str], path: str, *, whole: bool) -> None:
    for old in lower:
        if old.startswith(f"{path}/") or (whole and old == path):
            entries.pop(old, None)


def _numbers(text: str) -> dict[str, int]:
    fields = [line.split(":") for line in text.splitlines()]
    return {field[0]: int(field[2]) for field in fields if len(field) > 2}
