"""What root in a container tries against its walls.

A Python in the container runs `main` with the numbers of the system calls and marks of the host, and prints
what came of each attempt: `done`, or the name of an error. Nothing here does harm where a wall is missing:
files are opened and not written, values are set to what they are.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import signal
import socket
import stat
import struct
import sys

HERE = -100  # AT_FDCWD
UNMAPPED = 4_000_000_000
NEW = {
    "time": 0x80,
    "mount": 0x20000,
    "cgroup": 0x2000000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
}
WRITTEN = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/randomize_va_space",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity",
    "/sys/kernel/uevent_helper",
    "/sys/kernel/mm/ksm/run",
    "/sys/power/state",
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/fs/cgroup/cgroup.subtree_control",
    "/sys/fs/cgroup/release_agent",
    "/sys/fs/cgroup/notify_on_release",
)
DEVICES = ("/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/fuse", "/dev/loop-control", "/dev/kvm")

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def name_of(number):
    return errno.errorcode.get(number, str(number))


class Kernel:
    """System calls by name."""

    def __init__(self, numbers) -> None:
        self.numbers = numbers

    def __call__(self, name, *args) -> str:
        if name not in self.numbers:
            return "ENOSYS"
        words = [self.word(arg) for arg in args]
        if libc.syscall(ctypes.c_long(self.numbers[name]), *words) == -1:
            return name_of(ctypes.get_errno())
        return "done"

    @staticmethod
    def word(arg):  # noqa: ANN205
        if isinstance(arg, str):
            return ctypes.c_char_p(arg.encode())
        return ctypes.c_char_p(arg) if isinstance(arg, bytes) else ctypes.c_long(arg)


def opened(path, flags=os.O_RDONLY):
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError as error:
        return name_of(error.errno)
    return "done"


def written(path, data):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def content(path):
    try:
        with open(path, "rb") as file:
            return "done" if file.read(1) else "empty"
    except OSError as error:
        return name_of(error.errno)


def device(path, kind, number):
    """Make a device. Where only one id is mapped that succeeds in name: an empty file stands for it."""
    outcome = tried(os.mknod, path, kind | 0o600, number)
    return outcome if outcome != "done" or not is_empty(path) else "in name"


def is_empty(path):
    with open(path, "rb") as file:
        return not file.read(1)


def user(number):
    outcome = tried(os.setresuid, number, number, number)
    with open("/proc/self/status") as file:  # the kernel's word, and not that of who answers calls
        return outcome if outcome != "done" or f"\t{number}\t" in file.read() else "in name"


def tried(action, *args):
    try:
        action(*args)
    except OSError as error:
        return name_of(error.errno)
    return "done"


def apart(action):
    """What `action` returns in a process of its own, or the signal that ended that."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(action()).encode())
        os._exit(0)
    os.close(write)
    said = os.read(read, 100).decode()
    os.close(read)
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else said


def mounting(kernel):
    yield "mount-tmpfs", lambda: kernel("mount", "t", "/tmp", "tmpfs", 0, 0)
    yield "mount-bind", lambda: kernel("mount", "/etc", "/tmp", 0, 4096, 0)
    yield "mount-proc", lambda: kernel("mount", "p", "/tmp", "proc", 0, 0)
    yield "mount-cgroup", lambda: kernel("mount", "c", "/tmp", "cgroup", 0, "memory")
    yield "mount-cgroup2", lambda: kernel("mount", "c", "/tmp", "cgroup2", 0, 0)
    yield "mount-debugfs", lambda: kernel("mount", "d", "/tmp", "debugfs", 0, 0)
    yield "mount-remount", lambda: kernel("mount", 0, "/proc/sys", 0, 4096 | 32, 0)
    yield "mount-propagation", lambda: kernel("mount", 0, "/", 0, 1 << 20 | 16384, 0)
    yield "umount", lambda: kernel("umount2", "/proc/kcore", 2)
    yield "pivot_root", lambda: kernel("pivot_root", ".", ".")
    yield "fsopen", lambda: kernel("fsopen", "tmpfs", 0)
    yield "fspick", lambda: kernel("fspick", HERE, "/", 0)
    yield "fsmount", lambda: kernel("fsmount", -1, 0, 0)
    yield "fsconfig", lambda: kernel("fsconfig", -1, 6, 0, 0, 0)
    yield "open_tree", lambda: kernel("open_tree", HERE, "/", 1)
    yield "open_tree_attr", lambda: kernel("open_tree_attr", HERE, "/", 1, 0, 0)
    yield "move_mount", lambda: kernel("move_mount", HERE, "/proc/sys", HERE, "/tmp", 0)
    yield "mount_setattr", lambda: kernel("mount_setattr", HERE, "/proc/sys", 0, bytes(32), 32)


