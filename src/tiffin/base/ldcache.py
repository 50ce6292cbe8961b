"""/etc/ld.so.cache of a tree: which libraries it has is found out here, as ldconfig would, run in it."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final

from tiffin.linux.elf import MACHINES, library_name
from tiffin.linux.ldcache import FLAGS, Entry, encode

if TYPE_CHECKING:
    from tiffin.base.tree import Tree

_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "riscv64": "riscv64"}
_NAME: Final = re.compile(r"(?:lib.*|ld-.*)\.so(?:\..*)?")
_DEFAULTS: Final = ("lib", "usr/lib", "lib64", "usr/lib64")


def install_cache(tree: Tree, architecture: str) -> int:
    """Write the cache of the libraries in the linker's directories; returns how many, 0 if that is not known.

    Without a cache the linker still searches its default directories, so an
    architecture that is not known here only lacks `ldconfig -p`.
    """
    machine = _MACHINES.get(architecture)
    if machine is None:
        return 0
    found: dict[str, str] = {}
    seen: set[str] = set()
    for directory in [*_configured(tree, "etc/ld.so.conf"), *_DEFAULTS]:
        real = tree.resolve(directory)
        if real in seen or not tree.is_directory(directory):
            continue
        seen.add(real)
        for name in tree.children(directory):
            path = f"{directory}/{name}"
            if not _NAME.fullmatch(name) or not tree.is_file(path):
                continue
            soname = library_name(tree.read(path), MACHINES[machine])
            if soname is not None and f"{directory}/{soname}" in tree:
                found.setdefault(soname, f"/{directory}/{soname}")
    entries = (Entry(name, path, FLAGS[machine]) for name, path in found.items())
    tree.write("etc/ld.so.cache", encode(entries))
    return len(found)


def _configured(tree: Tree, path: str) -> list[str]:
    """The directories that ld.so.conf names, its includes in their place."""
    if not tree.is_file(path):
        return []
    found: list[str] = []
    for line in tree.read(path).decode().split("\n"):
        word = line.partition("#")[0].strip()
        if word.startswith("include "):
            directory, _, pattern = word[8:].strip().lstrip("/").rpartition("/")
            for name in tree.children(directory):
                if fnmatch.fnmatchcase(name, pattern):
                    found += _configured(tree, f"{directory}/{name}")
        elif word:
            found.append(word.strip("/"))
    return found
