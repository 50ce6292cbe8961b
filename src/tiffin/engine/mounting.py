"""Mounts of a container: from what was asked for to what is kept, and from there to what is mounted.

Volumes are made and filled, and images unpacked, when the container is made; a part of a volume, an
image and the propagation of mounts are looked at when it starts.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.container import mounts
from tiffin.container.mounts import TmpfsMount, VolumeMount
from tiffin.container.record import MountRecord, Records
from tiffin.container.volumeoptions import parse_options
from tiffin.engine.lent import recall
from tiffin.engine.ownership import give
from tiffin.engine.shifted import Swapped
from tiffin.engine.standing import say, volumes_of
from tiffin.engine.userns import exchanged
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.oci.runtimespec import Mount
from tiffin.runtime.model import LayersMount, PartMount

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.container.record import Record
    from tiffin.container.volumes import Volumes
    from tiffin.engine.engine import Engine
    from tiffin.engine.lookup import Found
    from tiffin.engine.request import RunRequest
    from tiffin.oci.config import ContainerConfig
    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.runtime.model import Inlay
    from tiffin.snapshot.merged import MergedTree

__all__ = ["Gatherer", "inlays", "propagation", "spec_mounts"]

_NO_LABELS = "the option z has no effect: containers of tiffin are not confined by labels of SELinux"


class Gatherer:
    """Makes what the container `identity` is to mount.

    `find` returns an image by its name, unpacked, fetched if need be.
    """

    def __init__(self, engine: Engine, identity: str, tree: MergedTree, find: Callable[[str], Found]) -> None:
        self._engine = engine
        self._identity = identity
        self._tree = tree
        self._find = find
        self._volumes: Volumes = volumes_of(engine)
        self._made: list[str] = []
        self._shared: list[str] = []
        self._owned: list[MountRecord] = []

    def gather(self, request: RunRequest, config: ContainerConfig | None) -> tuple[MountRecord, ...]:
        """Return all mounts: those that were asked for, then those of other containers and of the image.

        Without a `config` none of the image's.
        """
        here = str(Path.cwd())
        asked: list[VolumeMount | TmpfsMount] = [
            *(mounts.parse_volume(text, here) for text in request.volumes),
            *request.mounts,
            *(mounts.parse_tmpfs(text) for text in request.tmpfs),
        ]
        targets = [mount.target for mount in asked]
        for target in targets:
            if targets.count(target) > 1:
                raise InvalidError(f"{target} is mounted twice", code="duplicate-mount", exit_status=125)
        of_mount = len(request.volumes), len(request.volumes) + len(request.mounts)
        found = [
            self._one(mount)._replace(asked="mount" if of_mount[0] <= number < of_mount[1] else "")
            for number, mount in enumerate(asked)
        ]
        inherited = self._inherited(request.volumes_from, targets)
        targets += inherited
        of_image = [mounts.parse_volume(target, "/") for target in (config and config.volumes) or ()]
        own = [self._one(mount)._replace(asked="other") for mount in of_image if mount.target not in targets]
        return (*found, *inherited.values(), *own)

    def settle(self, record: Record, spec: RuntimeSpec) -> None:
        """Give what is to belong to the container's user to it."""
        if not self._owned:
            return
        owner = spec.process.user.uid, spec.process.user.gid
        if record.keeps_id and (own := exchanged(self._engine, record.security)):
            owner = Swapped(own).counterparts(*owner)
        for mount in self._owned:
            give(self._engine, mount, *owner)

    def discard(self) -> None:
        """Take away the volumes that were made, and let go of others, when there will be no container."""
        for name in self._made:
            self._volumes.remove(name)
        self._volumes.let_go(self._shared, self._identity)

    def _inherited(self, others: tuple[str, ...], taken: list[str]) -> dict[str, MountRecord]:
        """What other containers mount, by target, but for what is `taken`; of several the last counts."""
        found: dict[str, MountRecord] = {}
        for text in others:
            name, _, mode = text.partition(":")
            if mode not in ("", "ro", "rw"):
                raise InvalidError(
                    f"--volumes-from {text}: unknown option {mode!r}", hint="it is ro or rw", exit_status=125
                )
            other = Records(self._engine.db).need(name)
            for mount in other.mounts:
                if mount.kind != "tmpfs" and mount.target not in taken:
                    read_only = mount.read_only or mode == "ro"
                    found[mount.target] = mount._replace(read_only=read_only, mode="", asked="other")
        for mount in found.values():
            if mount.anonymous:
                self._volumes.share(mount.name, self._identity)
                self._shared.append(mount.name)
        return found

    def _one(self, mount: VolumeMount | TmpfsMount) -> MountRecord:
        if isinstance(mount, TmpfsMount):
            return MountRecord("tmpfs", mount.target, ",".join(mount.options))
        if mount.relabel:
            say(self._engine, _NO_LABELS)
        if mount.kind == "image":
            return self._image(mount)
        made = self._bind(mount) if mount.kind == "bind" else self._volume(mount)
        if mount.owned:
            self._owned.append(made)
        return made

    def _bind(self, mount: VolumeMount) -> MountRecord:
        if not os.path.lexists(mount.source):  # as Docker does: a folder that is missing is made
            Path(mount.source).mkdir(parents=True, exist_ok=True)
        return MountRecord(
            "bind",
            mount.target,
            mount.source,
            read_only=mount.read_only,
            propagation=mount.propagation,
            recursion=mount.recursion,
            mode=mount.mode,
        )

    def _volume(self, mount: VolumeMount) -> MountRecord:
        name = mount.source or os.urandom(32).hex()
        options, anonymous = dict(mount.options), not mount.source
        parse_options(options)
        if self._volumes.create(
            name,
            time.time_ns(),
            labels=dict(mount.labels),
            anonymous=anonymous,
            options=options,
            user=self._identity if anonymous else "",
        ):
            self._made.append(name)
            self._engine.happened("volume", "create", name, driver="local")
        recall(self._engine, name)
        device = parse_options(self._volumes.find(name).options)
        if device is None:
            copies = mount.copy and not mount.subpath
            self._volumes.fill(name, self._tree, mount.target if copies else None)
        if device is not None and not device.source and (mount.subpath or mount.owned):
            raise InvalidError(
                f"the volume {name} is in memory, and new at each start: it has no parts, and is root's",
                code="volume-in-memory",
                hint="say uid=… among its options for another owner",
                exit_status=125,
            )
        words = device.words if device else ()
        return MountRecord(
            "volume",
            mount.target,
            device.source if device else str(self._volumes.path(name)),
            name,
            mount.read_only or "ro" in words,
            anonymous,
            subpath=mount.subpath,
            recursion=mount.recursion,
            mode=mount.mode or ("" if anonymous else "z"),
            options=words,
        )

    def _image(self, mount: VolumeMount) -> MountRecord:
        found = self._find(mount.source)
        layers = tuple(str(diff_id) for diff_id in found.config.rootfs.diff_ids)
        if not layers:
            raise InvalidError(
                f"the image {mount.source} has no files that could be mounted", exit_status=125
            )
        tree = self._engine.layers.tree(found.config.rootfs.diff_ids)
        if mount.subpath and tree.resolve(mount.subpath).node is None:
            raise NotFoundError(
                f"there is no {mount.subpath} in the image {mount.source}",
                code="no-such-subpath",
                exit_status=125,
            )
        return MountRecord(
            "image",
            mount.target,
            mount.source,
            read_only=True,
            subpath=mount.subpath,
            image_id=str(found.image_id),
            layers=layers,
        )