def namespaces(kernel):
    yield "setns", lambda: kernel("setns", os.open("/proc/1/ns/uts", os.O_RDONLY), 0)
    for kind, flag in NEW.items():
        yield f"unshare-{kind}", lambda flag=flag: apart(lambda: kernel("unshare", flag))
    yield "clone-user", lambda: apart(lambda: born(kernel, "clone", NEW["user"] | 17, 0, 0, 0, 0))
    struct_clone = struct.pack("QQQQQQQQ", NEW["user"], 0, 0, 0, 17, 0, 0, 0)
    yield "clone3-user", lambda: apart(lambda: born(kernel, "clone3", struct_clone, len(struct_clone)))
    yield "sethostname", lambda: kernel("sethostname", "taken", 5)
    yield "setdomainname", lambda: kernel("setdomainname", "taken", 5)


def time_keys_and_modules(kernel):
    yield "keyctl", lambda: kernel("keyctl", 0, -3, 1)
    yield "add_key", lambda: kernel("add_key", "user", "tiffin", b"x", 1, -3)
    yield "request_key", lambda: kernel("request_key", "user", "tiffin", 0, 0)
    yield "init_module", lambda: kernel("init_module", b"x", 1, "")
    yield "finit_module", lambda: kernel("finit_module", os.open("/etc/passwd", os.O_RDONLY), "", 0)
    yield "delete_module", lambda: kernel("delete_module", "no_such_module", os.O_NONBLOCK)
    yield "clock_settime", lambda: clock(kernel, "clock_settime", 0)
    yield "settimeofday", lambda: clock(kernel, "settimeofday")
    slew = struct.pack("I", 0x8001) + bytes(300)  # by nothing
    yield "adjtimex", lambda: kernel("adjtimex", slew)
    yield "clock_adjtime", lambda: kernel("clock_adjtime", 0, slew)


def machine(kernel):
    buffer = bytes(64)
    yield "bpf", lambda: kernel("bpf", 0, struct.pack("IIII", 2, 4, 4, 1) + bytes(100), 64)
    yield "perf_event_open", lambda: kernel("perf_event_open", perf(), 0, -1, -1, 0)
    yield "userfaultfd", lambda: kernel("userfaultfd", os.O_CLOEXEC)
    yield "io_uring_setup", lambda: kernel("io_uring_setup", 1, bytes(120))
    yield "io_uring_enter", lambda: kernel("io_uring_enter", -1, 0, 0, 0, 0, 0)
    yield "io_uring_register", lambda: kernel("io_uring_register", -1, 0, 0, 0)
    yield "kexec_load", lambda: kernel("kexec_load", 0, 0, 0, 0)
    yield "kexec_file_load", lambda: kernel("kexec_file_load", -1, -1, 0, 0, 4)
    yield "reboot", lambda: kernel("reboot", 0xFEE1DEAD, 672274793, 0, 0)  # Ctrl-Alt-Del off, where it is
    yield "swapon", lambda: kernel("swapon", "/etc/passwd", 0)
    yield "swapoff", lambda: kernel("swapoff", "/etc/passwd")
    yield "acct", lambda: kernel("acct", "/etc/passwd")
    yield "syslog", lambda: kernel("syslog", 3, buffer, 8)
    yield "quotactl", lambda: kernel("quotactl", 0x800001 << 8, 0, 0, 0)
    yield "quotactl_fd", lambda: kernel("quotactl_fd", 0, 0x800007 << 8, 0, buffer)
    yield "open_by_handle_at", lambda: kernel("open_by_handle_at", handle_mount(), handle(), 0)
    yield "fanotify_init", lambda: kernel("fanotify_init", 0, 0)
    yield "lookup_dcookie", lambda: kernel("lookup_dcookie", 0, buffer, 8)
    yield "iopl", lambda: kernel("iopl", 3)
    yield "ioperm", lambda: kernel("ioperm", 0x80, 1, 1)
    yield "vhangup", lambda: apart(lambda: kernel("vhangup"))
    yield "personality", lambda: kernel("personality", 0x0040000)  # no address randomisation


def processes_and_users(kernel, facts):
    yield "kcmp", lambda: kernel("kcmp", os.getpid(), os.getpid(), 0, 0, 0)
    yield "process_madvise", lambda: kernel("process_madvise", -1, 0, 0, 0, 0)
    yield "mbind", lambda: kernel("mbind", 0, 0, 0, 0, 0, 0)
    yield "set_mempolicy", lambda: kernel("set_mempolicy", 0, 0, 0)
    yield "migrate_pages", lambda: kernel("migrate_pages", os.getpid(), 0, 0, 0)
    yield "move_pages", lambda: kernel("move_pages", os.getpid(), 0, 0, 0, 0, 0)
    yield "socket-vsock", lambda: tried(socket.socket, 40, socket.SOCK_STREAM)
    yield "kill-outside", lambda: kernel("kill", facts["pid"], 0)
    yield "pidfd_open-outside", lambda: kernel("pidfd_open", facts["pid"], 0)
    yield "ptrace-outside", lambda: kernel("ptrace", 0x4206, facts["pid"], 0, 0)
    vector = struct.pack("PP", ctypes.addressof(ctypes.create_string_buffer(8)), 8)
    yield (
        "process_vm_readv-outside",
        lambda: kernel("process_vm_readv", facts["pid"], vector, 1, vector, 1, 0),
    )
    yield "pidfd_getfd", lambda: kernel("pidfd_getfd", os.pidfd_open(os.getpid()), 0, 0)
    yield "setuid-unmapped", lambda: apart(lambda: user(UNMAPPED))
    yield "chown-unmapped", lambda: tried(os.chown, "/tmp", UNMAPPED, UNMAPPED)
    yield "x32", lambda: apart(lambda: kernel("x32", 0, 0, 0))
    yield "i386", lambda: apart(i386)


