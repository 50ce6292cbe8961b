"""What is installed in a root filesystem: packages of distributions and languages, read where they lie."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.build.attest.languages import is_described, read_description
from tiffin.build.attest.packages import (
    Distribution,
    Package,
    read_apk,
    read_copyright,
    read_dpkg,
    read_os_release,
)
from tiffin.errors import TiffinError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tiffin.snapshot.merged import MergedTree, Node

_LARGEST: Final = 64 << 20  # bytes of a list of packages; the largest are some 10 MB
_DESCRIPTION: Final = 4 << 20
_DPKG: Final = re.compile(r"/var/lib/dpkg/(status|status\.d/[^/]+)$")
_APK: Final = "/lib/apk/db/installed"
_RPM: Final = re.compile(r"/(var/lib/rpm|usr/lib/sysimage/rpm)/rpmdb\.sqlite$")
_OLD_RPM: Final = re.compile(r"/(var/lib/rpm|usr/lib/sysimage/rpm)/(Packages|Packages\.db)$")
_OUTSIDE: Final = ("/dev", "/proc", "/sys")


class Inventory(NamedTuple):
    """The packages, sorted; and what lists packages and could not be read."""

    packages: tuple[Package, ...]
    distribution: Distribution
    missed: tuple[str, ...] = ()


def scan(tree: MergedTree) -> Inventory:
    """Return what is installed in `tree`. What is broken in it is passed over."""
    distribution = read_os_release(_text(tree, "/etc/os-release") or _text(tree, "/usr/lib/os-release"))
    found: list[Package] = []
    missed: list[str] = []
    for node in _files(tree):
        path = node.shown
        if node.status.st_size > (_DESCRIPTION if is_described(path) else _LARGEST):
            missed += [path] if _lists(path) or is_described(path) else []
        elif _OLD_RPM.search(path):
            missed.append(path)
        else:
            listed = list(_packages(tree, node, path, distribution))
            missed += [path] if _RPM.search(path) and not listed else []
            found += listed
    unique = {(each.url, each.found): each for each in found}
    return Inventory(
        tuple(sorted(unique.values(), key=lambda each: (each.kind, each.name, each.version, each.found))),
        distribution,
        tuple(missed),
    )


def _lists(path: str) -> bool:
    return bool(_DPKG.search(path) or path.endswith(_APK) or _RPM.search(path) or _OLD_RPM.search(path))


def _files(tree: MergedTree) -> Iterator[Node]:
    """Yield the plain files of the tree, sorted by path; what is mounted over in a container is left out."""
    pending = [tree.root] if tree.root else []
    while pending:
        children = tree.children(pending.pop())
        pending += [each for each in reversed(children) if each.is_directory and each.path not in _OUTSIDE]
        yield from (each for each in children if stat.S_ISREG(each.status.st_mode))


def _packages(tree: MergedTree, node: Node, path: str, distribution: Distribution) -> Iterable[Package]:
    if is_described(path):
        package = read_description(path, _read(node))
        return () if package is None else (package,)
    if _DPKG.search(path) and not path.endswith(".md5sums"):
        listed = read_dpkg(_read(node).decode("utf-8", "replace"), path, distribution)
        return [each._replace(licenses=_licenses(tree, each.name)) for each in listed]
    if path.endswith(_APK):
        return read_apk(_read(node).decode("utf-8", "replace"), path, distribution)
    if _RPM.search(path):
        from tiffin.build.attest.rpmdb import read_rpm

        return read_rpm(node.host, path, distribution)
    return ()


def _licenses(tree: MergedTree, name: str) -> tuple[str, ...]:
    return read_copyright(_text(tree, f"/usr/share/doc/{name}/copyright"))


def _text(tree: MergedTree, path: str) -> str:
    """Return the file at `path`, links followed; empty if there is none, or one that is no text to read."""
    try:
        node = tree.resolve(path).node
    except TiffinError:
        return ""
    if node is None or not stat.S_ISREG(node.status.st_mode) or node.status.st_size > _DESCRIPTION:
        return ""
    return _read(node).decode("utf-8", "replace")


def _read(node: Node) -> bytes:
    with open(node.host, "rb") as file:
        return file.read()
