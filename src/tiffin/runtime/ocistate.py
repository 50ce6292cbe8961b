"""What is known of a container of the OCI runtime, on disk: a directory for each, below one root.

States, as the runtime-spec has them: `creating` while `create` is at work, `created` while the first process
waits at its gate, `running`, `paused`, and `stopped` when that process has ended, whatever the reason. Only
the process itself is asked, so that no death of anybody leaves it wrong. Who changes a container holds its
lock.
"""

from __future__ import annotations

import json
import os
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tiffin.errors import ConflictError, CorruptError, InvalidError, NotFoundError
from tiffin.linux.files import atomic_write, lock
from tiffin.linux.process import Identity
from tiffin.linux.remove import remove_tree
from tiffin.runtime.cgroups.given import Groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

Status = Literal["creating", "created", "running", "paused", "stopped"]

GATE = "start.sock"
_STATE, _CONFIG, _LOCK = "state.json", "config.json", "lock"
_NAME = re.compile(r"[\w+.-]{1,1024}", re.ASCII)


class State(NamedTuple):
    """A container: `process` is its first one, `groups` the directories of its cgroups by their names."""

    id: str
    bundle: str
    version: str
    process: Identity = Identity(0, 0)
    rootfs: str = ""
    created: str = ""
    annotations: Mapping[str, str] = MappingProxyType({})
    groups: Mapping[str, str] = MappingProxyType({})


class Directory:
    """The directory of one container."""

    def __init__(self, root: Path, identity: str) -> None:
        if not _NAME.fullmatch(identity) or identity in {".", ".."}:
            raise InvalidError(
                f"invalid container id {identity!r}",
                code="invalid-id",
                hint="letters, digits, underscore, plus, dot and dash make an id",
            )
        self.id = identity
        self.path = root / identity

    def make(self) -> None:
        """Begin a container. Raises ConflictError if there is one of this id."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            raise ConflictError(
                f"container with id {self.id} already exists",
                code="id-taken",
                hint="delete it first, or choose another id",
            ) from None

    def locked(self) -> AbstractContextManager[int]:
        """Within the block nobody else changes the container."""
        self.need()
        return lock(self.path / _LOCK)

    def need(self) -> None:
        """Raise NotFoundError if there is no such container."""
        if not self.path.is_dir():
            raise NotFoundError(
                f"container {self.id} does not exist",
                code="no-such-container",
                hint="'tiffin oci list' shows those that there are; --root says where to look",
            )

    def write(self, state: State) -> None:
        """Keep the state."""
        maps = {"annotations": dict(state.annotations), "groups": dict(state.groups)}
        wire = {**state._asdict(), **maps, "process": list(state.process)}
        atomic_write(self.path / _STATE, json.dumps(wire).encode(), sync=False)

    def read(self) -> State:
        """Return the state. Raises NotFoundError, and CorruptError where it cannot be read."""
        self.need()
        try:
            wire: dict[str, Any] = json.loads((self.path / _STATE).read_bytes())
            return State(**{**wire, "process": Identity(*wire["process"])})
        except FileNotFoundError:
            return State(self.id, "", "")
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptError(f"the state of {self.id} cannot be read: {error}", code="bad-state") from None

    def keep_config(self, data: bytes) -> None:
        """Keep the document as it is now: what becomes of the bundle's does not matter any more."""
        atomic_write(self.path / _CONFIG, data, sync=False)

    def config(self) -> bytes:
        """Return the document that the container was created with."""
        return (self.path / _CONFIG).read_bytes()

    def status(self, state: State, *, held: bool = False) -> Status:
        """Return how the container stands; who has the lock says so, for `create` is not at work then."""
        if not state.process.pid:
            return "creating" if not held and self._at_work() else "stopped"
        if not state.process.alive:
            return "stopped"
        if (self.path / GATE).exists():
            return "created"
        return "paused" if Groups.of(state.groups).frozen else "running"

    def _at_work(self) -> bool:
        """Tell whether somebody holds the lock: `create`, for there is no process yet."""
        import fcntl

        try:
            fd = os.open(self.path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def remove(self) -> None:
        """Forget the container."""
        remove_tree(self.path)


def document(directory: Directory, state: State, status: Status | None = None) -> dict[str, Any]:
    """Return the state as the runtime-spec has it; with `status` another one than it is."""
    told = status or directory.status(state)
    return {
        "ociVersion": state.version,
        "id": state.id,
        "status": told,
        "pid": 0 if told == "stopped" else state.process.pid,
        "bundle": state.bundle,
        **({"annotations": dict(state.annotations)} if state.annotations else {}),
    }


def containers(root: Path) -> Iterator[tuple[Directory, State]]:
    """Yield all containers, by their ids."""
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        if path.is_dir() and _NAME.fullmatch(path.name):
            directory = Directory(root, path.name)
            try:
                yield directory, directory.read()
            except (NotFoundError, CorruptError):
                continue
