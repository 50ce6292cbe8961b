"""The folders that cases are built from: by builders with a name, and by the lines of a case."""

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from pathlib import Path

from backports.zstd import compress
from tests.conformance import base
from tests.live import cases

_BUILDERS = {}


def prepare(case, place):
    """Make the Dockerfiles and the context of `case` in the new folder `place`; return the context."""
    folder = place / "context"
    folder.mkdir(parents=True)
    for name in case.builders:
        _BUILDERS[name](folder)
    for entry in case.entries:
        _make(folder, entry)
    for number, text in enumerate(case.dockerfiles, 1):
        dockerfile(place, number).write_bytes(text)
    return folder


def dockerfile(place, number):
    """Where the Dockerfile with this number is."""
    return place / f"Dockerfile{number}"


def _make(folder, entry):
    path = Path(os.path.normpath(folder / entry.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.target is not None:
        path.symlink_to(entry.target)
        return
    if entry.name.endswith("/"):
        path.mkdir(exist_ok=True)
    else:
        path.write_text((entry.text or "").replace("\\n", "\n").replace("\\\\", "\\") + "\n")
    if entry.mode is not None:
        path.chmod(entry.mode)


def _builder(function):
    _BUILDERS[function.__name__] = function
    return function


@_builder
def tree(folder):
    """A tree with most of what a tree can have."""
    cases.plain(folder)


@_builder
def archives(folder):
    """The tree, and archives in several dresses."""
    cases.archives(folder)


@_builder
def capabilities(folder):
    """The program that sets capabilities, with all that it needs."""
    cases.capabilities(folder)


@_builder
def owned(folder):
    """Files of other users."""
    for name, uid, gid in (("anna", 1000, 1000), ("other", 12345, 54321)):
        (folder / name).mkdir()
        (folder / name / "f").write_text(name)
        os.chown(folder / name / "f", uid, gid)
        os.chown(folder / name, uid, gid)


@_builder
def hardlinks(folder):
    """Two names of a file, and a third one in a directory."""
    (folder / "a").write_text("same")
    (folder / "b").hardlink_to(folder / "a")
    (folder / "d").mkdir()
    (folder / "d/c").hardlink_to(folder / "a")


@_builder
def specials(folder):
    """What is neither a file nor a directory nor a link."""
    os.mkfifo(folder / "fifo", 0o640)
    os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))


@_builder
def blockdevice(folder):
    """A block device."""
    os.mknod(folder / "loop", stat.S_IFBLK | 0o600, os.makedev(7, 9))


@_builder
def xattrs(folder):
    """Attributes of the user, and a capability."""
    for name in ("f", "d/g"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        os.setxattr(path, "user.kind", b"red")
    os.setxattr(folder / "d", "user.kind", b"white")
    os.setxattr(
        folder / "f", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000")
    )


@_builder
def sparse(folder):
    """A file that is a hole but for its end."""
    with (folder / "hole").open("wb") as file:
        file.truncate(3_000_000)
        file.seek(0, os.SEEK_END)
        file.write(b"end")


@_builder
def oddnames(folder):
    """Names that are no words."""
    for name in (b"new\nline", b" ", b"-dash", b"tab\there", b"quote\"'", b"back\\slash", b"*", b"$x"):
        (folder / os.fsdecode(name)).write_text("odd")


@_builder
def bytenames(folder):
    """A name that is no text."""
    (folder / os.fsdecode(b"\xff\xfe")).write_text("odd")


@_builder
def longnames(folder):
    """Names and paths that old tars have no room for."""
    (folder / ("x" * 250)).write_text("long")
    deep = folder.joinpath(*["y" * 60] * 5)
    deep.mkdir(parents=True)
    (deep / "f").write_text("deep")
    (folder / "link").symlink_to("t" * 200)


def _tar(path, *members, data=b"x", form=tarfile.PAX_FORMAT):
    """Write a tar whose members are `(name, fields)`; a file holds `data`."""
    with tarfile.open(path, "w", format=form) as tar:
        for name, fields in members:
            info = tarfile.TarInfo(name)
            for field, value in fields.items():
                setattr(info, field, value)
            if info.isreg():
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


_DIRECTORY = {"type": tarfile.DIRTYPE, "mode": 0o755}


def _link(target):
    return {"type": tarfile.SYMTYPE, "linkname": target}


@_builder
def zstd(folder):
    """A tar that zstd has compressed."""
    _tar(folder / "a.tar", ("d", _DIRECTORY), ("d/f", {"mode": 0o640, "uid": 5, "gid": 6}))
    (folder / "a.tar.zst").write_bytes(compress((folder / "a.tar").read_bytes()))
    (folder / "a.tar").unlink()


@_builder
def gzipped(folder):
    """A compressed file that is no tar."""
    (folder / "f.gz").write_bytes(gzip.compress(b"plain text\n" * 100, mtime=0))


@_builder
def tarparents(folder):
    """A tar without entries for directories, and one whose directory comes last."""
    closed = {**_DIRECTORY, "mode": 0o700, "uid": 5}
    _tar(folder / "a.tar", ("a/b/c", {"uid": 5}), ("late/f", {}), ("late", closed))


@_builder
def tarkinds(folder):
    """A tar of all kinds of entries."""
    _tar(
        folder / "a.tar",
        ("d", {**_DIRECTORY, "mode": 0o3775}),
        ("f", {"mode": 0o4755, "uid": 2097152, "gid": 4000000000}),
        (
            "hard",
            {"type": tarfile.LNKTYPE, "linkname": "f", "mode": 0o4755, "uid": 2097152, "gid": 4000000000},
        ),
        ("soft", _link("/nowhere")),
        ("fifo", {"type": tarfile.FIFOTYPE, "mode": 0o600}),
        ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3, "mode": 0o666}),
        ("loop", {"type": tarfile.BLKTYPE, "devmajor": 7, "devminor": 1, "mode": 0o660}),
    )


