"""Who a process is to be: `USER` and `--user` against the image's /etc/passwd and /etc/group. Pure."""

from __future__ import annotations

from tiffin.errors import InvalidError, NotFoundError
from tiffin.linux.record import NamedTuple

_MOST = (1 << 32) - 2


class User(NamedTuple):
    """A user by numbers: the primary group, the supplementary ones, and the home directory."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


class _Account(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str


class _Group(NamedTuple):
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(user: str, passwd: bytes, group: bytes, *, extra_groups: tuple[str, ...] = ()) -> User:
    """Return the numbers behind `user[:group]`, each a name or a number; nothing is root.

    A number takes its primary group from passwd, and 0 if it is not there. Supplementary groups are those
    that list the user, but only when no group is given. `extra_groups` (`--group-add`) are added always.
    Raises `NotFoundError` for a name that the files do not have.
    """
    name, colon, group_name = user.partition(":")
    if colon and not group_name:
        raise InvalidError(f"the user {user!r} has an empty group")
    accounts, groups = _accounts(passwd), _groups(group)
    account = _find_account(name or "0", accounts)
    gid, supplementary = account.gid, tuple(entry.gid for entry in groups if account.name in entry.members)
    if group_name:
        gid, supplementary = _find_group(group_name, groups), ()
    extra = tuple(_find_group(entry, groups) for entry in extra_groups)
    return User(account.uid, gid, tuple(dict.fromkeys((*supplementary, *extra))), account.home or "/")


def _find_account(name: str, accounts: list[_Account]) -> _Account:
    """Return the account; a name wins over a number that is written the same."""
    for account in accounts:
        if account.name == name:
            return account
    uid = _number(name)
    if uid is None:
        raise NotFoundError(
            f"there is no user {name!r} in the image's /etc/passwd",
            code="unknown-user",
            hint="create the user in the image, or give its number",
        )
    for account in accounts:
        if account.uid == uid:
            return account
    return _Account("", uid, 0, "/")


def _find_group(name: str, groups: list[_Group]) -> int:
    for group in groups:
        if group.name == name:
            return group.gid
    gid = _number(name)
    if gid is None:
        raise NotFoundError(
            f"there is no group {name!r} in the image's /etc/group",
            code="unknown-group",
            hint="create the group in the image, or give its number",
        )
    return gid


def _number(text: str) -> int | None:
    """Return a user or group number, or None for a name."""
    if not text.isascii() or not text.isdigit():
        return None
    number = int(text)
    if number > _MOST:
        raise InvalidError(f"{text} is too large for the number of a user or group")
    return number


def _rows(data: bytes, columns: int) -> list[list[str]]:
    """Return the well-formed lines as fields; others are passed over, as the C library does."""
    rows = (line.strip().split(":") for line in data.decode("utf-8", "surrogateescape").splitlines())
    return [row for row in rows if len(row) >= columns and row[0] and not row[0].startswith("#")]


def _accounts(passwd: bytes) -> list[_Account]:
    result = []
    for row in _rows(passwd, 4):
        uid, gid = _field(row[2]), _field(row[3])
        if uid is not None and gid is not None:
            result.append(_Account(row[0], uid, gid, row[5] if len(row) > 5 else ""))
    return result


def _groups(group: bytes) -> list[_Group]:
    result = []
    for row in _rows(group, 3):
        gid = _field(row[2])
        if gid is not None:
            members = row[3].split(",") if len(row) > 3 else []
            result.append(_Group(row[0], gid, tuple(member for member in members if member)))
    return result


def _field(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= _MOST else None
