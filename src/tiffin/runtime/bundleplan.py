"""The plan of a container that comes as a bundle. Pure.

As the runtime-spec wants it, mounts are made in the order of the document, and the root filesystem can be
seen at its own path until the hooks have been run. What tiffin itself starts is planned in `plan`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux import capability, mount, namespace
from tiffin.linux.namespace import host_id
from tiffin.runtime import bundlesteps, steps
from tiffin.runtime.model import HookCall, Join, Plan, Source
from tiffin.runtime.mounts import DEVICES, LINKS
from tiffin.runtime.plan import DEVICE_KINDS, KINDS, id_maps, make_process
from tiffin.runtime.rare_steps import TakeDevices
from tiffin.runtime.roots import MakePrivate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.linux.namespace import IdMap
    from tiffin.oci.runtimespec import Capabilities, Device, Hook, Mount, RuntimeSpec
    from tiffin.runtime.process import Process
    from tiffin.runtime.steps import Step

_FLAGS = {
    "ro": mount.MS_RDONLY,
    "nosuid": mount.MS_NOSUID,
    "nodev": mount.MS_NODEV,
    "noexec": mount.MS_NOEXEC,
    "sync": 16,
    "mand": 64,
    "dirsync": 128,
    "noatime": 1 << 10,
    "nodiratime": 1 << 11,
    "silent": 1 << 15,
    "relatime": 1 << 21,
    "iversion": 1 << 23,
    "strictatime": 1 << 24,
}
_ATTRIBUTES = {
    "nosuid": mount.ATTR_NOSUID,
    "nodev": mount.ATTR_NODEV,
    "noexec": mount.ATTR_NOEXEC,
    "nodiratime": 0x80,
    "nosymfollow": 0x200000,
}
_PLAIN = frozenset(
    {
        *(
            "rw",
            "defaults",
            "suid",
            "dev",
            "exec",
            "async",
            "atime",
            "diratime",
            "loud",
            "noiversion",
            "nomand",
        ),
        *("norelatime", "nostrictatime", "symfollow", "bind", "rbind", "idmap", "ridmap", "tmpcopyup"),
    }
)
_PROPAGATION = {
    "private": mount.MS_PRIVATE,
    "slave": mount.MS_SLAVE,
    "shared": mount.MS_SHARED,
    "unbindable": 1 << 17,
}
_BINDS = {"bind", "rbind"}
MOUNT_OPTIONS = frozenset(
    {*_PLAIN, *_FLAGS, *_ATTRIBUTES, *_PROPAGATION, *(f"r{word}" for word in _PROPAGATION), "rro"}
)
"""The options that are not passed on to the file system."""


class Circumstances(NamedTuple):
    """What a plan depends on beside the document.

    `groups` are the directories of the container's cgroups, by the names that they get below /sys/fs/cgroup,
    the empty one for version 2; `nodes` tells whether device nodes can be made; `state` is told to hooks;
    `capabilities` are those that we have ourselves, as bits: in the same user namespace no more can be given.
    """

    machine: str
    groups: Mapping[str, str]
    nodes: bool
    state: bytes
    capabilities: int = (1 << 64) - 1


class _Draft:
    """The steps so far, and the mounts that the launcher opens for them."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.steps: list[Step] = []

    def source(self, source: Source) -> int:
        """Return the number of the source."""
        self.sources.append(source)
        return len(self.sources) - 1


def make_bundle_plan(spec: RuntimeSpec, here: Circumstances) -> Plan:
    """Return all that it takes to create the container, whose document `bundle` has read.

    Nothing ends it when its launcher ends.
    """
    draft = _Draft()
    root = draft.source(Source(spec.root.path, recursive=True))
    draft.steps += [MakePrivate(), bundlesteps.BundleRoot(root, spec.root.path)]
    for entry in spec.mounts:
        _mount(draft, entry, here)
    _devices(draft, spec, here)
    hooks = spec.hooks
    draft.steps.append(bundlesteps.ShowRoot())
    if hooks is not None and hooks.create_container:
        calls = tuple(map(hook_call, hooks.create_container))
        draft.steps.append(bundlesteps.RunHooks(calls, here.state))
    if spec.process.apparmor_profile:
        draft.steps.append(bundlesteps.EnterProfile(spec.process.apparmor_profile))
    draft.steps.append(bundlesteps.EnterRoot())
    _settings(draft, spec)
    new, joins = _namespaces(spec)
    late: list[Step] = []
    if new & namespace.NEWCGROUP:
        new &= ~namespace.NEWCGROUP
        late.append(steps.OwnCgroups())
    if spec.process.terminal:
        late.append(bundlesteps.MountConsole())
    known = _with_known_capabilities(spec)
    process = make_process(known.process, known.linux.seccomp, machine=here.machine)
    maps = id_maps(spec.linux.uid_mappings), id_maps(spec.linux.gid_mappings)
    if not maps[0]:
        process = grantable(process, here.capabilities)
    return Plan(new, *maps, tuple(draft.sources), tuple(draft.steps), process, joins, (), tuple(late))


