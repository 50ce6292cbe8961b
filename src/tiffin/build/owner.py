"""Names of users and groups, looked up in the files of the image that a step works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.errors import NotFoundError
from tiffin.runtime.users import User, resolve_user

if TYPE_CHECKING:
    from tiffin.snapshot.merged import MergedTree


def find_user(user: str, tree: MergedTree, groups: tuple[str, ...] = ()) -> User:
    """Return the numbers behind the word of a USER instruction, and further groups. Raises NotFoundError."""
    return resolve_user(user, tree.read("/etc/passwd"), tree.read("/etc/group"), extra_groups=groups)


def find_owner(chown: str, tree: MergedTree) -> tuple[int, int]:
    """Return the owner and group that `--chown` means.

    A number alone is the group too; a name alone stands for the primary group
    of the user. As with BuildKit, a user whom the image does not know becomes 0, a group
    that it does not know the user's primary one, and an empty one 0; where there
    are no files at all a name is an error: NotFoundError.
    """
    user, colon, group = chown.partition(":")
    if tree.root is None and any(name and not name.isdigit() for name in (user, group)):
        raise NotFoundError(
            f"--chown={chown}: there are no users in an empty image",
            code="unknown-user",
            hint="give numbers",
        )
    if user.isdigit():
        uid, primary = int(user), int(user)
    else:
        entry = _table(tree.read("/etc/passwd")).get(user, [])
        uid, primary = _number(entry, 2), _number(entry, 3)
    if not colon:
        return uid, primary
    if group.isdigit() or not group:
        return uid, int(group or "0")
    found = _table(tree.read("/etc/group")).get(group)
    return uid, _number(found, 2) if found else primary


def _table(data: bytes) -> dict[str, list[str]]:
    rows = [line.split(":") for line in data.decode(errors="replace").splitlines() if ":" in line]
    return {row[0]: row for row in reversed(rows)}


def _number(row: list[str], column: int) -> int:
    return int(row[column]) if len(row) > column and row[column].isdigit() else 0
