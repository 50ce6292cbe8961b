"""Where a RUN step is run if nothing can be mounted: a plain root, with stand-ins for all mounts.

What the step has changed is moved out of the root into the upper directory of the step, as if an overlay had
been there; from then on both are treated alike.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import UnsupportedError
from tiffin.linux import capability
from tiffin.linux.files import open_in_root
from tiffin.linux.isolation import Rung
from tiffin.linux.remove import remove_tree
from tiffin.runtime import kernelfiles, traceable
from tiffin.runtime.chroot import chroot_plan
from tiffin.runtime.model import LayersMount, MemoryFile, PartMount, Rootfs
from tiffin.runtime.plan import make_plan
from tiffin.runtime.recording import JOURNAL
from tiffin.runtime.traced import traced_plan
from tiffin.snapshot.copy import PlainRoot, PlainRoots
from tiffin.snapshot.merged import MergedTree
from tiffin.snapshot.plain import write_tree
from tiffin.snapshot.standins import StandIn, StandIns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.oci.digest import DiffID
    from tiffin.oci.runtimespec import Mount, RuntimeSpec
    from tiffin.runtime.model import Inlay, Plan
    from tiffin.snapshot.layers import LayerStore

_SUDO = ("usr/bin/sudo", "usr/bin/doas")


class _Site(NamedTuple):
    root: PlainRoot
    standins: StandIns


class PlainGround:
    """The roots of one build's steps, each known by the step's workspace. Safe for threads."""

    def __init__(self, layers: LayerStore, rung: Rung) -> None:
        """Where the rung has walls a step has namespaces, and mounts in them; else stand-ins for mounts."""
        self._rung = rung
        self._layers = layers
        self._roots = PlainRoots(layers)
        self._sites: dict[Path, _Site] = {}
        self._caches = os.fspath(layers.home.cache)

    def plan(
        self, spec: RuntimeSpec, inlays: Sequence[Inlay], work: Path, stack: Sequence[DiffID], machine: str
    ) -> Plan:
        """Return the plan of the step, whose root is made first; again, for a shell in the same root.

        A user who has sudo may use it, and is without a /proc that answers.
        """
        if self._rung.has_walls:
            return self._mounted(spec, inlays, work, stack, machine)
        if self._rung is Rung.TRACED:
            traceable.check()
        if any(each.type == "network" and not each.path for each in spec.linux.namespaces):
            raise UnsupportedError(
                f"RUN --network=none is not possible on the rung {self._rung.value}: a step shares the "
                "network of the surrounding container",
                code="no-private-network",
                hint="give that container the capability SYS_ADMIN, or leave --network=none out",
            )
        if work not in self._sites:
            root = self._roots.take(stack)
            site = self._site(root)
            self._sites[work] = site
            place = work / "standins"
            place.mkdir()
            site.standins.put(self._standins(spec, inlays, place))
        top = self._sites[work].root.path
        if self._rung is Rung.TRACED:
            owners = str(work / JOURNAL), (str(top),)
            return traced_plan(spec, top, machine=machine, own=capability.effective(), owners=owners)
        gains = spec.process.user.uid != 0 and any(_has(top, name) for name in _SUDO)
        return chroot_plan(spec, top, machine=machine, own=capability.effective(), gains=gains)

    def pipe(self, work: Path) -> tuple[int, int]:
        """Return both ends of a pipe that the step can open by name too, as /dev/stdout or /dev/stderr."""
        if self._rung is not Rung.CHROOT:
            return os.pipe()
        top = self._sites[work].root.path
        reading = _open(top, "proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
        writing = _open(top, "proc/self/fd/1", os.O_WRONLY)
        os.set_blocking(reading, True)
        return reading, writing

    def _site(self, root: PlainRoot) -> _Site:
        return _Site(root, StandIns(root.path, root.place / "covered", self._layers.owners))

    def _mounted(
        self, spec: RuntimeSpec, inlays: Sequence[Inlay], work: Path, stack: Sequence[DiffID], machine: str
    ) -> Plan:
        if work not in self._sites:
            root = self._roots.take(stack)
            self._sites[work] = self._site(root)
        root = self._sites[work].root
        rootfs = Rootfs((), str(root.path), str(root.place / "work"))
        extra = [self._part(inlay, work / f"copied-{number}") for number, inlay in enumerate(inlays)]
        return make_plan(spec, rootfs, machine=machine, extra=tuple(extra))

    def _part(self, inlay: Inlay, place: Path) -> Inlay:
        """Layers that a step writes to need an overlay: a copy does as well."""
        if not isinstance(inlay, LayersMount) or inlay.place is None:
            return inlay
        place.mkdir()
        write_tree(MergedTree([Path(lower) for lower in inlay.lowers]), place, self._layers.owners)
        return PartMount(inlay.destination, str(place), inlay.subpath or ".")

    def root(self, work: Path) -> Path:
        """The root of the step."""
        return self._sites[work].root.path

    def clear(self, work: Path) -> None:
        """Take out of the step's root what is not its own. Raises FailedError if the step kept some of it."""
        site = self._sites.get(work)
        if site is None:
            return
        back = site.standins.take()
        assert site.root.look is not None
        for path in back:
            site.root.look.renew(site.root.path, path)

    def move_out(self, work: Path, upper: Path) -> None:
        """Move what the step has changed into the empty directory `upper`."""
        self._roots.move_out(self._sites[work].root, upper)

    def give(self, work: Path, became: DiffID | None) -> None:
        """Keep the root for other steps; what was moved out of it is the layer `became`, or nothing."""
        self._roots.give(self._sites.pop(work).root, became)

    def drop(self, work: Path) -> None:
        """Remove the root of a step that came to nothing."""
        site = self._sites.pop(work, None)
        if site is not None:
            self._roots.drop(site.root)

    def close(self) -> None:
        """Remove all roots."""
        self._roots.close()

    def _standins(self, spec: RuntimeSpec, inlays: Sequence[Inlay], place: Path) -> Iterator[StandIn]:
        kernels = kernelfiles.makers(self._rung)
        for target, make in kernels.items():
            made = place / target[1:]
            make(made)
            yield StandIn(target, str(made))
        lent: dict[str, str] = {}
        for number, mount in enumerate(spec.mounts):
            if mount.destination in kernels:
                continue
            if mount.type == "bind":
                yield self._bound(mount, place / str(number), lent)
            elif mount.type == "tmpfs" and not mount.destination.startswith("/dev"):
                (place / str(number)).mkdir()
                (place / str(number)).chmod(0o1777)
                yield StandIn(mount.destination, str(place / str(number)))
        for number, inlay in enumerate(inlays, len(spec.mounts)):
            yield self._inlaid(inlay, place / str(number))

    def _bound(self, mount: Mount, place: Path, lent: dict[str, str]) -> StandIn:
        """A cache is lent, the first time that a step has it; anything else is a copy."""
        if mount.source.startswith(f"{self._caches}/"):
            first = lent.setdefault(mount.source, mount.destination)
            if first == mount.destination:
                return StandIn(mount.destination, mount.source, lent=True)
            place.symlink_to(first)
        elif os.path.isdir(mount.source):
            place.mkdir()
            write_tree(MergedTree([Path(mount.source)]), place, self._layers.owners)
        elif _is_socket(mount.source):
            os.link(mount.source, place)
        else:
            self._copy_file(mount.source, place)
        return StandIn(mount.destination, str(place))

    def _inlaid(self, inlay: Inlay, place: Path) -> StandIn:
        if isinstance(inlay, MemoryFile):
            fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(inlay.data)
                self._layers.owners.change(fd, inlay.uid, inlay.gid)
                self._layers.owners.set_mode(fd, inlay.mode)
        elif isinstance(inlay, LayersMount):
            place.mkdir()
            write_tree(MergedTree([Path(lower) for lower in inlay.lowers]), place, self._layers.owners)
        else:
            remove_tree(place)
        return StandIn(inlay.destination, str(place))

    def _copy_file(self, source: str, place: Path) -> None:
        owners, status = self._layers.owners, os.stat(source)
        shutil.copy2(source, place)
        owners.change(str(place), *owners.read(source, status))
        owners.set_mode(str(place), owners.mode(source, status))


def _open(top: Path, path: str, flags: int) -> int:
    """Open what is there in the root: a link of the image leads nowhere else."""
    fd = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_in_root(fd, path, flags)
    finally:
        os.close(fd)


def _has(top: Path, path: str) -> bool:
    try:
        os.close(_open(top, path, os.O_PATH))
    except OSError:
        return False
    return True


def _is_socket(path: str) -> bool:
    return stat.S_ISSOCK(os.stat(path).st_mode)