def grantable(process: Process, own: int) -> Process:
    """Return the process with no capabilities that we have not ourselves: of those, none can be given."""
    return process._replace(
        permitted=process.permitted & own,
        inheritable=process.inheritable & own,
        ambient=process.ambient & own,
    )


def hook_call(hook: Hook) -> HookCall:
    """Return the hook as it is run. Raises InvalidError for one that the specification forbids."""
    if not hook.path.startswith("/"):
        raise InvalidError(f"config.json: the hook {hook.path!r} is no absolute path", code="invalid-config")
    if hook.timeout is not None and hook.timeout <= 0:
        raise InvalidError(
            f"config.json: the timeout of the hook {hook.path} is not above 0", code="invalid-config"
        )
    return HookCall(hook.path, hook.args, hook.env, hook.timeout or 0)


def unknown_capabilities(spec: RuntimeSpec) -> tuple[str, ...]:
    """Return the names among the capabilities that this kernel's list does not have: they are warned of."""
    sets = spec.process.capabilities
    if sets is None:
        return ()
    names = {name for kind in sets.__struct_fields__ for name in getattr(sets, kind)}
    return tuple(sorted(names - set(capability.NAMES)))


def _with_known_capabilities(spec: RuntimeSpec) -> RuntimeSpec:
    import msgspec

    sets = spec.process.capabilities
    if sets is None or not unknown_capabilities(spec):
        return spec
    kept: dict[str, tuple[str, ...]] = {
        kind: tuple(name for name in getattr(sets, kind) if name in capability.NAMES)
        for kind in sets.__struct_fields__
    }
    known: Capabilities = msgspec.structs.replace(sets, **kept)
    return msgspec.structs.replace(spec, process=msgspec.structs.replace(spec.process, capabilities=known))


def _namespaces(spec: RuntimeSpec) -> tuple[int, tuple[Join, ...]]:
    new, joins = 0, []
    for entry in spec.linux.namespaces:
        if entry.path:
            joins.append(Join(entry.path, KINDS[entry.type]))
        else:
            new |= KINDS[entry.type]
    # Who is in another pid namespace can open no paths below /proc any more: that one comes last.
    return new, tuple(sorted(joins, key=lambda join: join.kind == namespace.NEWPID))


def _mount(draft: _Draft, entry: Mount, here: Circumstances) -> None:
    """Append the steps of one mount."""
    options, target = set(entry.options), entry.destination
    propagation = next((flag for word, flag in _PROPAGATION.items() if {word, f"r{word}"} & options), 0)
    if entry.type in _BINDS or options & _BINDS:
        draft.steps.append(_bind(draft, entry, propagation or mount.MS_PRIVATE))
        return
    if entry.type == "cgroup":
        found = tuple((name, draft.source(Source(path))) for name, path in here.groups.items())
        draft.steps.append(bundlesteps.ShowGroups(target, found, "ro" in options))
        return
    if entry.type in {"proc", "sysfs"} and target in {"/proc", "/sys"}:
        attributes = sum(_ATTRIBUTES.get(word, 0) for word in options)
        attributes |= mount.ATTR_RDONLY if "ro" in options else 0
        instead = "/sys" if entry.type == "sysfs" else ""
        draft.steps += [steps.Prepare(entry.type, attributes, instead), steps.Attach(entry.type, target)]
        return
    flags = sum(_FLAGS.get(word, 0) for word in options)
    data = ",".join(word for word in entry.options if word not in MOUNT_OPTIONS)
    if "tmpcopyup" in options and entry.type == "tmpfs":
        draft.steps.append(bundlesteps.CopyUp(target, flags, data))
    else:
        draft.steps.append(steps.MountNew(entry.type, target, flags, data))


