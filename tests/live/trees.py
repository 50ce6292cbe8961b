"""What an image holds, read from an archive as the specification of layers says, with nothing of tiffin's."""

import hashlib
import io
import json
import stat
import tarfile
from typing import NamedTuple

KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "link",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "character",
    tarfile.BLKTYPE: "block",
}
OPAQUE = ".wh..wh..opq"
WHITEOUT = ".wh."


class Node(NamedTuple):
    """All that counts of a file but its time."""

    kind: str
    mode: str
    owner: str
    content: str
    xattrs: dict[str, str]
    same: tuple[str, ...]  # the other names of the same file


class Inode:
    """An entry of a tar with its data; hard links are one inode under several names."""

    def __init__(self, info: tarfile.TarInfo, data: bytes) -> None:
        self.info, self.data = info, data

    def node(self, same: tuple[str, ...]) -> Node:
        info = self.info
        prefix = "SCHILY.xattr."
        content = {
            "link": info.linkname,
            "character": f"{info.devmajor}:{info.devminor}",
            "block": f"{info.devmajor}:{info.devminor}",
        }.get(
            KINDS[info.type],
            f"{len(self.data)} {hashlib.sha256(self.data).hexdigest()[:12]}" if info.isreg() else "",
        )
        return Node(
            KINDS[info.type],
            "" if info.issym() else oct(stat.S_IMODE(info.mode)),
            f"{info.uid}:{info.gid}",
            content,
            {k.removeprefix(prefix): v for k, v in info.pax_headers.items() if k.startswith(prefix)},
            same,
        )


def documents(archive):
    """The config and the layers of the one image in an archive of Docker's form."""
    with tarfile.open(archive) as outer:

        def read(name):
            found = outer.extractfile(name)
            assert found is not None, name
            return found.read()

        (entry,) = json.loads(read("manifest.json"))
        return json.loads(read(entry["Config"])), [read(name) for name in entry["Layers"] or ()]


def tree(layers):
    """The files of a stack of layers by their paths."""
    files = squash(layers)
    names: dict[int, list[str]] = {}
    for path, inode in files.items():
        names.setdefault(id(inode), []).append(path)
    return {
        path: inode.node(tuple(sorted(name for name in names[id(inode)] if name != path)))
        for path, inode in sorted(files.items())
    }


def squash(layers, below=None):
    """The entries of a stack of layers by their paths, stacked onto `below` as the specification has it."""
    files: dict[str, Inode] = dict(below or {})
    for layer in layers:
        new: dict[str, Inode] = {}
        with tarfile.open(fileobj=io.BytesIO(layer), errors="surrogateescape") as inner:
            for info in inner:
                path = info.name.removeprefix("./").strip("/")
                folder, _, name = path.rpartition("/")
                if name == OPAQUE:
                    _remove(files, folder, itself=False)
                elif name.startswith(WHITEOUT):
                    _remove(files, f"{folder}/{name.removeprefix(WHITEOUT)}".strip("/"), itself=True)
                elif info.islnk():
                    target = info.linkname.removeprefix("./").strip("/")
                    new[path] = new[target] if target in new else files[target]
                else:
                    found = inner.extractfile(info) if info.isreg() else None
                    new[path] = Inode(info, found.read() if found else b"")
        for path, inode in new.items():
            if not inode.info.isdir():
                _remove(files, path, itself=False)
            files[path] = inode
    files.pop("", None)
    return files


def _remove(files, path, *, itself):
    prefix = f"{path}/" if path else ""
    for name in [n for n in files if n.startswith(prefix) or (itself and n == path)]:
        del files[name]
