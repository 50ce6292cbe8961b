"""`--userns`: which ids of this machine the users of a container are.

| mode | as root | without root |
| --- | --- | --- |
| (none), private | ids that are nobody's here, the same for all containers | root is the account, the rest its subordinate ids |
| host | the ids of this machine: root in the container is root | as without it |
| auto[:size=N] | a range of ids that no other container has | refused: a copy of the image for each would be needed |
| nomap | as without it: no account is mapped | refused, the same |
| keep-id[:uid=U,gid=G] | refused: there is no account to keep | the account is itself, or U:G, in the container |

For keep-id the account and root change places: files of the image that are root's are shown as the account's,
and the container's root is a subordinate id. Layers in which files belong to that user in the image are
copied once with owners to match (`shifted`); with one id alone there is nothing to change.
"""  # noqa: E501 # a table

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tiffin.container.record import Records
from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.linux.namespace import IdMap
from tiffin.runtime.model import UserMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.runtime.spec import Place

    Words = tuple[tuple[str, str], ...]

__all__ = ["LOCK", "Users", "accounts", "check", "exchanged", "kept", "parse", "place", "reserve"]

LOCK = "userns"
_EVERY = IdMap(0, 0, (1 << 32) - 1)
_SIZE = 65536
_MOST = (1 << 32) - 2
_AUTO_FROM = 1 << 20
_OPTION = re.compile(r"(uid|gid|size)=(\d{1,10})", re.ASCII)
_KNOWN = {"keep-id": ("uid", "gid"), "auto": ("size",)}
_MODES = ("", "private", "host", "nomap", "auto", "keep-id")


class Users(NamedTuple):
    """What was asked for."""

    mode: str = ""
    uid: int | None = None
    gid: int | None = None
    size: int = _SIZE


def parse(words: Words) -> Users:
    """Return what the words ask for. Raises InvalidError."""
    text = dict(words).get("userns", "")
    mode, colon, rest = text.partition(":")
    found = [_OPTION.fullmatch(part) for part in rest.split(",")] if colon else []
    numbers = {match[1]: int(match[2]) for match in found if match}
    known = _KNOWN.get(mode, ())
    if mode not in _MODES or not all(found) or not set(numbers) <= set(known):
        raise _wrong(text, "it is host, private, auto[:size=N], nomap or keep-id[:uid=N,gid=N]")
    size = numbers.get("size", _SIZE)
    if not 0 < size <= 1 << 24 or max(numbers.values(), default=0) > _MOST:
        raise _wrong(text, "the number is out of range")
    return Users("" if mode == "private" else mode, numbers.get("uid"), numbers.get("gid"), size)


def check(rung: Rung, words: Words, *, lent: bool = False) -> None:
    """Refuse what cannot be had on this rung, or with ids that are `lent`.

    Raises InvalidError or UnsupportedError.
    """
    asked = parse(words)
    if lent and asked.mode in ("auto", "nomap"):
        raise UnsupportedError(
            f"--userns {asked.mode} takes other ids than those of this machine, and this kernel cannot map "
            "the owners of an image to them",
            code="userns",
            hint="leave it away, or use Linux 5.19 or newer",
            exit_status=125,
        )
    if rung is Rung.ROOT and asked.mode == "keep-id":
        raise UnsupportedError(
            "--userns keep-id keeps the account that runs the container, and that is root",
            code="userns",
            hint="for files of a user say --user UID:GID: in mounted folders ids are as they are here",
            exit_status=125,
        )
    if rung is not Rung.ROOT and asked.mode in ("auto", "nomap"):
        raise UnsupportedError(
            f"--userns {asked.mode} needs root: without, the image would be copied for it",
            code="userns",
            hint="leave it away: root in the container is your account, others are its subordinate ids",
            exit_status=125,
        )


def place(engine: Engine, record: Record, here: Place) -> Place:
    """Return where the container runs, with the ids that it is to have; see `reserve` for those of auto."""
    asked = parse(record.security)
    if asked.mode == "host" and engine.rung is Rung.ROOT:
        return here._replace(users=UserMap(), ids=(_EVERY,))
    if asked.mode == "auto":
        lines = (IdMap(0, record.first_id, asked.size),)
        return here._replace(users=UserMap(lines, lines), ids=lines)
    own = kept(engine, record.security)
    if own is None:
        return here
    isolation = engine.footing.isolation
    users = UserMap(_swapped(own[0], isolation.uids), _swapped(own[1], isolation.gids))
    return here._replace(users=users, ids=users.uids)


