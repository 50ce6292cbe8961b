"""What every container finds besides its image: default mounts, devices, hidden paths. Pure."""

from __future__ import annotations

from tiffin.oci.runtimespec import Mount

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")

LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/core": "/proc/kcore",
    "/dev/ptmx": "pts/ptmx",
}

# Files of the kernel that tell about the host or that act on it whole: those that Docker hides and protects.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

TTY_GROUP = 5
SMALLEST_SHM = 64 << 20


def shm_size(memory: int) -> int:
    """Return how large /dev/shm may grow: half of the machine's memory, which data loaders fill, in bytes."""
    return max(memory // 2, SMALLEST_SHM)


def default_mounts(*, shm: int, tty_group: bool, ipc: bool = True, cgroup: bool = True) -> tuple[Mount, ...]:
    """Return the mounts of every container. `tty_group`: whether group 5, which owns terminals, is mapped."""
    group = (f"gid={TTY_GROUP}",) if tty_group else ()
    terminals = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *group)
    quiet = ("nosuid", "noexec", "nodev")
    mounts = [
        Mount("/proc", "proc", "proc", quiet),
        Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount("/dev/pts", "devpts", "devpts", terminals),
        Mount("/dev/shm", "tmpfs", "shm", (*quiet, "mode=1777", f"size={shm}")),  # noqa: S108 - it is the shared memory
        Mount("/sys", "sysfs", "sysfs", (*quiet, "ro")),
    ]
    if ipc:
        mounts.insert(4, Mount("/dev/mqueue", "mqueue", "mqueue", quiet))
    if cgroup:
        mounts.append(Mount("/sys/fs/cgroup", "cgroup2", "cgroup", (*quiet, "ro")))
    return tuple(mounts)


def default_sysctls(*, network: bool, groups: int) -> dict[str, str]:
    """Return the kernel parameters that a container of its own network gets, as Docker sets them.

    Any port may be listened on and any group may ping, as far as there are groups: `groups` ids are mapped.
    """
    if not network:
        return {}
    found = {"net.ipv4.ip_unprivileged_port_start": "0"}
    if groups:
        found["net.ipv4.ping_group_range"] = f"0 {min(groups - 1, 2147483647)}"
    return found
