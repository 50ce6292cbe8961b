"""What `-v` and `--mount` are where nothing can be mounted.

A volume lies in the root of the one container that has it, as `container.lending` says; what is read-only is
a copy, made at each start. A folder of this machine would be away from its place after a kill, so that is
refused.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.container import lending, mounts
from tiffin.container.mounts import TmpfsMount
from tiffin.engine.lent import recall
from tiffin.engine.standing import say
from tiffin.errors import FailedError, InvalidError, UnsupportedError
from tiffin.oci.digest import DiffID
from tiffin.snapshot.merged import MergedTree
from tiffin.snapshot.plain import write_tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.container.record import MountRecord, Record
    from tiffin.engine.engine import Engine
    from tiffin.engine.request import RunRequest
    from tiffin.linux.isolation import Rung

__all__ = ["call_in", "check", "check_asked", "check_place", "copied", "is_lent"]

_CODE = "not-on-this-rung"
_COPY = "{}: where nothing can be mounted this is a copy, made at each start; what is written into it is lost"


def check_asked(rung: Rung, request: RunRequest) -> None:
    """Raise UnsupportedError for folders of this machine that are to be written to."""
    asked = (*(mounts.parse_volume(text, "/") for text in request.volumes), *request.mounts)
    for mount in asked:
        if not isinstance(mount, TmpfsMount) and mount.kind == "bind" and not mount.read_only:
            raise _refused(rung, f"{mount.target}: a folder of this machine that a container writes to")


def check(rung: Rung, record: Record) -> None:
    """The same for all that the container has, also from other containers and by options of volumes."""
    for mount in record.mounts:
        folder = mount.kind == "bind" or (mount.kind == "volume" and mount.options and mount.source)
        if folder and not mount.read_only:
            raise _refused(rung, f"{mount.target}: a folder of this machine that a container writes to")
        if mount.subpath and not mount.read_only:
            raise _refused(rung, f"{mount.target}: a part of a volume that a container writes to")
    lent = [mount.name for mount in record.mounts if is_lent(mount)]
    for name in lent:
        if lent.count(name) > 1:
            raise _refused(rung, f"the volume {name} at two places of a container")


def _refused(rung: Rung, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} cannot be had on the rung {rung.value}, where there are no mounts",
        code=_CODE,
        hint="have it read-only (:ro), as a copy, or take a volume (-v NAME:/place) and `tiffin cp`; or give "
        "the surrounding container the capability SYS_ADMIN",
        exit_status=125,
    )


def is_lent(mount: MountRecord) -> bool:
    """Whether it is a volume that goes into the container itself."""
    return mount.kind == "volume" and bool(mount.source) and not mount.read_only


def call_in(engine: Engine, record: Record, directory: Path) -> bool:
    """Have all its volumes in their places, and tell that they are about to go; whether there are any.

    Raises ConflictError if another container has one of them.
    """
    lending.take_back(directory)
    for mount in record.mounts:
        if mount.name:
            recall(engine, mount.name, record.id)
    names = {mount.name for mount in record.mounts if is_lent(mount)}
    if names:
        lending.announce(directory, names)
    return bool(names)


def check_place(path: str, *, lent: bool, others: Iterable[tuple[str, bool]]) -> None:
    """Raise InvalidError if a volume would lie in what stands in for another mount, or that in a volume."""
    for other, is_volume in others:
        inside = f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")
        if inside and (lent or is_volume):
            raise InvalidError(
                f"/{path} and /{other} lie in one another: a volume may not where nothing is mounted",
                code="nested-mounts",
                hint="choose another place in the container",
                exit_status=125,
            )


def copied(engine: Engine, mount: MountRecord, place: Path) -> Path:
    """Make, at `place`, what is at the mount in the beginning; return it."""
    if mount.kind == "tmpfs" or not mount.source:
        place.mkdir()
        place.chmod(0o1777)
        return place
    if mount.kind == "image":
        layers = [engine.layers.path(DiffID(layer)) for layer in reversed(mount.layers)]
        return _copy(engine, MergedTree(layers), mount, place)
    say(engine, _COPY.format(mount.target))
    source = Path(os.path.realpath(mount.source))
    if engine.home.root.resolve().is_relative_to(source):
        raise InvalidError(
            f"{mount.source} cannot be copied into a container: the store lies in it",
            code="store-in-mount",
            hint="mount a folder beside the store",
            exit_status=125,
        )
    try:
        if source.is_dir():
            return _copy(engine, MergedTree([source]), mount, place)
        _copy_file(source, place)
    except (OSError, shutil.Error) as error:
        raise FailedError(
            f"{mount.source} cannot be copied: {error}", code="not-copied", exit_status=125
        ) from error
    return place


def _copy(engine: Engine, tree: MergedTree, mount: MountRecord, place: Path) -> Path:
    """Copy a tree, or a part of it."""
    place.mkdir()
    write_tree(tree, place, engine.owners)
    if not mount.subpath:
        return place
    return place / MergedTree([place]).resolve(mount.subpath).path.strip("/")


def _copy_file(source: Path, place: Path) -> None:
    status = source.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnsupportedError(
            f"{source} is no file and no folder, and cannot be copied into a container",
            code=_CODE,
            hint="sockets and devices take mounts: give the surrounding container the capability SYS_ADMIN",
            exit_status=125,
        )
    shutil.copy2(source, place)
    os.chown(place, status.st_uid, status.st_gid)
    place.chmod(stat.S_IMODE(status.st_mode))