@_builder
def tarnames(folder):
    """A tar with long names and odd ones."""
    names = (
        "l" * 240,
        "/".join(["deep"] * 40),
        "new\nline",
        " ",
        "-dash",
        "ünï",
        "a\\b",
        "./dot",
        "x/./y",
        "z//w",
    )
    _tar(folder / "a.tar", *((name, {}) for name in names), ("link", _link("t" * 200)))


@_builder
def tarxattrs(folder):
    """A tar with extended attributes."""
    pax = {
        "SCHILY.xattr.user.kind": "red",
        "SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20" + "\x00" * 14,
    }
    _tar(
        folder / "a.tar",
        ("f", {"pax_headers": pax}),
        ("d", {**_DIRECTORY, "pax_headers": {"SCHILY.xattr.user.kind": "x"}}),
    )


@_builder
def tartwice(folder):
    """A tar in which names come again as something else."""
    _tar(
        folder / "a.tar",
        ("f", {"mode": 0o600}),
        ("f", {"mode": 0o755}),
        ("l", _link("f")),
        ("l", {}),
        ("d", _DIRECTORY),
        ("d/x", {}),
        ("d", {**_DIRECTORY, "mode": 0o700}),
    )


@_builder
def tarout(folder):
    """A tar with a name that leads out of it."""
    _tar(folder / "a.tar", ("../../out", {}))


@_builder
def tarabsolute(folder):
    """A tar whose names begin at the root."""
    _tar(folder / "a.tar", ("/abs/f", {}), ("/g", {}))


@_builder
def tarlink(folder):
    """A tar that makes a link out of it, and writes through that."""
    _tar(folder / "a.tar", ("l", _link("../../../tmp")), ("l/f", {}))


@_builder
def tarinnerlink(folder):
    """A tar that makes a link within it, and writes through that."""
    _tar(folder / "a.tar", ("d", _DIRECTORY), ("l", _link("d")), ("l/f", {}))


@_builder
def tarroot(folder):
    """A tar that tells of its root."""
    _tar(folder / "a.tar", ("./", {**_DIRECTORY, "mode": 0o700, "uid": 5, "gid": 6}), ("./f", {}))


@_builder
def tartruncated(folder):
    """A tar that ends within a file."""
    _tar(folder / "whole", ("f", {}), ("g", {}), data=b"x" * 5000)
    (folder / "a.tar").write_bytes((folder / "whole").read_bytes()[:7000])
    (folder / "whole").unlink()


@_builder
def crignore(folder):
    """An ignore file that came from elsewhere."""
    (folder / ".dockerignore").write_bytes(b"\xef\xbb\xbfa\r\n\t b \r\n\r\n")
    for name in "abc":
        (folder / name).write_text(name)


@_builder
def layout(folder):
    """A folder beside the context that is an OCI layout, with an image under the tag `one`."""
    place = folder.parent / "layout"
    blobs = place / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data, kind, **more):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {
            "mediaType": f"application/vnd.oci.image.{kind}",
            "digest": f"sha256:{digest}",
            "size": len(data),
            **more,
        }

    _tar(place / "layer", ("d", _DIRECTORY), ("d/f", {"mode": 0o640, "uid": 5, "gid": 6}))
    layer = blob((place / "layer").read_bytes(), "layer.v1.tar")
    (place / "layer").unlink()
    config = {
        "architecture": base.architecture(),
        "os": "linux",
        "config": {"Env": ["A=1", "B=2"], "Cmd": ["x"]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "history": [{"created_by": "layout"}],
    }
    described = blob(json.dumps(config).encode(), "config.v1+json")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described,
        "layers": [layer],
    }
    name = {"org.opencontainers.image.ref.name": "one"}
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json", annotations=name)
    (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (place / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
