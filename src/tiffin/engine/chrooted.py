"""Containers on the rungs chroot and traced: a plain root in their directory, with stand-ins for mounts.

What stands in for mounts is put in anew at each start.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.container.lending import give_back, lend
from tiffin.engine import chrootmounts
from tiffin.engine.plainroot import APART, apart, make_root
from tiffin.engine.standing import FILES, ROOT, directory_of, say
from tiffin.errors import UnsupportedError
from tiffin.linux import capability
from tiffin.linux.files import atomic_write, open_in_root
from tiffin.linux.isolation import Rung
from tiffin.linux.remove import remove_at, remove_tree
from tiffin.runtime import kernelfiles, traceable
from tiffin.runtime.chroot import chroot_plan, lowered
from tiffin.runtime.recording import JOURNAL
from tiffin.runtime.traced import traced, traced_plan
from tiffin.snapshot.merged import MergedTree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.engine.request import RunRequest
    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.runtime.model import Plan
    from tiffin.runtime.process import Process
    from tiffin.runtime.traced import Keeping

__all__ = ["check", "furnish", "limited", "plan_of"]

_COVERED = "covered"
_NETWORKS = ("", "host", "default", "bridge", "private")
_REMEDY = "give the surrounding container the capability SYS_ADMIN; `tiffin doctor` says more"


def check(engine: Engine, request: RunRequest) -> RunRequest:
    """Return the request as it can be had here. Raises UnsupportedError for what cannot."""
    if engine.rung is Rung.TRACED:
        traceable.check()
    words = {name for name, _ in request.security}
    for asked, what in (
        (request.read_only, "a root filesystem that cannot be written (--read-only)"),
        (
            request.network not in _NETWORKS or request.networks,
            f"the network {request.network or 'asked for'}",
        ),
        (request.devices or request.gpus or request.cdi_devices, "devices"),
        (words & {"userns", "pid", "ipc", "uts", "cgroupns"}, f"namespaces ({', '.join(sorted(words))})"),
        (request.runtime, "another runtime"),
    ):
        if asked:
            raise UnsupportedError(
                f"{what} cannot be had on the rung {engine.rung.value}, where there are no mounts and no "
                "namespaces",
                code="not-on-this-rung",
                hint=_REMEDY,
                exit_status=125,
            )
    chrootmounts.check_asked(engine.rung, request)
    return request._replace(network="host")


def plan_of(engine: Engine, record: Record, spec: RuntimeSpec) -> Plan:
    """The container's plan. Raises UnsupportedError for mounts that cannot be had."""
    chrootmounts.check(engine.rung, record)
    root, gains = make_root(engine, record), not spec.process.no_new_privileges
    if engine.rung is Rung.TRACED:
        own, owners = capability.effective(), _keeping(engine, record)
        return traced_plan(spec, root, machine=os.uname().machine, own=own, owners=owners)
    return chroot_plan(spec, root, machine=os.uname().machine, own=capability.effective(), gains=gains)


def limited(engine: Engine, record: Record, process: Process) -> Process:
    """A further process with no more rights than the first."""
    if engine.rung is Rung.TRACED:
        top, owners = directory_of(engine, record) / ROOT, _keeping(engine, record)
        return traced(process, capability.effective(), str(top), os.uname().machine, owners)
    root = directory_of(engine, record) / ROOT if process.no_new_privs else ""
    return lowered(process, capability.effective(), str(root), os.uname().machine)


def _keeping(engine: Engine, record: Record) -> Keeping:
    directory = directory_of(engine, record)
    return str(directory / JOURNAL), (str(directory / ROOT),)


def furnish(engine: Engine, record: Record) -> bool:
    """Put into the root what elsewhere is mounted: kernel files, devices, names; anew at each start.

    Returns whether there are volumes in it, which are to go back.
    """
    say(engine, _NO_WALL.format(engine.rung.means))
    directory = directory_of(engine, record)
    lent = chrootmounts.call_in(engine, record, directory)
    try:
        _furnish(engine, record, directory)
    except BaseException:
        give_back(directory)
        raise
    return lent


def _furnish(engine: Engine, record: Record, directory: Path) -> None:
    root, covered = directory / ROOT, directory / _COVERED
    covered.mkdir(exist_ok=True)
    aside = apart(directory)
    place = directory / "making"
    remove_tree(place)
    place.mkdir()
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    volumes = {Path(mount.source) for mount in record.mounts if chrootmounts.is_lent(mount)}
    placed: dict[str, bool] = {}
    try:
        for target, source in _standins(engine, record, directory, place):
            path = MergedTree([root]).resolve(target).path[1:]
            chrootmounts.check_place(path, lent=source in volumes, others=placed.items())
            placed[path] = source in volumes
            for parent in _missing(root, path, aside):
                (root / parent).mkdir()
                (root / parent).chmod(0o755)
                aside[parent] = False
            parent, _, name = path.rpartition("/")
            fd = open_in_root(top, parent, os.O_RDONLY | os.O_DIRECTORY, links=False)
            try:
                _make_way(fd, root / path, path, aside, covered)
                if placed[path]:
                    _note(directory, aside)  # after a kill too the volume is no part of what it has written
                    lend(source, record.id, top, path)
                else:
                    os.rename(source, name, dst_dir_fd=fd)
            finally:
                os.close(fd)
    finally:
        os.close(top)
    _note(directory, aside)
    remove_tree(place)


def _make_way(fd: int, place: Path, path: str, aside: dict[str, bool], covered: Path) -> None:
    """Take away what is at the path, in the open directory: what is the container's own comes back."""
    if path in aside or not os.path.lexists(place):
        aside.setdefault(path, False)
        remove_at(fd, place.name)
    else:
        aside[path] = True
        os.rename(place.name, covered / str(len(aside)), src_dir_fd=fd)


def _note(directory: Path, aside: dict[str, bool]) -> None:
    atomic_write(directory / APART, json.dumps(aside).encode(), sync=False)


def _standins(engine: Engine, record: Record, directory: Path, place: Path) -> Iterator[tuple[str, Path]]:
    for target, make in kernelfiles.makers(engine.rung).items():
        make(place / target[1:])
        yield target, place / target[1:]
    for name in FILES:
        shutil.copyfile(directory / name, place / name)
        (place / name).chmod(0o644)
        yield f"/etc/{name}", place / name
    for number, mount in enumerate(record.mounts):
        if chrootmounts.is_lent(mount):
            yield mount.target, Path(mount.source)
        else:
            yield mount.target, chrootmounts.copied(engine, mount, place / str(number))


def _missing(root: Path, path: str, aside: dict[str, bool]) -> list[str]:
    """The directories above `path` that are not there."""
    parts = path.split("/")[:-1]
    above = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    return [each for each in above if not os.path.lexists(root / each) and aside.get(each) is not True]


_NO_WALL = (
    "the container is isolated by {} alone, because nothing can be mounted here: it sees the processes "
    "and the network of the surrounding container; `tiffin doctor` says what would change that"
)
