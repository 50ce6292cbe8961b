"""The runtime-spec document: what a container is, in the words of the OCI. Pure.

The fields that the runtime obeys are here; others that a document may have are tolerated and ignored.
"""

from __future__ import annotations

import msgspec

VERSION = "1.2.0"


class _Document(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A part of the document: frozen, with the specification's names on the wire, empty fields left out."""


class User(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Who the process is, by numbers inside the container."""

    uid: int
    gid: int
    umask: int | None = None
    additional_gids: tuple[int, ...] = ()


class ConsoleSize(_Document, frozen=True):
    """Rows and columns of the terminal."""

    height: int
    width: int


class Capabilities(_Document, frozen=True):
    """The five sets, each by names such as `CAP_CHOWN`."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


class Rlimit(_Document, frozen=True):
    """A resource limit such as `RLIMIT_NOFILE`."""

    type: str
    soft: int
    hard: int


class Process(_Document, frozen=True):
    """What is executed."""

    user: User
    cwd: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    terminal: bool = False
    console_size: ConsoleSize | None = None
    capabilities: Capabilities | None = None
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    oom_score_adj: int | None = None
    apparmor_profile: str = ""


class Root(_Document, frozen=True):
    """The root filesystem."""

    path: str
    readonly: bool = False


class Mount(_Document, frozen=True):
    """A mount; `type` is a file system, or `bind`, whose source is a path of the host."""

    destination: str
    type: str = "none"
    source: str = ""
    options: tuple[str, ...] = ()


class IDMapping(msgspec.Struct, frozen=True):
    """A range of ids of the container and of the host."""

    container_id: int = msgspec.field(name="containerID")
    host_id: int = msgspec.field(name="hostID")
    size: int


class Namespace(_Document, frozen=True):
    """A kind of namespace, `pid` or `network` for example: a new one, or with a path an existing one."""

    type: str
    path: str = ""


class SeccompArg(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A condition on an argument of a system call, such as SCMP_CMP_EQ or SCMP_CMP_MASKED_EQ."""

    index: int
    value: int
    op: str
    value_two: int = 0


class SeccompRule(_Document, frozen=True):
    """What happens to system calls of these names when all conditions hold."""

    names: tuple[str, ...]
    action: str
    errno_ret: int | None = None
    args: tuple[SeccompArg, ...] = ()


class Seccomp(_Document, frozen=True):
    """The filter of system calls."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] = ()
    syscalls: tuple[SeccompRule, ...] = ()


class Memory(_Document, frozen=True):
    """Limits of memory in bytes, -1 for none; `swap` is that of memory and swap together.

    `reservation` is left to the container where memory is short.
    """

    limit: int | None = None
    swap: int | None = None
    reservation: int | None = None
    swappiness: int | None = None
    disable_oom_killer: bool = msgspec.field(default=False, name="disableOOMKiller")


class CPU(_Document, frozen=True):
    """Shares of processors, a quota of microseconds in each period, and which processors and memory nodes."""

    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    cpus: str = ""
    mems: str = ""
    realtime_runtime: int | None = None
    realtime_period: int | None = None


class Pids(_Document, frozen=True):
    """The most processes, -1 for any number."""

    limit: int | None = None


class WeightDevice(msgspec.Struct, frozen=True):
    """The share of one disk."""

    major: int
    minor: int
    weight: int


class ThrottleDevice(msgspec.Struct, frozen=True):
    """So many bytes, or transfers, a second of one disk."""

    major: int
    minor: int
    rate: int


class BlockIO(_Document, frozen=True):
    """The share of the transfers to and from disks, 10 to 1000, and limits of single disks."""

    weight: int | None = None
    weight_device: tuple[WeightDevice, ...] = ()
    throttle_read_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_write_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_read_iops_device: tuple[ThrottleDevice, ...] = msgspec.field(
        default=(), name="throttleReadIOPSDevice"
    )
    throttle_write_iops_device: tuple[ThrottleDevice, ...] = msgspec.field(
        default=(), name="throttleWriteIOPSDevice"
    )


class DeviceRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether devices may be read, written or made (`rwm`); a number that is not given is any."""

    allow: bool
    type: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = ""


class Resources(_Document, frozen=True):
    """What cgroups limit."""

    memory: Memory | None = None
    cpu: CPU | None = None
    pids: Pids | None = None
    block_io: BlockIO | None = msgspec.field(default=None, name="blockIO")
    devices: tuple[DeviceRule, ...] = ()


class Device(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A device node that the container gets, of type `c`, `b` or `p`; owner and group by numbers inside."""

    path: str
    type: str
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    uid: int = 0
    gid: int = 0


class Linux(_Document, frozen=True):
    """What only Linux has."""

    namespaces: tuple[Namespace, ...] = ()
    uid_mappings: tuple[IDMapping, ...] = ()
    gid_mappings: tuple[IDMapping, ...] = ()
    sysctl: dict[str, str] = {}
    seccomp: Seccomp | None = None
    resources: Resources | None = None
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    rootfs_propagation: str = ""
    cgroups_path: str = ""
    devices: tuple[Device, ...] = ()


class Hook(_Document, frozen=True):
    """A program that is run at a moment of a container's life; `timeout` in seconds."""

    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int | None = None


class Hooks(_Document, frozen=True):
    """Programs for the moments of a container's life."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


class RuntimeSpec(_Document, frozen=True):
    """The document: config.json of a bundle."""

    process: Process
    root: Root
    oci_version: str = ""
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    linux: Linux = msgspec.field(default_factory=Linux)
    annotations: dict[str, str] = {}
    hooks: Hooks | None = None

    def __post_init__(self) -> None:
        """The version always stands in the document."""
        if not self.oci_version:
            msgspec.structs.force_setattr(self, "oci_version", VERSION)
