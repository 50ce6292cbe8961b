"""Namespaces that a container shares with another one (`--pid`, `--ipc container:NAME`), found at each start.

Namespaces belong to a user namespace, and what is mounted for them can be mounted only by its root. So a
container that shares processes or IPC with another shares its user namespace too, as in Docker. As root the
child joins it; without root the whole command does, before it enters one of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tiffin.container import state
from tiffin.container.record import Records
from tiffin.engine.standing import directory_of
from tiffin.errors import ConflictError, InvalidError, NotFoundError, UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.oci.runtimespec import IDMapping, Mount, Namespace
from tiffin.runtime.exec import read_map

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.oci.runtimespec import RuntimeSpec

    Words = tuple[tuple[str, str], ...]

PREFIX = "container:"
_SHM = "/dev/shm"  # noqa: S108 # it is the shared memory
_FILES = {"pid": "pid", "ipc": "ipc"}
_OF_IPC = re.compile(r"kernel\.(msg|sem|shm)|fs\.mqueue\.")


def partners(words: Words) -> dict[str, str]:
    """Return the names of the containers whose namespaces are to be shared, by the kind of namespace."""
    return {
        name: text.removeprefix(PREFIX) for name, text in words if name in _FILES and text.startswith(PREFIX)
    }


def enter_beside(engine: Engine, records: Iterable[tuple[str, Words]]) -> None:
    """Without root: enter the user namespace of the container that one of these shares something with.

    They are given by network and options. Raises ConflictError if it does not run, UnsupportedError if
    there is more than one such container.
    """
    if engine.rung is Rung.ROOT:
        engine.enter()
        return
    names = {
        name for network, words in records for name in (*partners(words).values(), *_of_network(network))
    }
    found = {partner(engine, name, f"{PREFIX}{name}")[1] for name in names}
    if len(found) > 1:
        raise UnsupportedError(
            "without root only containers that share with the same one can be started at a time",
            code="other-user-namespace",
            hint="start them one by one; share all namespaces with one container",
            exit_status=125,
        )
    engine.footing.enter(beside=found.pop() if found else 0)


def shared(engine: Engine, record: Record, spec: RuntimeSpec) -> RuntimeSpec:
    """Return the spec with the namespaces of the others, which have to run."""
    asked = partners(record.security)
    if not asked:
        return spec
    if len({partner(engine, name, f"--{kind} {PREFIX}{name}")[0].id for kind, name in asked.items()}) > 1:
        raise UnsupportedError(
            "--pid and --ipc can be shared with one container only: they belong to its user namespace",
            code="other-user-namespace",
            hint="name the same container with both",
            exit_status=125,
        )
    kind, name = next(iter(asked.items()))
    other, pid = partner(engine, name, f"--{kind} {PREFIX}{name}")
    if "ipc" in asked and dict(other.security).get("ipc") != "shareable":
        raise ConflictError(
            f"--ipc {PREFIX}{name}: the IPC of {other.name} is its own",
            code="not-shareable",
            hint="start that one with --ipc shareable",
            exit_status=125,
        )
    spec = _with_users(spec, pid, name)
    paths = {kind: f"/proc/{pid}/ns/{_FILES[kind]}" for kind in asked}
    kept = tuple(space for space in spec.linux.namespaces if space.type not in paths)
    added = tuple(Namespace(kind, path) for kind, path in paths.items())
    linux = msgspec.structs.replace(spec.linux, namespaces=(*kept, *added))
    if "ipc" not in asked:
        return msgspec.structs.replace(spec, linux=linux)
    own = {key: value for key, value in linux.sysctl.items() if not _OF_IPC.match(key)}
    memory = Mount(_SHM, "bind", f"/proc/{pid}/root{_SHM}", ("bind", "nosuid", "nodev", "noexec"))
    mounts = tuple(memory if entry.destination == _SHM else entry for entry in spec.mounts)
    return msgspec.structs.replace(spec, linux=msgspec.structs.replace(linux, sysctl=own), mounts=mounts)


def _with_users(spec: RuntimeSpec, pid: int, name: str) -> RuntimeSpec:
    """Return the spec with the user namespace of the process, if that is not ours."""
    path = f"/proc/{pid}/ns/user"
    ours = inode(path) == inode("/proc/self/ns/user")
    if not spec.linux.uid_mappings:
        if not ours:
            raise ConflictError(
                f"the container {name} has a user namespace of its own, which this one cannot be in",
                code="other-user-namespace",
                hint="leave --userns host away; without root, start it by itself: tiffin start NAME",
                exit_status=125,
            )
        return spec
    if ours:
        raise ConflictError(
            f"the container {name} has no user namespace of its own, as this one has",
            code="other-user-namespace",
            hint="give this one --userns host too",
            exit_status=125,
        )
    spaces = tuple(space for space in spec.linux.namespaces if space.type != "user")
    linux = msgspec.structs.replace(
        spec.linux,
        namespaces=(*spaces, Namespace("user", path)),
        uid_mappings=tuple(IDMapping(*line) for line in read_map(pid, "uid")),
        gid_mappings=tuple(IDMapping(*line) for line in read_map(pid, "gid")),
    )
    return msgspec.structs.replace(spec, linux=linux)


def _of_network(network: str) -> tuple[str, ...]:
    return (network.removeprefix(PREFIX),) if network.startswith(PREFIX) else ()


def partner(engine: Engine, name: str, option: str) -> tuple[Record, int]:
    """Return the container that an option names, and its first process. ConflictError if it has none."""
    if not name:
        raise InvalidError(f"{option}: the name of the container is missing", code="usage", exit_status=125)
    other = Records(engine.db).find(name)
    if other is None:
        raise NotFoundError(
            f"{option}: there is no container {name}",
            code="no-such-container",
            hint="`tiffin ps -a` lists them",
            exit_status=125,
        )
    pid = state.read(directory_of(engine, other)).pid
    if not pid:
        raise ConflictError(
            f"{option}: the container {other.name} is not running",
            code="not-running",
            hint=f"start it first: tiffin start {other.name}",
            exit_status=125,
        )
    return other, pid


def inode(path: str) -> int:
    """Return what tells the namespace at the path from every other, 0 if it is gone."""
    try:
        return Path(path).stat().st_ino
    except OSError:
        return 0
