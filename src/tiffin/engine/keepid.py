"""What a container with `--userns keep-id` has besides its ids: account names, a home, owners on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.engine.shifted import Swapped
from tiffin.engine.standing import Top, directory_of
from tiffin.engine.userns import accounts, exchanged, kept
from tiffin.errors import UnsupportedError
from tiffin.linux.files import atomic_write
from tiffin.oci.runtimespec import Mount

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.snapshot.merged import MergedTree

__all__ = ["Kept", "keep_id", "refuse"]

_TABLES = ("passwd", "group")


class Kept(NamedTuple):
    """The container's spec and the owner of its root directory; `files` belong into its own directory."""

    spec: RuntimeSpec
    top: Top
    files: tuple[tuple[str, bytes], ...] = ()

    def write(self, directory: Path) -> None:
        """Write the files."""
        for name, data in self.files:
            path = directory / name
            atomic_write(path, data)


def keep_id(engine: Engine, record: Record, spec: RuntimeSpec, top: Top, tree: MergedTree) -> Kept:
    """Return what the container is to have, in which the account is a user of its own."""
    own = kept(engine, record.security)
    if own is None:
        return Kept(spec, top)
    swapped = exchanged(engine, record.security)
    if swapped is not None:
        top = Top(*Swapped(swapped).counterparts(top.uid, top.gid), top.mode)
    spec, home = _at_home(engine, record, spec, own[0])
    found = [tree.read(f"/etc/{name}") for name in _TABLES]
    wanted = accounts(own, home, *found)
    taken = {mount.target for mount in record.mounts}
    files = tuple(
        (name, data)
        for name, data, before in zip(_TABLES, wanted, found, strict=True)
        if data != before and f"/etc/{name}" not in taken
    )
    directory = directory_of(engine, record)
    mounts = (Mount(f"/etc/{name}", "bind", str(directory / name), ("bind", "rprivate")) for name, _ in files)
    return Kept(msgspec.structs.replace(spec, mounts=(*spec.mounts, *mounts)), top, files)


def refuse(engine: Engine, record: Record, what: str) -> None:
    """Refuse to tell the owners of such a container's files: those of root and account are mixed."""
    if record.keeps_id and kept(engine, record.security) is not None:
        raise UnsupportedError(
            f"the container {record.name} cannot be {what}: its files have other owners (--userns keep-id)",
            code="userns",
            hint="copy what you need with 'tiffin cp', or make it without --userns keep-id",
        )


def _at_home(engine: Engine, record: Record, spec: RuntimeSpec, uid: int) -> tuple[RuntimeSpec, str]:
    """Return the spec with HOME, and that: the account's own if it is mounted, else where it starts."""
    home = engine.settings.environ.get("HOME", "")
    mounted = any(home == mount.target or home.startswith(f"{mount.target}/") for mount in record.mounts)
    home = home if home and mounted else spec.process.cwd
    process = spec.process
    if process.user.uid != uid or "HOME=/" not in process.env:
        return spec, home
    env = tuple(f"HOME={home}" if item == "HOME=/" else item for item in process.env)
    return msgspec.structs.replace(spec, process=msgspec.structs.replace(process, env=env)), home
