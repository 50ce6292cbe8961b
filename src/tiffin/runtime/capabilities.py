"""Which capabilities a container has: Docker's default set, and what is added and dropped. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.errors import InvalidError
from tiffin.linux.capability import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SYS_CHROOT",
    "CAP_MKNOD",
    "CAP_AUDIT_WRITE",
    "CAP_SETFCAP",
)
_ALL = "ALL"


def select(add: Iterable[str] = (), drop: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the capabilities that are left of the default ones after `--cap-add` and `--cap-drop`.

    Names go with or without `CAP_`, in any case; `ALL` means all. What is named wins over `ALL`, and what
    is dropped by name stays dropped.
    """
    added, dropped = [_name(name) for name in add], [_name(name) for name in drop]
    if _ALL in added:
        chosen = set(NAMES)
    elif _ALL in dropped:
        chosen = set()
    else:
        chosen = set(DEFAULT)
    chosen = (chosen | set(added)) - set(dropped) - {_ALL}
    return tuple(name for name in NAMES if name in chosen)


def _name(text: str) -> str:
    name = text.upper()
    if name == _ALL:
        return _ALL
    name = name if name.startswith("CAP_") else f"CAP_{name}"
    if name not in NAMES:
        raise InvalidError(
            f"there is no capability called {text!r}", hint="see capabilities(7) for their names"
        )
    return name
