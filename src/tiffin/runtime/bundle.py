"""A bundle: the config.json in it, and what of that this runtime cannot do. All but `read` is pure."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.oci.codec import LIMIT, decode
from tiffin.oci.runtimespec import Mount, Resources, RuntimeSpec
from tiffin.runtime.devices import DEFAULTS
from tiffin.runtime.plan import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG: Final = "config.json"

# Properties that change what a container is, and that we do not have; false, 0 and empty ask for nothing.
UNSUPPORTED: Final = (
    "process.selinuxLabel",
    "process.scheduler",
    "process.ioPriority",
    "process.execCPUAffinity",
    "linux.mountLabel",
    "linux.intelRdt",
    "linux.personality",
    "linux.timeOffsets",
    "linux.memoryPolicy",
    "linux.netDevices",
    "linux.seccomp.flags",
    "linux.seccomp.listenerPath",
    "linux.seccomp.listenerMetadata",
    "linux.resources.hugepageLimits",
    "linux.resources.network.classID",
    "linux.resources.network.priorities",
    "linux.resources.rdma",
    "linux.resources.unified",
    "linux.resources.memory.kernel",
    "linux.resources.memory.kernelTCP",
    "linux.resources.cpu.burst",
    "linux.resources.cpu.idle",
    "linux.resources.blockIO.leafWeight",
)
_UNCONFINED = "unconfined"
_MOST_SWAPPY = 100
_NOT_JOINED = frozenset({"mount"})


def read(directory: str) -> RuntimeSpec:
    """Return the document of a bundle. Raises NotFoundError, InvalidError and UnsupportedError."""
    path = f"{directory}/{CONFIG}"
    try:
        with open(path, "rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise NotFoundError(
            f"{path}: {error.strerror}", code="no-bundle", hint="a bundle is a folder with a config.json"
        ) from error
    return parse(data, directory)


def parse(data: bytes, directory: str) -> RuntimeSpec:
    """Return the document, with all paths absolute, that is known to ask for nothing that cannot be done."""
    spec = decode(data, RuntimeSpec, "config.json", fault=InvalidError)
    raw = json.loads(data)
    for path in unsupported(raw):
        raise _unsupported(path)
    _check(spec, raw)
    mounts = tuple(_placed(entry, directory) for entry in spec.mounts)
    root = msgspec.structs.replace(spec.root, path=os.path.join(directory, spec.root.path))
    resources = _asked(spec.linux.resources)
    profile = "" if spec.process.apparmor_profile == _UNCONFINED else spec.process.apparmor_profile
    return msgspec.structs.replace(
        spec,
        mounts=mounts,
        root=root,
        linux=msgspec.structs.replace(spec.linux, resources=resources),
        process=msgspec.structs.replace(spec.process, apparmor_profile=profile),
    )


def parse_resources(data: bytes) -> Resources:
    """Return the limits of a document that has nothing else. Raises as `parse` does."""
    resources = decode(data, Resources, "the resources", fault=InvalidError)
    for path in unsupported({"linux": {"resources": json.loads(data)}}):
        raise _unsupported(path)
    return _asked(resources) or resources


def unsupported(raw: dict[str, Any]) -> Iterator[str]:
    """Yield the properties that are asked for and that we do not have."""
    for path in UNSUPPORTED:
        found: Any = raw
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if found:
            yield path
    for entry in raw.get("mounts") or ():
        if entry.get("uidMappings") or entry.get("gidMappings"):
            yield f"the id mapping of the mount {entry.get('destination')}"


def _check(spec: RuntimeSpec, raw: dict[str, Any]) -> None:
    """Raise for what the specification forbids, and for combinations that cannot be."""
    if not spec.oci_version.startswith("1.") or "ociVersion" not in raw:
        raise _wrong(f"ociVersion is {raw.get('ociVersion')!r}, and 1.x is known")
    if "linux" not in raw:
        raise _wrong("there is no linux, and this is the only platform here")
    process = spec.process
    if not process.args:
        raise _wrong("process.args is empty")
    if not process.cwd.startswith("/"):
        raise _wrong(f"process.cwd is {process.cwd!r}, and no absolute path")
    kinds = [limit.type for limit in process.rlimits]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise _wrong(f"process.rlimits has {kind} twice")
    _check_namespaces(spec)
    for key in spec.annotations:
        if not key:
            raise _wrong("annotations has an empty key")


def _check_namespaces(spec: RuntimeSpec) -> None:
    entries = spec.linux.namespaces
    kinds = [entry.type for entry in entries]
    for entry in entries:
        if kinds.count(entry.type) > 1:
            raise _wrong(f"linux.namespaces has {entry.type} twice")
        if entry.type not in KINDS or (entry.path and entry.type in _NOT_JOINED):
            raise _unsupported(f"{'an existing' if entry.path else 'a'} {entry.type} namespace")
        if entry.path and not entry.path.startswith("/"):
            raise _wrong(f"linux.namespaces: {entry.path} is no absolute path")
    if "mount" not in kinds:
        raise UnsupportedError(
            "config.json: a container without a mount namespace of its own is not supported",
            code="unsupported-property",
            hint='add {"type": "mount"} to linux.namespaces',
        )
    # Of a namespace that is there already the mappings are known, and need not be told.
    joined = any(entry.type == "user" and entry.path for entry in entries)
    mapped = bool(spec.linux.uid_mappings and spec.linux.gid_mappings)
    if ("user" in kinds) != mapped and not (joined and not spec.linux.uid_mappings):
        raise _wrong("a user namespace and linux.uidMappings with gidMappings go together")
    if spec.hostname and "uts" not in kinds:
        raise _wrong("hostname needs a uts namespace")
    if spec.domainname and "uts" not in kinds:
        raise _wrong("domainname needs a uts namespace")


def _placed(entry: Mount, directory: str) -> Mount:
    """The mount with an absolute target and, if it is a bind mount, an absolute source."""
    target = os.path.normpath("/" + entry.destination)
    source = entry.source
    if entry.type in {"bind", "rbind"} or {"bind", "rbind"} & set(entry.options):
        if not source:
            raise _wrong(f"the mount {entry.destination} has no source")
        source = os.path.join(directory, source)
    return msgspec.structs.replace(entry, destination=target, source=source)


def _asked(resources: Resources | None) -> Resources | None:
    """The limits without those that are 0, by which many programs mean none."""
    if resources is None:
        return None
    memory, cpu = resources.memory, resources.cpu
    if memory is not None:
        found = {name: getattr(memory, name) or None for name in ("limit", "swap", "reservation")}
        if memory.swappiness is not None and memory.swappiness > _MOST_SWAPPY:
            found["swappiness"] = None  # -1 of Docker, which the document has no sign for
        memory = msgspec.structs.replace(memory, **found)
    if cpu is not None:
        numbers = ("shares", "quota", "period", "realtime_runtime", "realtime_period")
        cpu = msgspec.structs.replace(cpu, **{name: getattr(cpu, name) or None for name in numbers})
    pids = resources.pids if resources.pids is not None and resources.pids.limit else None
    disks = resources.block_io
    if disks is not None and not disks.weight:
        disks = msgspec.structs.replace(disks, weight=None)
    # The devices that the runtime gives to every container may be used, whatever is forbidden before.
    rules = (*resources.devices, *DEFAULTS) if resources.devices else ()
    return msgspec.structs.replace(
        resources, memory=memory, cpu=cpu, pids=pids, block_io=disks, devices=rules
    )


def _unsupported(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"config.json: {what} is not supported",
        code="unsupported-property",
        hint="docs/oci-runtime.md lists what is; crun and runc may do it",
    )


def _wrong(message: str) -> InvalidError:
    return InvalidError(f"config.json: {message}", code="invalid-config")
