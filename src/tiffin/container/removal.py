"""What goes with a container: its directory, and the anonymous volumes that nobody else has.

Used under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno

from tiffin.linux.remove import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LENT", "USERS", "leave", "put_away"]

LENT = "lent.json"
"""In the directory of a container: the names of the volumes that may lie in its root, see `lending`."""

USERS = "users"
"""In the directory of an anonymous volume a folder with a file for each container that has it."""


def leave(directory: Path, user: str) -> bool:
    """Forget that a container has this anonymous volume; return whether it is nobody's now."""
    users = directory / USERS
    try:
        (users / user).unlink(missing_ok=True)
        users.rmdir()
    except OSError as error:
        return error.errno != errno.ENOTEMPTY
    return True


def put_away(directory: Path) -> None:
    """Delete a container's directory, or a volume's: its name is gone at once, what is in it soon after.

    Volumes that lie in its root go back before.
    """
    if (directory / LENT).exists():
        from tiffin.container.lending import take_back  # of one rung only

        take_back(directory)
    away = directory.with_name(f".gone-{directory.name}")
    with contextlib.suppress(FileNotFoundError):
        directory.rename(away)
    while True:
        try:
            remove_tree(away)
        except FileNotFoundError:
            continue  # somebody else does the same, and was faster with a part of it
        return
