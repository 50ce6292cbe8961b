"""A package's files, put into the tree: what dpkg's unpacking does, without its scripts and database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.base.deb import open_tar
from tiffin.base.tree import Owner
from tiffin.errors import CorruptError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path
    from tarfile import TarFile, TarInfo

    from tiffin.base.tree import Tree

# As in slim images: no manuals and translations; licences stay, and what documentation links to them.
DROPPED: Final = (
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/doc/*",
    "/usr/share/doc-base/*",
    "/usr/share/lintian/*",
    "/usr/share/linda/*",
    "/usr/share/groff/*",
    "/usr/share/bug/*",
)
KEPT: Final = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
_DROPPED: Final = re.compile(
    r"usr/share/(?:man|info|locale|doc|doc-base|lintian|linda|groff|bug)/.+"
    r"|(?:.*/)?__pycache__(?:/.*)?|.*\.py[co]"
)
_KEPT: Final = re.compile(r"usr/share/doc/[^/]+(?:/copyright)?|usr/share/locale/locale\.alias")
_TOP: Final = re.compile(r"(bin|sbin|lib(?:32|64|x32|o32)?)(?:/|$)")
_LARGEST_FILE: Final = 4 << 30


class Extracted(NamedTuple):
    """What a package has put into the tree: its files as it names them, and the time of its newest file."""

    files: tuple[str, ...]
    newest: int


def extract(tree: Tree, deb: Path, name: str) -> Extracted:
    """Put the files of the package `name` at `deb` into the tree, but for what a base does without."""
    files: list[str] = []
    newest = 0
    with open_tar(deb, "data.tar", name) as archive:
        for member in archive:
            path = _path(member, name)
            if not path or not is_kept(path, directory=member.isdir(), link=member.issym()):
                continue
            newest = max(newest, int(member.mtime))
            _merge_top(tree, path)
            _put(tree, archive, member, path, name)
            if not member.isdir():
                files.append(path)
    return Extracted(tuple(files), newest)


def newest_time(deb: Path, name: str) -> int:
    """The time of the newest file that a base keeps of the package."""
    with open_tar(deb, "data.tar", name) as archive:
        members = ((member, _path(member, name)) for member in archive)
        times = (
            int(member.mtime)
            for member, path in members
            if path and is_kept(path, directory=member.isdir(), link=member.issym())
        )
        return max(times, default=0)


def is_kept(path: str, *, directory: bool = False, link: bool = False) -> bool:
    """Whether a base keeps the file: everything but documentation, translations and compiled Python."""
    if not _DROPPED.fullmatch(path):
        return True
    if directory:  # made when something is put into it
        return False
    kept = _KEPT.fullmatch(path)
    # usr/share/doc/NAME itself is only kept as a link to the licence of another package.
    return kept is not None and (link or "/" in path.removeprefix("usr/share/doc/"))


def merge_usr(tree: Tree) -> None:
    """Make /bin, /sbin and /lib links into /usr, before anything is unpacked that has them as directories."""
    for name in ("bin", "sbin", "lib"):
        _merge(tree, name)


def _merge_top(tree: Tree, path: str) -> None:
    top = _TOP.match(path)
    if top and tree.link_target(top[1]) is None and not tree.is_directory(top[1]):
        _merge(tree, top[1])


def _merge(tree: Tree, name: str) -> None:
    tree.make_directory(f"usr/{name}")
    tree.link(name, f"usr/{name}")


def _path(member: TarInfo, name: str) -> str:
    path = member.name.removeprefix("./").strip("/")
    if path == ".":
        return ""
    if ".." in path.split("/") or "\0" in path:
        raise CorruptError(f"the package {name} holds the path {member.name!r}", code="deb")
    return path


def _put(tree: Tree, archive: TarFile, member: TarInfo, path: str, name: str) -> None:
    owner = Owner(member.uid, member.gid)
    if member.isdir():
        tree.make_directory(path, member.mode, owner)
    elif member.issym():
        tree.link(path, member.linkname)
    elif member.islnk():
        tree.hard_link(path, member.linkname.removeprefix("./"))
    elif member.isfile():
        content = archive.extractfile(member)
        if content is None or member.size > _LARGEST_FILE:
            raise CorruptError(f"the package {name} holds {path} with {member.size} bytes", code="deb")
        tree.write(path, content, member.mode, owner)  # type: ignore[arg-type]  # it reads as BinaryIO does
    else:
        raise UnsupportedError(
            f"the package {name} holds {path}, which is neither file, directory nor link", code="deb-member"
        )
