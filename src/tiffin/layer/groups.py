"""Which files of a layer change together: the groups that a big layer is divided into. Pure.

A layer of `pip install` holds a gigabyte of libraries that stay for months and a package that changes weekly.
In layers of their own the former is sent, stored and pulled once. What belongs to a Python distribution
is said by its RECORD (packaging.python.org, "Recording installed projects").
"""

from __future__ import annotations

import csv
import posixpath
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tiffin.layer.tree import Entry

LARGE: Final = 32 << 20
"""From so many bytes on a distribution is a group of its own."""
SYSTEM, ACCELERATOR, PACKAGES, REST = "system", "accelerator libraries", "python packages", "the rest"
_OWN: Final = "python: "
_ORDER: Final = (SYSTEM, ACCELERATOR, _OWN, PACKAGES, REST)
_SYSTEM: Final = frozenset(
    ("bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "run", "sbin", "usr", "var")
)
_SITES: Final = ("site-packages", "dist-packages")
_INFO: Final = ".dist-info"
_LONGEST: Final = 16 << 20
_HUGE: Final = 1 << 50
_COMPILED: Final = re.compile(r"(.*/)?__pycache__/([^/]+)\.[a-z]+-\d+[a-z]*(?:\.opt-\d)?\.pyc")
# Of distributions, and of files in the system's folders: they change with the driver's version, all at once.
_VENDOR: Final = re.compile(
    r"nvidia[_-].*|cuda[_-].*|triton|pytorch[_-]triton.*|amd[_-].*|rocm[_-].*", re.IGNORECASE
)
_LIBRARY: Final = re.compile(
    r"(usr/local/cuda[^/]*|opt/rocm[^/]*)/.*|"
    r"usr/lib(64)?/([^/]+/)?lib(cu(da|dnn|blas|fft|rand|solver|sparse|pti)|nccl|nv|npp)[^/]*"
)


class Group(NamedTuple):
    """Entries that change together, in their order in the layer, and the directories that they lie in."""

    name: str
    entries: tuple[Entry, ...]


def divide(
    entries: Sequence[Entry], read: Callable[[RootPath], bytes], most: int, large: int = LARGE
) -> tuple[Group, ...]:
    """Divide the entries of a layer into at most `most` groups, the one that changes least first.

    Each entry is in one group, a directory in every group that has something in it. What hides something
    below the layer is in the first. `read` gives the content of a file; `large` is in bytes.
    """
    owner = _owners(entries, read)
    names = _names(entries, owner, large)
    while len(set(names.values())) > most and large < _HUGE:
        large *= 2  # the same for every layer that has as many, whatever else is in it
        names = _names(entries, owner, large)
    order = sorted(set(names.values()), key=_rank)
    if not 1 < len(order) <= most:
        return (Group("", tuple(entries)),)
    hidden: set[RootPath] = set()  # below which directories nothing shows through already
    return tuple(Group(name, tuple(_members(entries, names, order, name, hidden))) for name in order)


def _members(
    entries: Sequence[Entry],
    names: Mapping[RootPath, str],
    order: Sequence[str],
    name: str,
    hidden: set[RootPath],
) -> Iterator[Entry]:
    own = {path for path, found in names.items() if found == name}
    if name == order[0]:
        own |= {entry.path for entry in entries if entry.kind == "whiteout"}
    parents = _parents(own)
    for entry in entries:
        if entry.path in hidden and entry.path in parents:
            yield entry._replace(opaque=False)
        elif entry.path in own or entry.path in parents:
            if entry.opaque:
                hidden.add(entry.path)
            yield entry


def _names(entries: Sequence[Entry], owner: Mapping[str, str], large: int) -> dict[RootPath, str]:
    """The group of every entry that is no directory, and of every directory that nothing lies in."""
    sizes: dict[str, int] = {}
    for entry in entries:
        if found := owner.get(entry.path):
            sizes[found] = sizes.get(found, 0) + entry.size
    own = {name for name, size in sizes.items() if size >= large}
    filled = _parents(entry.path for entry in entries)
    names: dict[RootPath, str] = {}
    for entry in entries:
        if entry.kind == "hardlink":
            names[entry.path] = names[RootPath(entry.link)]
        elif entry.kind != "whiteout" and entry.path not in filled:
            names[entry.path] = _name(entry.path, owner.get(entry.path, ""), own)
    return names


def _name(path: str, distribution: str, own: set[str]) -> str:
    if _VENDOR.fullmatch(distribution) or _LIBRARY.fullmatch(path):
        return ACCELERATOR
    if distribution in own:
        return _OWN + distribution
    parts = path.split("/")
    if distribution or any(site in parts for site in _SITES):
        return PACKAGES
    return SYSTEM if parts[0] in _SYSTEM else REST


def _parents(paths: Iterable[str]) -> set[RootPath]:
    """All directories that the paths lie in, the layer's root among them."""
    found: set[str] = set()
    for path in paths:
        while path and (path := path.rpartition("/")[0]) not in found:
            found.add(path)
    return {RootPath(path) for path in found}


def _owners(entries: Sequence[Entry], read: Callable[[RootPath], bytes]) -> dict[str, str]:
    """The distribution, in its normal spelling, of each file that one has recorded."""
    here = {entry.path for entry in entries}
    owner: dict[str, str] = {}
    for entry in entries:
        info, _, name = entry.path.rpartition("/")
        if name == "RECORD" and info.endswith(_INFO) and entry.kind == "file" and entry.size <= _LONGEST:
            site, _, title = info.rpartition("/")
            distribution = re.sub(r"[-_.]+", "-", title.removesuffix(_INFO).rpartition("-")[0]).lower()
            for path in _recorded(read(entry.path)):
                found = posixpath.normpath(f"/{site}/{path}")[1:]
                if found in here:
                    owner.setdefault(found, distribution)
    for entry in entries:  # installers record the sources, and not always what was compiled of them
        if (match := _COMPILED.fullmatch(entry.path)) and entry.path not in owner:
            source = owner.get(f"{match[1] or ''}{match[2]}.py")
            if source:
                owner[entry.path] = source
    return owner


def _recorded(data: bytes) -> Iterator[str]:
    try:
        for row in csv.reader(data.decode("utf-8", "surrogateescape").splitlines()):
            if row and row[0]:
                yield row[0]
    except csv.Error:
        return  # what it says further is not known, and its files are packages like others


def _rank(name: str) -> tuple[int, str]:
    return next(rank for rank, prefix in enumerate(_ORDER) if name.startswith(prefix)), name
