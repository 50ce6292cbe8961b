"""The users and groups that every system of the distribution has, as base-passwd would install them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tiffin.base.tree import Owner

if TYPE_CHECKING:
    from tiffin.base.tree import Tree

_MASTERS: Final = "usr/share/base-passwd"
_DAY: Final = 24 * 3600
_SHADOW: Final = "shadow"


def install_accounts(tree: Tree, epoch: int) -> None:
    """Write passwd, group, shadow and gshadow; nothing where the package base-passwd is not there."""
    if f"{_MASTERS}/passwd.master" not in tree:
        return
    users = _entries(tree, "passwd.master")
    groups = _entries(tree, "group.master")
    gids = {group[0]: int(group[2]) for group in groups}
    private = Owner(0, gids.get(_SHADOW, 0))
    day = str(epoch // _DAY)
    tree.write("etc/passwd", _lines([[user[0], "x", *user[2:]] for user in users]))
    tree.write("etc/group", _lines([[group[0], "x", *group[2:]] for group in groups]))
    shadow = [[user[0], "*", day, "0", "99999", "7", "", "", ""] for user in users]
    tree.write("etc/shadow", _lines(shadow), 0o640, private)
    tree.write("etc/gshadow", _lines([[group[0], "*", "", *group[3:]] for group in groups]), 0o640, private)
    for name in ("etc/subuid", "etc/subgid"):
        tree.write(name, b"")
    shells = "usr/share/debianutils/shells"
    if shells in tree:
        tree.write("etc/shells", tree.read(shells) + b"".join(_own_shells(tree)))


def group_id(tree: Tree, name: str) -> int:
    """The id of a group in the tree; root's where it has none of that name."""
    if not tree.is_file("etc/group"):
        return 0
    lines = (line.split(":") for line in tree.read("etc/group").decode().splitlines())
    return next((int(fields[2]) for fields in lines if fields[0] == name), 0)


def _entries(tree: Tree, name: str) -> list[list[str]]:
    lines = tree.read(f"{_MASTERS}/{name}").decode().splitlines()
    return [line.split(":") for line in lines if line.strip()]


def _lines(entries: list[list[str]]) -> bytes:
    return "".join(":".join(entry) + "\n" for entry in entries).encode()


def _own_shells(tree: Tree) -> list[bytes]:
    """The shells that packages bring, under both of their names (/bin is a link to /usr/bin)."""
    directory = "usr/share/debianutils/shells.d"
    names = tree.children(directory) if tree.is_directory(directory) else []
    lines = [line for name in names for line in tree.read(f"{directory}/{name}").splitlines() if line.strip()]
    return [entry for line in lines for entry in (line + b"\n", b"/usr" + line + b"\n")]
