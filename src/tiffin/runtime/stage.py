"""The bundle of a container that another runtime starts: a mounted root filesystem, with owners shifted.

A runtime wants one directory as the root, and few of them know how to shift owners. So this process gets a
mount namespace of its own in which the layers lie at `rootfs`, and every mount that is to be shifted is there
already. Nobody else sees them, and when the last process in it has ended they are gone.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import errno
import json
import os
import stat

from tiffin.linux import mount, namespace, terminal
from tiffin.runtime.init import take_root
from tiffin.runtime.roots import OverlayRoot, Setup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Self

    from tiffin.runtime.model import Plan

CONFIG, ROOTFS = "config.json", "rootfs"
_OWNERS = {"idmap", "ridmap"}
_HYBRID = "/sys/fs/cgroup/unified"
_CGROUP2 = 0x63677270


def build(bundle: str, plan: Plan, config: dict[str, Any]) -> None:
    """Fill the bundle, a directory that others may pass through: root filesystem, mounts, config.json.

    Call it from a process with a single thread: it leaves its mount namespace.
    """
    namespace.unshare(namespace.NEWNS)
    mount.set_propagation("/", mount.MS_REC | mount.MS_SLAVE)
    _hide_hybrid_cgroups()
    with _Helper(plan) as helper:
        root = f"{bundle}/{ROOTFS}"
        os.mkdir(root, 0o755)
        fd = _mount_root(plan, helper)
        mount.mount_setattr(
            fd, mount.ATTR_NODEV, what=root
        )  # without a user namespace they would open devices
        mount.move_mount_to(fd, root)
        os.close(fd)
        for number, entry in enumerate(config.get("mounts", ())):
            options = set(entry.get("options", ()))
            if options & _OWNERS and helper.users >= 0:
                entry["source"] = _shifted(f"{bundle}/mount-{number}", entry["source"], options, helper.users)
                entry["options"] = [word for word in entry["options"] if word not in _OWNERS]
    config["root"]["path"] = ROOTFS
    # Variables may be secret, and others can pass through the bundle.
    fd = os.open(f"{bundle}/{CONFIG}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(config, file)


def _hide_hybrid_cgroups() -> None:
    """Let a machine with both versions of cgroups look as one with version 1: crun refuses to start there."""
    try:
        hybrid = mount.filesystem_magic(_HYBRID) == _CGROUP2
    except OSError:
        return
    if hybrid:
        mount.mount("tmpfs", _HYBRID, "tmpfs", mount.MS_RDONLY | mount.MS_NOEXEC | mount.MS_NOSUID, "size=0")


class _Helper:
    """Root of a user namespace with the container's maps, if the plan has any: owners are shifted by it.

    It mounts the layers too, as the container would: what one writes there is done with the rights of who
    mounted them, and device nodes among their files open no device.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.users = self._socket = -1
        self._pid = self._pidfd = 0

    def __enter__(self) -> Self:
        if not self._plan.uid_maps:
            return self
        self._socket, theirs = terminal.socket_pair()
        self._pid, self._pidfd = namespace.clone(namespace.NEWUSER | namespace.NEWNS)
        if self._pid == 0:
            os.close(self._socket)
            self._help(theirs)
        os.close(theirs)
        namespace.write_maps(self._pid, self._plan.uid_maps, self._plan.gid_maps)
        self.users = os.open(f"/proc/{self._pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid:
            for fd in (self._socket, self._pidfd, self.users):
                if fd >= 0:
                    os.close(fd)
            os.waitpid(self._pid, 0)

    def mount(self, layers: OverlayRoot, sources: list[int]) -> int:
        """Return the layers, mounted but attached nowhere yet."""
        if not self._pid:
            return layers.mount(Setup(sources))
        for number in (*layers.lowers, layers.upper):
            terminal.send_fd(self._socket, sources[number])
            os.close(sources[number])
        fd = terminal.receive_fd(self._socket)
        if fd is None:
            raise OSError(errno.EIO, "the layers could not be mounted in a user namespace", ROOTFS)
        return fd

    def _help(self, conversation: int) -> NoReturn:
        try:
            layers = _layers(self._plan)
            sources = [-1] * len(self._plan.sources)
            for number in (*layers.lowers, layers.upper):
                fd = terminal.receive_fd(conversation)
                if fd is None:
                    os._exit(1)
                sources[number] = fd
            take_root()
            mount.set_propagation("/", mount.MS_REC | mount.MS_PRIVATE)
            terminal.send_fd(conversation, layers.mount(Setup(sources)))
        finally:
            os._exit(1)


def _layers(plan: Plan) -> OverlayRoot:
    (layers,) = (step for step in plan.steps if isinstance(step, OverlayRoot))
    return layers


def _mount_root(plan: Plan, helper: _Helper) -> int:
    """Return the root filesystem, mounted, with owners as they are in the container."""
    layers = _layers(plan)
    sources = [-1] * len(plan.sources)
    for number in (*layers.lowers, layers.upper):
        source = plan.sources[number]
        sources[number] = mount.open_tree(source.path, recursive=source.recursive)
        if source.idmap:
            mount.mount_setattr(sources[number], mount.ATTR_IDMAP, userns_fd=helper.users, what=source.path)
    return helper.mount(layers, sources)


def _shifted(place: str, source: str, options: set[str], users: int) -> str:
    """Mount the source at `place` with its owners shifted, and return that."""
    copy = mount.open_tree(source, recursive="rbind" in options)
    mount.mount_setattr(copy, mount.ATTR_IDMAP, recursive="rbind" in options, userns_fd=users, what=source)
    if stat.S_ISDIR(os.fstat(copy).st_mode):
        os.mkdir(place, 0o755)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    mount.move_mount_to(copy, place)
    os.close(copy)
    return place
