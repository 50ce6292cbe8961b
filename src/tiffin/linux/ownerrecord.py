"""The spelling of recorded owners: what a file system with one id cannot hold is kept in attributes.

`user.tiffin.owner` of a file or directory holds `uid:gid`, or `uid:gid:mode:device` for an empty file that
stands for a device node. Symbolic links and fifos cannot carry attributes: `user.tiffin.links` of their
directory names them. While a container runs they are known by inode and time of birth, in a file of entries.
Where we have not the rights of root over our own files, none on disk has less than
`rw-` for us, a directory `rwx`: what that hides is recorded as `uid:gid:mode`, and the file capabilities
that we may not set are in `user.tiffin.capability`.
Pure. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER = "user.tiffin.owner"
LINKS = "user.tiffin.links"
CAPABILITY = "user.tiffin.capability"

_TOO_LARGE = 2**32 - 1
_CARRIERS = (0o100000, 0o040000)  # the types of files and directories
ENTRY = 24
"""The bytes of an entry."""


class Record(NamedTuple):
    """An owner; `mode` (octal, type included) and `device` of a device node, or a mode that is not on disk.

    A `mode` of 0 says that there is none.
    """

    uid: int
    gid: int
    mode: int = 0
    device: int | None = None


class Links(NamedTuple):
    """Owners of the links and fifos of one directory: of those that are named, and of all others."""

    others: tuple[int, int] = (0, 0)
    named: Mapping[bytes, tuple[int, int]] = {}

    def owner(self, name: bytes) -> tuple[int, int]:
        """Return whose the entry is."""
        return self.named.get(name, self.others)


Birth = tuple[int, int]
"""An inode and the nanosecond it was made in, by which it is told from a later one with its number."""


def parse(text: bytes) -> Record | None:
    """Return what the attribute of a file says, None if it is no owner."""
    parts = text.split(b":")
    try:
        if len(parts) == 2:
            record = Record(int(parts[0]), int(parts[1]))
        elif len(parts) == 3:
            record = Record(int(parts[0]), int(parts[1]), int(parts[2], 8))
            if record.mode & ~0o7777 not in _CARRIERS:
                return None
        else:
            uid, gid, mode, device = parts
            record = Record(int(uid), int(gid), int(mode, 8), int(device))
    except ValueError:
        return None
    return record if _in_range(record.uid) and _in_range(record.gid) else None


def spell(record: Record) -> bytes:
    """Return the attribute that says so."""
    if record.device is None:
        mode = b":%o" % record.mode if record.mode else b""
        return b"%d:%d%b" % (record.uid, record.gid, mode)
    return b"%d:%d:%o:%d" % (record.uid, record.gid, record.mode, record.device)


def parse_links(text: bytes) -> Links | None:
    """Return what the attribute of a directory says, None if it is none."""
    others = (0, 0)
    named: dict[bytes, tuple[int, int]] = {}
    try:
        for place, group in enumerate(text.split(b"//")):
            owner, *names = group.split(b"/")
            uid, gid = map(int, owner.split(b":"))
            if not (_in_range(uid) and _in_range(gid)):
                return None
            if place == 0 and not names:
                others = (uid, gid)
            named |= dict.fromkeys(names, (uid, gid))
    except ValueError:
        return None
    return Links(others, named)


def spell_links(links: Links) -> bytes:
    """Return the attribute that says so; who is like the others is not named."""
    groups: dict[tuple[int, int], list[bytes]] = {}
    for name, owner in links.named.items():
        groups.setdefault(owner, []).append(name)
    groups.pop(links.others, None)
    lines = [b"%d:%d/%s" % (*owner, b"/".join(sorted(names))) for owner, names in sorted(groups.items())]
    if links.others != (0, 0) or not lines:
        lines.insert(0, b"%d:%d" % links.others)
    return b"//".join(lines)


def entry(birth: Birth, owner: tuple[int, int]) -> bytes:
    """Return the entry of one link; entries are appended to a file, and the last one of a link counts."""
    return b"".join(
        number.to_bytes(size, "little") for number, size in zip((*birth, *owner), (8, 8, 4, 4), strict=True)
    )


def entries(data: bytes) -> dict[Birth, tuple[int, int]]:
    """Return what a file of entries says; one that was cut off is passed over."""
    found: dict[Birth, tuple[int, int]] = {}
    for start in range(0, len(data) - ENTRY + 1, ENTRY):
        inode, born, uid, gid = (
            int.from_bytes(data[start + begin : start + end], "little")
            for begin, end in ((0, 8), (8, 16), (16, 20), (20, 24))
        )
        found[inode, born] = (uid, gid)
    return found


def _in_range(number: int) -> bool:
    return 0 <= number < _TOO_LARGE
