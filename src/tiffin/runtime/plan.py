"""The plan of a container: a runtime spec and a root filesystem become steps in their order. Pure."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux import capability, mount, namespace
from tiffin.linux.namespace import IdMap
from tiffin.runtime import inlays, roots, steps
from tiffin.runtime.model import HookCall, Join, LayersMount, MemoryFile, PartMount, Plan, Rootfs, Source
from tiffin.runtime.mounts import DEVICES, LINKS
from tiffin.runtime.process import RLIMITS, Process
from tiffin.runtime.seccomp import compile_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.oci.runtimespec import (
        Capabilities,
        Device,
        Hooks,
        IDMapping,
        Mount,
        Rlimit,
        RuntimeSpec,
        Seccomp,
    )
    from tiffin.oci.runtimespec import Process as ProcessSpec
    from tiffin.runtime.model import Inlay

KINDS = {
    "pid": namespace.NEWPID,
    "network": namespace.NEWNET,
    "mount": namespace.NEWNS,
    "ipc": namespace.NEWIPC,
    "uts": namespace.NEWUTS,
    "user": namespace.NEWUSER,
    "cgroup": namespace.NEWCGROUP,
}
"""The namespaces by the names of the runtime spec."""

_JOINABLE = (
    *(namespace.NEWNET, namespace.NEWIPC, namespace.NEWUTS),
    *(namespace.NEWPID, namespace.NEWUSER),
)
_FLAGS = {
    "ro": mount.MS_RDONLY,
    "nosuid": mount.MS_NOSUID,
    "nodev": mount.MS_NODEV,
    "noexec": mount.MS_NOEXEC,
}
_FLAGS |= {"strictatime": 1 << 24, "noatime": 1 << 10, "relatime": 1 << 21}
_ATTRIBUTES = {
    "ro": mount.ATTR_RDONLY,
    "nosuid": mount.ATTR_NOSUID,
    "nodev": mount.ATTR_NODEV,
    "noexec": mount.ATTR_NOEXEC,
}
_IGNORED = {
    "rw",
    "defaults",
    "suid",
    "dev",
    "exec",
    "rprivate",
    "private",
    "bind",
    "rbind",
    "idmap",
    "ridmap",
}
_PROPAGATION = {"slave": mount.MS_SLAVE, "shared": mount.MS_SHARED}
_BINDS = {"bind", "rbind"}
_DEATH = 9
LIBRARIES = "tiffin-libraries"
"""What the hook of `runtime.libraries` calls itself."""
_INSIDE = re.compile(r"/proc/(\d+)/root(/.+)")
_CGROUPS = "cgroup2"
DEVICE_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
"""The types of its device nodes."""

_NOBODY = 65534
_RUNTIMES_OWN = ("/dev/", "/proc/", "/sys/")


class Sources:
    """The mounts that the launcher opens, numbered as they are asked for.

    None of them is shifted unless ids of the container are others outside.
    """

    def __init__(self, maps: Sequence[IdMap] = ()) -> None:
        self.all: list[Source] = []
        self._shifts = any(line.inside != line.outside for line in maps)

    def add(self, path: str, *, recursive: bool = False, idmap: bool = False, subpath: str = "") -> int:
        """Return the number of the source."""
        idmap = idmap and self._shifts
        inside = _INSIDE.fullmatch(path)
        if inside:
            self.all.append(Source(inside[2], recursive, idmap, within=int(inside[1])))
        else:
            self.all.append(Source(path, recursive, idmap, subpath=subpath))
        return len(self.all) - 1

    def add_nodes(self, nodes: tuple[tuple[int, int, int, int], ...]) -> int:
        """Return the number of a source of device nodes."""
        self.all.append(Source("", nodes=nodes))
        return len(self.all) - 1


def make_plan(
    spec: RuntimeSpec, rootfs: Rootfs, *, machine: str, outlive: bool = False, extra: tuple[Inlay, ...] = ()
) -> Plan:
    """Return all that it takes to start the container on a machine of this kind.

    Without id mappings in the spec the caller's user namespace is used as it is. The container dies with
    its launcher unless it may `outlive` it. `extra` is mounted besides the mounts of the spec.
    """
    uids, gids = id_maps(spec.linux.uid_mappings), id_maps(spec.linux.gid_mappings)
    idmap = bool(uids) and not rootfs.shifted
    new, joins = _namespaces(spec)
    sources = Sources((*uids, *gids))
    before: list[steps.Step] = [roots.MakePrivate(), _root_step(rootfs, sources, idmap=idmap)]
    after: list[steps.Step] = []
    for entry in _in_order((*spec.mounts, *extra)):
        if isinstance(entry, MemoryFile | LayersMount):
            before += _inlay(entry, sources, idmap=idmap)
            readonly = isinstance(entry, MemoryFile) or entry.place is None
            after.append(inlays.AttachPrepared(entry.destination, readonly))
        elif isinstance(entry, PartMount):
            number = sources.add(entry.source, recursive=True, idmap=idmap, subpath=entry.subpath)
            after.append(steps.Bind(number, entry.destination, entry.readonly))
        else:
            _add_mount(entry, sources, before, after)
    before += [steps.OpenDevice(device) for device in DEVICES]
    if spec.linux.devices:
        _add_devices(spec.linux.devices, (uids, gids), sources, before, after)
    before.append(roots.Pivot())
    hooks = _hooks(spec.hooks)
    after += _own(hooks)
    after += _settings(spec, rootfs, hostname=bool(new & namespace.NEWUTS))
    late: tuple[steps.Step, ...] = ()
    if new & namespace.NEWCGROUP:
        new &= ~namespace.NEWCGROUP
        after, late = _settled(after, spec.linux.masked_paths)
    process = make_process(spec.process, spec.linux.seccomp, machine=machine)
    if not outlive:
        process = process._replace(death_signal=_DEATH)
    foreign = tuple(hook for hook in hooks if not _is_ours(hook))
    return Plan(new, uids, gids, tuple(sources.all), (*before, *after), process, joins, foreign, late)


def _settled(
    after: list[steps.Step], masked: tuple[str, ...]
) -> tuple[list[steps.Step], tuple[steps.Step, ...]]:
    """Part the steps into those that can be done at once, and those that wait for the cgroups.

    What is mounted below the cgroups, or hidden there, follows them.
    """
    late: list[steps.Step] = [steps.OwnCgroups()]
    now: list[steps.Step] = []
    places: tuple[str, ...] = ()
    for step in after:
        target = getattr(step, "target", "")
        if isinstance(step, steps.MountNew) and step.kind == _CGROUPS:
            places += (f"{target}/",)
            now.append(steps.Make(target))  # while the root filesystem can be written
            late.append(step)
        else:
            (late if target.startswith(places) else now).append(step)
    hidden = tuple(path for path in masked if f"{path}/".startswith(places))
    return now, (*late, *([steps.Mask(hidden)] if hidden else []))


def _hooks(hooks: Hooks | None) -> tuple[HookCall, ...]:
    """Return the hooks of the start, all of which are run when the root filesystem is complete."""
    if hooks is None:
        return ()
    if hooks.start_container or hooks.poststart or hooks.poststop:
        raise UnsupportedError("hooks that run in the container, or after its start, cannot be run here")
    early = (*hooks.prestart, *hooks.create_runtime, *hooks.create_container)
    return tuple(HookCall(hook.path, hook.args, hook.env, hook.timeout or 0) for hook in early)


def _is_ours(hook: HookCall) -> bool:
    return hook.args[:1] == (LIBRARIES,)


def _own(hooks: tuple[HookCall, ...]) -> list[steps.Step]:
    """The steps in the place of hooks that are programs of ours: they are done without starting one."""
    if not any(map(_is_ours, hooks)):
        return []
    from tiffin.runtime.libraries import FindLibraries

    return [FindLibraries.from_text(hook.args[-1]) for hook in hooks if _is_ours(hook)]


def mount_targets(plan: Plan) -> tuple[str, ...]:
    """Return the paths in the root filesystem where the plan mounts; what is missing there is made."""
    kinds = (steps.Attach, steps.MountNew, steps.Bind, inlays.AttachPrepared)
    targets = (step.target for step in plan.steps if isinstance(step, kinds))
    return tuple(dict.fromkeys(target for target in targets if not target.startswith(_RUNTIMES_OWN)))


def refuse_devices(spec: RuntimeSpec, rung: str) -> None:
    """Raise UnsupportedError for devices, which cannot be had where nothing can be mounted."""
    if spec.linux.devices or spec.hooks is not None:
        raise UnsupportedError(
            f"devices cannot be given to a container on the rung {rung}",
            code="no-devices",
            hint="a device that the surrounding container has cannot be passed on: run there directly",
        )


def make_process(spec: ProcessSpec, seccomp: Seccomp | None, *, machine: str) -> Process:
    """Return the process, with names of capabilities and limits resolved and the filter compiled."""
    sets = spec.capabilities
    umask = spec.user.umask
    return Process(
        args=spec.args,
        env=spec.env,
        cwd=spec.cwd,
        uid=spec.user.uid,
        gid=spec.user.gid,
        groups=spec.user.additional_gids,
        umask=0o022 if umask is None else umask,
        bounding=_bits(sets, "bounding"),
        permitted=_bits(sets, "permitted"),
        inheritable=_bits(sets, "inheritable"),
        ambient=_bits(sets, "ambient"),
        no_new_privs=spec.no_new_privileges,
        seccomp=() if seccomp is None else (compile_filter(seccomp, machine),),
        rlimits=tuple(_rlimit(limit) for limit in spec.rlimits),
        oom_score=spec.oom_score_adj,
        terminal=spec.terminal,
    )


def _rlimit(limit: Rlimit) -> tuple[int, int, int]:
    if limit.type not in RLIMITS:
        raise InvalidError(
            f"there is no resource limit called {limit.type}", hint="see setrlimit(2) for their names"
        )
    soft, hard = (number if number < 1 << 63 else -1 for number in (limit.soft, limit.hard))  # -1: no limit
    return RLIMITS.index(limit.type), soft, hard


def id_maps(mappings: tuple[IDMapping, ...]) -> tuple[IdMap, ...]:
    """Return the lines of a map of ids."""
    return tuple(IdMap(line.container_id, line.host_id, line.size) for line in mappings)


def _bits(sets: Capabilities | None, name: str) -> int:
    if sets is None:
        return 0
    return capability.mask(capability.numbers(getattr(sets, name)))


def _namespaces(spec: RuntimeSpec) -> tuple[int, tuple[Join, ...]]:
    """Return the kinds of new namespaces, and the existing ones to join."""
    joins: list[Join] = []
    joined = any(entry.type == "user" and entry.path for entry in spec.linux.namespaces)
    new = namespace.NEWUSER if spec.linux.uid_mappings and not joined else 0
    for entry in spec.linux.namespaces:
        kind = KINDS.get(entry.type)
        if kind is None:
            raise InvalidError(f"there is no kind of namespace called {entry.type}")
        if entry.path and kind in _JOINABLE:
            joins.append(Join(entry.path, kind))
        elif entry.path:
            raise UnsupportedError(f"a container cannot begin in the {entry.type} namespace of another")
        elif kind != namespace.NEWUSER:
            new |= kind
    return new, tuple(joins)


def _root_step(rootfs: Rootfs, sources: Sources, *, idmap: bool) -> steps.Step:
    lowers = [sources.add(path, idmap=idmap) for path in _once(rootfs.lowers)]
    if rootfs.upper is None:
        if len(lowers) == 1:
            return roots.BindRoot(lowers[0], readonly=True)
        return roots.OverlayRoot(tuple(lowers), -1, "", "", volatile=False)
    if rootfs.work is None or os.path.dirname(rootfs.upper) != os.path.dirname(rootfs.work):
        raise InvalidError(f"{rootfs.upper} and {rootfs.work} are not in one directory")
    if not lowers:
        return roots.BindRoot(sources.add(rootfs.upper, idmap=idmap), readonly=False)
    place, upper = os.path.split(rootfs.upper)
    work = os.path.basename(rootfs.work)
    return roots.OverlayRoot(tuple(lowers), sources.add(place, idmap=idmap), upper, work, rootfs.volatile)


def _once(lowers: Sequence[str]) -> tuple[str, ...]:
    """Return the layers, top first, each one time: the kernel refuses one that it has (ELOOP).

    Steps with the same outcome are one layer. The topmost decides alone: whatever the same layer would show
    or hide further down, it shows or hides already.
    """
    return tuple(dict.fromkeys(lowers))


def _inlay(entry: MemoryFile | LayersMount, sources: Sources, *, idmap: bool) -> list[steps.Step]:
    if isinstance(entry, MemoryFile):
        return [inlays.PrepareFile(*entry)]
    lowers = tuple(sources.add(path, idmap=idmap) for path in _once(entry.lowers))
    upper = -1 if entry.place is None else sources.add(entry.place, idmap=idmap)
    made: list[steps.Step] = [inlays.PrepareOverlay(entry.destination, lowers, upper, "upper", "work")]
    if not entry.subpath:
        return made
    from tiffin.runtime.rare_steps import Narrow

    return [*made, Narrow(entry.destination, entry.subpath)]


def _in_order(mounts: tuple[Mount | Inlay, ...]) -> list[Mount | Inlay]:
    """Return the mounts, each after those that it lies in; /proc leads, because mounting uses its links."""
    last = {entry.destination.rstrip("/") or "/": entry for entry in mounts}
    depth = sorted(last.items(), key=lambda item: item[0].count("/"))
    return [entry for _, entry in sorted(depth, key=lambda item: item[0] != "/proc")]


def _add_mount(entry: Mount, sources: Sources, before: list[steps.Step], after: list[steps.Step]) -> None:
    """Append the steps of one mount."""
    options = set(entry.options)
    target = entry.destination
    if not target.startswith("/"):
        raise InvalidError(f"the mount target {target} is not an absolute path")
    if entry.type in {"proc", "sysfs"}:
        attributes = sum(bit for name, bit in _ATTRIBUTES.items() if name in options)
        before.append(steps.Prepare(entry.type, attributes, "/sys" if entry.type == "sysfs" else ""))
        after.append(steps.Attach(entry.type, target))
    elif entry.type in _BINDS or options & _BINDS:
        recursive = entry.type == "rbind" or "rbind" in options
        idmap = bool(options & {"idmap", "ridmap"})
        number = sources.add(entry.source, recursive=recursive, idmap=idmap)
        after.append(_bind(number, target, options))
    else:
        flags = sum(bit for name, bit in _FLAGS.items() if name in options)
        data = ",".join(word for word in entry.options if word not in _FLAGS and word not in _IGNORED)
        own = target in {"/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"}  # noqa: S108 - the runtime's own
        optional = entry.type == _CGROUPS
        after.append(steps.MountNew(entry.type, target, flags, data, optional, fixed=own))
        if target == "/dev":
            after += [steps.Attach(device, device) for device in DEVICES]
            after += [steps.Make(path, link) for path, link in LINKS.items()]


def _add_devices(
    devices: tuple[Device, ...],
    maps: tuple[tuple[IdMap, ...], tuple[IdMap, ...]],
    sources: Sources,
    before: list[steps.Step],
    after: list[steps.Step],
) -> None:
    """Append what makes nodes outside, where it can be done, and mounts them."""
    from tiffin.runtime.rare_steps import TakeDevices

    nodes = []
    for device in devices:
        kind = DEVICE_KINDS.get(device.type)
        if kind is None:
            raise InvalidError(f"the device {device.path}: there is no type {device.type!r}")
        mode = kind | (0o666 if device.file_mode is None else device.file_mode & 0o777)
        owner, group = _outside(maps[0], device.uid), _outside(maps[1], device.gid)
        nodes.append((mode, os.makedev(device.major, device.minor), owner, group))
    targets = tuple(device.path for device in devices)
    before.append(TakeDevices(sources.add_nodes(tuple(nodes)), targets))
    after += [inlays.AttachPrepared(target, readonly=False) for target in targets]


def _outside(maps: tuple[IdMap, ...], number: int) -> int:
    """Return the id outside; whose id is not mapped, is nobody, as the kernel shows it."""
    found = namespace.host_id(maps, number) if maps else number
    return _NOBODY if found is None else found


def _bind(number: int, target: str, options: set[str]) -> steps.Bind:
    """Return the step for a mount of what exists: `ro` is of the mount alone, `rro` of all that is below it.

    Propagation is that of all that is below too, with and without the letter r: so it turns out in Docker.
    """
    attributes = sum(bit for name, bit in _ATTRIBUTES.items() if name in options and name != "ro")
    words = {word.removeprefix("r") for word in options}
    propagation = next((flag for word, flag in _PROPAGATION.items() if word in words), mount.MS_PRIVATE)
    readonly = bool(options & {"ro", "rro"})
    return steps.Bind(number, target, readonly, attributes, readonly and "rro" not in options, propagation)


def _settings(spec: RuntimeSpec, rootfs: Rootfs, *, hostname: bool) -> list[steps.Step]:
    result: list[steps.Step] = []
    if spec.hostname and hostname:
        result.append(steps.Hostname(spec.hostname))
    if spec.domainname and hostname:
        result.append(steps.Domainname(spec.domainname))
    result += [steps.Sysctl(key, value, optional=False) for key, value in sorted(spec.linux.sysctl.items())]
    if spec.linux.masked_paths:
        result.append(steps.Mask(spec.linux.masked_paths))
    if spec.linux.readonly_paths:
        result.append(steps.MakeReadonly(spec.linux.readonly_paths))
    if spec.root.readonly or rootfs.readonly:
        result.append(steps.ReadonlyRoot())
    return result