def kept(engine: Engine, words: Words) -> tuple[int, int] | None:
    """Return the user and group that the account is in the container by keep-id, None if it is root there."""
    asked = parse(words)
    if asked.mode != "keep-id" or engine.rung is Rung.ROOT:
        return None
    outside = engine.footing.isolation
    uid = outside.uids[0].outside if asked.uid is None else asked.uid
    gid = outside.gids[0].outside if asked.gid is None else asked.gid
    return (uid, gid) if uid or gid else None


def exchanged(engine: Engine, words: Words) -> tuple[int, int] | None:
    """Return the user and group that root has changed places with on disk, 0 for neither; None for none."""
    own = kept(engine, words)
    if own is None:
        return None
    isolation = engine.footing.isolation
    counts = (sum(line.size for line in ids) for ids in (isolation.uids, isolation.gids))
    uid, gid = (number if number < count else 0 for number, count in zip(own, counts, strict=True))
    return (uid, gid) if uid or gid else None


def reserve(engine: Engine, words: Words) -> int:
    """Return the first of a range of ids for auto that neither containers nor accounts have.

    It is kept by the record: the caller holds the lock `LOCK` until that is written.
    """
    size = parse(words).size
    taken = [IdMap(0, record.first_id, parse(record.security).size) for record in _automatic(engine)]
    taken += [*engine.footing.taken_ids, *engine.footing.isolation.uids]
    start = _AUTO_FROM
    for line in sorted(taken, key=lambda line: line.outside):
        if start < line.outside + line.size and line.outside < start + size:
            start = line.outside + line.size
    if start + size > _MOST:
        raise UnsupportedError(
            "--userns auto: there is no range of ids left",
            code="userns",
            hint="remove containers that were made with it, or ask for fewer: auto:size=1024",
            exit_status=125,
        )
    return start


def accounts(own: tuple[int, int], home: str, passwd: bytes, group: bytes) -> tuple[bytes, bytes]:
    """Return /etc/passwd and /etc/group of the image with the account, and its group, if they lack it."""
    uid, gid = own
    name = _name_of(uid)
    if not _has(passwd, uid, name):
        passwd = _ended(passwd) + f"{name}:x:{uid}:{gid}::{home}:/bin/sh\n".encode()
    if not _has(group, gid, name):
        group = _ended(group) + f"{name}:x:{gid}:\n".encode()
    return passwd, group


def _has(table: bytes, number: int, name: str) -> bool:
    rows = [line.split(b":") for line in table.splitlines()]
    return any(len(row) > 2 and (row[2] == b"%d" % number or row[0] == name.encode()) for row in rows)


def _ended(text: bytes) -> bytes:
    return text if not text or text.endswith(b"\n") else text + b"\n"


def _name_of(uid: int) -> str:
    import pwd

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user{uid}"
    return name if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) else f"user{uid}"


def _automatic(engine: Engine) -> list[Record]:
    return [record for record in Records(engine.db).all() if record.first_id]


def _swapped(own: int, ids: Sequence[IdMap]) -> tuple[IdMap, ...]:
    """Return lines by which the account, which is 0 in the command's user namespace, is `own` inside.

    Who would be `own` otherwise is 0 inside, if there is such an id; all others are as they are.
    """
    count = sum(line.size for line in ids)
    if own == 0:
        return (IdMap(0, 0, count),)
    if own >= count:
        rest = (IdMap(1, 1, count - 1),) if count > 1 else ()
        return (*rest, IdMap(own, 0, 1))
    below = (IdMap(1, 1, own - 1),) if own > 1 else ()
    above = (IdMap(own + 1, own + 1, count - own - 1),) if own + 1 < count else ()
    return (IdMap(0, own, 1), *below, IdMap(own, 0, 1), *above)


def _wrong(text: str, why: str) -> InvalidError:
    return InvalidError(
        f"--userns {text}: {why}", code="usage", hint="see 'tiffin run --help'", exit_status=125
    )