def spec_mounts(engine: Engine, record: Record) -> tuple[Mount, ...]:
    """Return what the runtime spec says of the mounts; of an image, and of a part, it has no words."""
    found = []
    for mount in record.mounts:
        if mount.kind == "tmpfs":
            found.append(Mount(mount.target, "tmpfs", "tmpfs", tuple(mount.source.split(","))))
        elif mount.kind == "volume" and not mount.source:
            words = (*mount.options, *(["ro"] if mount.read_only and "ro" not in mount.options else []))
            found.append(Mount(mount.target, "tmpfs", "tmpfs", words))
        elif not _is_inlay(mount):
            found.append(Mount(mount.target, "bind", mount.source, _words(engine, mount)))
    return tuple(found)


def _words(engine: Engine, mount: MountRecord) -> tuple[str, ...]:
    single = mount.recursion == "disabled" or "bind" in mount.options
    own = ("idmap",) if engine.rung is Rung.ROOT else ()
    read_only = ("ro",) if mount.recursion == "writable" else ("rro",)
    attributes = tuple(word for word in mount.options if word.startswith("no"))
    return (
        "bind" if single else "rbind",
        f"r{_kind(mount) or 'private'}",
        *own,
        *(read_only if mount.read_only else ()),
        *attributes,
    )


def _kind(mount: MountRecord) -> str:
    """The propagation without the letter that says: of what is below too. It always is."""
    return mount.propagation.removeprefix("r")


def propagation(record: Record) -> str:
    """Return what mounts ask of the propagation of the container's root, in the words of the runtime spec."""
    asked = {_kind(mount) for mount in record.mounts}
    return "shared" if "shared" in asked else "rslave" if "slave" in asked else ""


def inlays(engine: Engine, record: Record) -> tuple[Inlay, ...]:
    """Return those mounts that the spec does not have. Raises what stands in the way of any of them."""
    for mount in record.mounts:
        if _kind(mount) in ("shared", "slave"):
            _check_propagation(engine, mount)
        if mount.kind == "volume":
            recall(engine, mount.name, record.id)
    return tuple(_inlay(engine, mount) for mount in record.mounts if _is_inlay(mount))


def _is_inlay(mount: MountRecord) -> bool:
    return mount.kind == "image" or bool(mount.subpath)


def _inlay(engine: Engine, mount: MountRecord) -> Inlay:
    if mount.kind != "image":
        return PartMount(mount.target, mount.source, mount.subpath, mount.read_only)
    places = tuple(str(engine.home.layers / layer.partition(":")[2]) for layer in reversed(mount.layers))
    if len(places) == 1:  # an overlay of layers alone has two at least
        return PartMount(mount.target, places[0], mount.subpath or ".", readonly=True)
    return LayersMount(mount.target, places, None, mount.subpath)


def _check_propagation(engine: Engine, mount: MountRecord) -> None:
    from tiffin.linux.mountinfo import mount_of, read_mounts

    asked = _kind(mount)
    if asked == "shared" and engine.rung is not Rung.ROOT:
        raise UnsupportedError(
            f"{mount.source}: what containers of an ordinary user mount cannot be seen outside of them",
            code="no-propagation",
            hint="use rslave, by which the container sees what is mounted here; or run tiffin as root",
            exit_status=125,
        )
    over = mount_of(read_mounts(), os.path.realpath(mount.source))
    if "shared" in over.peers or (asked == "slave" and "master" in over.peers):
        return
    kinds = "a shared mount" if asked == "shared" else "a shared or slave mount"
    raise InvalidError(
        f"path {mount.source} is mounted on {over.point} but it is not {kinds}",
        code="no-propagation",
        hint=f"make it one: mount --make-shared {over.point}",
        exit_status=125,
    )