def calls(kernel, facts):
    """System calls that reach for the host, or for parts of the kernel that have no business here."""
    for group in (mounting, namespaces, time_keys_and_modules, machine):
        yield from group(kernel)
    yield from processes_and_users(kernel, facts)


def born(kernel, *call):
    """A call that returns twice where it works."""
    parent = os.getpid()
    outcome = kernel(*call)
    if os.getpid() != parent:
        os._exit(0)
    return outcome


def clock(kernel, name, *first):
    """Set the time to what it is, or nearly."""
    now = (ctypes.c_long * 2)()
    libc.clock_gettime(0, ctypes.byref(now))
    if name == "settimeofday":
        now[1] //= 1000
    return kernel(name, *first, bytes(now), *(() if first else (0,)))


def perf():
    """A counter of software events of this process alone, which an unprivileged user may often have."""
    return struct.pack("IIQ", 1, 112, 0) + bytes(24) + struct.pack("Q", 1 << 5 | 1 << 6) + bytes(100)


def handle():
    """The file handle of inode 2, which is the root of most file systems (the escape called shocker)."""
    return struct.pack("IiQ", 8, 1, 2)


def handle_mount():
    return os.open("/etc/hosts" if os.path.exists("/etc/hosts") else "/", os.O_RDONLY)


def i386():
    """getpid by the 32-bit gate of the processor, whose calls have other numbers."""
    if platform.machine() != "x86_64":
        return "ENOSYS"
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("53b814000000cd805bc3"))  # push rbx; mov eax, 20; int 0x80; pop rbx; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    return "done" if result > 0 else name_of(-result)


def reaches(kernel, facts):
    """What of the host can be named from here; each of these works on the host itself."""
    yield "file", lambda: opened(facts["file"])
    yield "file-by-dots", lambda: opened("/.." * 20 + facts["file"])
    yield "file-by-proc", lambda: opened("/proc/1/root" + facts["file"])
    yield "file-by-chroot", lambda: apart(lambda: break_out(facts["file"]))
    yield "process", lambda: opened(f"/proc/{facts['pid']}/status") if seen(facts) else "ENOENT"
    yield "sysv-memory", lambda: kernel("shmget", facts["key"], 0, 0)
    yield "queue", lambda: kernel("mq_open", facts["queue"], os.O_RDONLY, 0, 0)
    yield "posix-memory", lambda: opened(facts["memory"])
    yield "abstract-socket", lambda: connected(socket.AF_UNIX, "\0" + facts["abstract"])
    yield "loopback", lambda: connected(socket.AF_INET, ("127.0.0.1", facts["port"]))


def seen(facts):
    """Whether the process with that number, if there is one, is the host's."""
    try:
        with open(f"/proc/{facts['pid']}/cmdline") as file:
            return facts["words"] in file.read()
    except OSError:
        return False


def connected(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        return tried(client.connect, address)


def break_out(path):
    """The way out of a chroot that root has: stand outside of one's own root, and climb."""
    os.makedirs("/tmp/jail", exist_ok=True)
    os.chroot("/tmp/jail")
    for _ in range(100):
        os.chdir("..")
    os.chroot(".")
    return opened(path)


def main(facts):
    kernel = Kernel({**facts["numbers"], "x32": 0x40000000 | facts["numbers"].get("getpid", 0)})
    found = {f"reach {name}": attempt() for name, attempt in reaches(kernel, facts)}
    found |= {f"write {path}": opened(path, os.O_WRONLY) for path in WRITTEN}
    found |= {f"device {path}": opened(path, os.O_RDWR) for path in DEVICES}
    found["device by mknod"] = device("/tmp/disk", stat.S_IFBLK, os.makedev(*facts["disk"]))
    found["device by mknod, of characters"] = device("/tmp/mem", stat.S_IFCHR, os.makedev(1, 1))
    found["users by uid_map"] = tried(written, "/proc/self/uid_map", b"0 0 1")
    found["cgroup"] = tried(os.mkdir, "/sys/fs/cgroup/mine")
    found |= {f"read {path}": content(path) for path in ("/proc/keys", "/proc/kcore", "/proc/timer_list")}
    found["interfaces"] = sorted(name for _, name in socket.if_nameindex())
    found |= {f"call {name}": attempt() for name, attempt in calls(kernel, facts)}
    sys.stdout.write(json.dumps(found))