def _bind(draft: _Draft, entry: Mount, propagation: int) -> steps.Bind:
    options = set(entry.options)
    for word in sorted(options):
        if (
            word.removeprefix("r") in {"noatime", "strictatime", "relatime", "nodiratime"}
            and word != "relatime"
        ):
            raise UnsupportedError(
                f"config.json: {word} of the bind mount {entry.destination} is not supported",
                code="unsupported-property",
                hint="leave it out: times of access are those of the source",
            )
    recursive = entry.type == "rbind" or "rbind" in options
    idmap = bool(options & {"idmap", "ridmap"})
    number = draft.source(Source(entry.source, recursive, idmap))
    attributes = sum(bit for word, bit in _ATTRIBUTES.items() if {word, f"r{word}"} & options)
    readonly = bool(options & {"ro", "rro"})
    return steps.Bind(number, entry.destination, readonly, attributes, "rro" not in options, propagation)


def _devices(draft: _Draft, spec: RuntimeSpec, here: Circumstances) -> None:
    """Append the devices that every container has, and those of its own, unless /dev is this machine's."""
    if any(
        entry.destination == "/dev" and {"bind", "rbind"} & {entry.type, *entry.options}
        for entry in spec.mounts
    ):
        return
    own = {device.path for device in spec.linux.devices}
    for path in DEVICES:
        if path not in own:
            draft.steps += [steps.OpenDevice(path), steps.Attach(path, path)]
    if here.nodes and spec.linux.devices:
        maps = id_maps(spec.linux.uid_mappings), id_maps(spec.linux.gid_mappings)
        nodes = tuple(_node(device, maps) for device in spec.linux.devices)
        number = draft.source(Source("", nodes=nodes))
        draft.steps.append(TakeDevices(number, tuple(device.path for device in spec.linux.devices)))
    for device in spec.linux.devices:
        if not here.nodes:
            draft.steps.append(steps.OpenDevice(device.path))
        draft.steps.append(steps.Attach(device.path, device.path))
    draft.steps += [bundlesteps.Link(path, text) for path, text in LINKS.items()]
    if spec.process.terminal:
        draft.steps.append(bundlesteps.Hold("/dev/console"))


def _node(device: Device, maps: tuple[tuple[IdMap, ...], tuple[IdMap, ...]]) -> tuple[int, int, int, int]:
    kind = DEVICE_KINDS.get(device.type)
    if kind is None:
        raise InvalidError(
            f"config.json: the device {device.path} has no type {device.type!r}", code="invalid-config"
        )
    mode = kind | (0o666 if device.file_mode is None else device.file_mode & 0o777)
    outside = [
        host_id(line, number) if line else number
        for line, number in zip(maps, (device.uid, device.gid), strict=True)
    ]
    if None in outside:
        raise InvalidError(
            f"config.json: the owner of the device {device.path} is not mapped", code="invalid-config"
        )
    uid, gid = (number or 0 for number in outside)
    return mode, os.makedev(device.major, device.minor), uid, gid


def _settings(draft: _Draft, spec: RuntimeSpec) -> None:
    """Append what is set when the root filesystem has been entered."""
    linux = spec.linux
    if spec.hostname:
        draft.steps.append(steps.Hostname(spec.hostname))
    if spec.domainname:
        draft.steps.append(steps.Domainname(spec.domainname))
    draft.steps += [steps.Sysctl(key, value, optional=False) for key, value in sorted(linux.sysctl.items())]
    if linux.rootfs_propagation:
        flags = _PROPAGATION.get(linux.rootfs_propagation.removeprefix("r"))
        if flags is None:
            raise InvalidError(
                f"config.json: there is no propagation {linux.rootfs_propagation!r}", code="invalid-config"
            )
        recursive = mount.MS_REC if linux.rootfs_propagation.startswith("r") else 0
        draft.steps.append(bundlesteps.Propagate(flags | recursive))
    if spec.root.readonly:
        draft.steps.append(steps.ReadonlyRoot())
    if linux.readonly_paths:
        draft.steps.append(steps.MakeReadonly(linux.readonly_paths))
    if linux.masked_paths:
        draft.steps.append(steps.Mask(linux.masked_paths))
