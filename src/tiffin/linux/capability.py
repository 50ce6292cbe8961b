"""Capabilities of this process: names, and the bounding, permitted, inheritable and ambient sets."""

from __future__ import annotations

import ctypes

from tiffin.linux.libc import check, function
from tiffin.linux.prctl import prctl

NAMES = tuple(
    f"CAP_{name}"
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
    ]
)
SYS_ADMIN = NAMES.index("CAP_SYS_ADMIN")
SETUID = NAMES.index("CAP_SETUID")
SETGID = NAMES.index("CAP_SETGID")
CHOWN = NAMES.index("CAP_CHOWN")
MKNOD = NAMES.index("CAP_MKNOD")

_VERSION_3 = 0x20080522
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_AMBIENT_RAISE = 2
_AMBIENT_CLEAR_ALL = 4

_capget = function("capget", ctypes.c_void_p, ctypes.c_void_p)
_capset = function("capset", ctypes.c_void_p, ctypes.c_void_p)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def numbers(names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the numbers of capabilities, sorted; `ValueError` for a name that there is not."""
    for name in names:
        if name not in NAMES:
            message = f"there is no capability {name}"
            raise ValueError(message)
    return tuple(sorted(NAMES.index(name) for name in names))


def mask(caps: tuple[int, ...]) -> int:
    """Return the capabilities as bits."""
    return sum(1 << cap for cap in caps)


def names(bits: int) -> list[str]:
    """Return the names of the capabilities that are set among the bits."""
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]


def effective() -> int:
    """Return the effective capabilities of this process as bits."""
    header, data = _Header(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    check(_capget(ctypes.byref(header), ctypes.byref(data)), "reading capabilities")
    return int(data[0]) | int(data[3]) << 32


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """Set the three sets of this process, as bits; they can only shrink."""
    header, data = _Header(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    for half in (0, 1):
        for index, bits in enumerate((effective, permitted, inheritable)):
            data[half * 3 + index] = bits >> 32 * half & 0xFFFFFFFF
    check(_capset(ctypes.byref(header), ctypes.byref(data)), "setting capabilities")


def limit_bounding_set(keep: int) -> None:
    """Drop every capability but those in `keep` from the bounding set, so that none can come back."""
    for cap in range(64):
        if keep >> cap & 1:
            continue
        try:
            prctl("dropping a capability", _PR_CAPBSET_DROP, cap)
        except OSError as error:
            if error.errno == 22 and cap >= len(NAMES) - 4:  # past the last one that this kernel knows
                break
            raise


def bounding_set() -> int:
    """Return the bounding set of this process as bits."""
    bits = 0
    for cap in range(len(NAMES)):
        try:
            bits |= prctl("reading the bounding set", _PR_CAPBSET_READ, cap) << cap
        except OSError:
            break
    return bits


def set_ambient(caps: int) -> None:
    """Make exactly these the ambient capabilities: those that a program keeps when a user executes it."""
    prctl("clearing ambient capabilities", _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    for cap in range(64):
        if caps >> cap & 1:
            prctl("raising an ambient capability", _PR_CAP_AMBIENT, _AMBIENT_RAISE, cap)
