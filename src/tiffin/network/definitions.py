"""The networks that users have made, as they are kept: one small file each, named after the network.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import json

from tiffin.errors import ConflictError, InvalidError, NotFoundError
from tiffin.linux import files
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Any

__all__ = ["PREDEFINED", "Definition", "Definitions", "check_name"]

PREDEFINED = ("bridge", "host", "none")
_RESERVED = (*PREDEFINED, "container", "default", "loopback", "pasta", "private")
_NOTHING: Mapping[str, str] = {}


class Definition(NamedTuple):
    """A network as it was asked for; `created` in nanoseconds since 1970. `given`: its subnet was."""

    id: str
    name: str
    created: int
    bridge: str
    subnet: str
    gateway: str
    span: str = ""
    subnet6: str = ""
    gateway6: str = ""
    internal: bool = False
    masquerade: bool = True
    mtu: int = 0
    given: bool = False
    labels: Mapping[str, str] = _NOTHING
    options: Mapping[str, str] = _NOTHING


class Definitions:
    """The networks kept below a directory. What changes them is done under a lock."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def all(self) -> list[Definition]:
        """Every network, by name."""
        try:
            paths = sorted(path for path in self._root.iterdir() if path.name.endswith(".json"))
        except FileNotFoundError:
            return []
        return [found for path in paths if (found := self._read(path.name.removesuffix(".json"))) is not None]

    def find(self, text: str) -> Definition | None:
        """The network of that name or id, or whose id begins so; a name wins over a beginning."""
        found = None if text.startswith(".") or "/" in text or not text else self._read(text)
        if found is not None:
            return found
        if not text or set(text) - set("0123456789abcdef"):
            return None
        like = [one for one in self.all() if one.id.startswith(text)]
        if len(like) > 1:
            raise InvalidError(
                f"{text} is the beginning of several network ids",
                code="ambiguous-id",
                hint="give more digits; `tiffin network ls` lists them",
            )
        return like[0] if like else None

    def need(self, text: str) -> Definition:
        """The same. Raises NotFoundError with the nearest names."""
        found = self.find(text)
        if found is None:
            raise NotFoundError(
                f"network {text} not found", code="no-such-network", hint=_hint(text, self.all())
            )
        return found

    def add(self, name: str, make: Callable[[list[Definition]], Definition]) -> Definition:
        """Keep a new network, which `make` decides on, knowing the others. Raises ConflictError."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with files.lock(self._root / ".lock"):
            if self._read(name) is not None:
                raise ConflictError(f"network with name {name} already exists", code="name-taken")
            made = make(self.all())
            files.atomic_write(self._root / f"{name}.json", json.dumps(made._asdict()).encode())
        return made

    def remove(self, name: str) -> None:
        """Forget it."""
        with files.lock(self._root / ".lock"):
            (self._root / f"{name}.json").unlink(missing_ok=True)
            files.sync_directory(self._root)

    def _read(self, name: str) -> Definition | None:
        try:
            wire: dict[str, Any] = json.loads((self._root / f"{name}.json").read_bytes())
        except FileNotFoundError:
            return None
        return Definition(**{key: value for key, value in wire.items() if key in Definition._fields})


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a network that a user makes."""
    if name in _RESERVED:
        raise InvalidError(
            f"a network cannot be called {name}: the word stands for one that is there already",
            code="predefined-network",
        )
    plain = name.isascii() and name.replace("_", "a").replace("-", "a").replace(".", "a").isalnum()
    if not plain or not name[0].isalnum() or len(name) > 128:
        raise InvalidError(
            f"{name!r} cannot be the name of a network",
            code="invalid-name",
            hint="use a-z, A-Z, 0-9, _, . and -, the first a letter or digit",
        )


def _hint(text: str, known: Iterable[Definition]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(text, [one.name for one in known], 2, 0.6)
    return f"did you mean {' or '.join(near)}?" if near else f"make it first: tiffin network create {text}"
