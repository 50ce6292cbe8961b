"""What a Python of there tries inside, for `test_answered`, and whether each came to what it should."""

import ctypes
import errno
import json
import os
import pty
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

FOUND = {}
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = json.loads(sys.argv[1])
SECRET = sys.argv[2]
PYTHON = sys.executable
AT_FDCWD = -100
_BENEATH = 8


def check(name, holds):
    FOUND[name] = bool(holds)


def failure(act, *args, **options):
    try:
        act(*args, **options)
    except OSError as error:
        return error.errno
    return 0


def call(name, *args):
    words = [arg if isinstance(arg, bytes) else ctypes.c_long(arg) for arg in args]
    return 0 if LIBC.syscall(NUMBERS[name], *words) >= 0 else ctypes.get_errno()


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def output(*command, **options):
    return subprocess.run(command, check=False, capture_output=True, **options).stdout


def leave():
    """Paths that lead out."""
    os.symlink("/../../.." + SECRET, "esc")
    check("a link out", failure(os.stat, "esc") == errno.ENOENT)
    check("an absolute path", failure(os.stat, SECRET) == errno.ENOENT)
    check("ways back", sorted(os.listdir("/../..")) == sorted(os.listdir("/")))
    check("the root of /proc", failure(os.stat, "/proc/self/root" + SECRET) == errno.ENOENT)
    check("a root's text", os.readlink("/proc/self/root") == "/")
    check("the root of another", failure(os.stat, f"/proc/{os.getppid()}/root{SECRET}") != 0)
    held = os.open("/proc/self", os.O_RDONLY)
    check("back from /proc", failure(os.stat, "../.." + SECRET, dir_fd=held) == errno.ENOENT)
    os.fchdir(held)
    check("where it is", os.getcwd() == f"/proc/{os.getpid()}")
    check("back from there", os.path.exists("../../etc/passwd"))
    os.chdir("/work")
    check("by a descriptor", failure(os.stat, f"/proc/self/fd/{held}/../..{SECRET}") == errno.ENOENT)
    launcher = os.getppid()
    for name in ("environ", "mem", "fd/3", "maps"):
        check(
            f"the launcher's {name}",
            failure(os.open, f"/proc/{launcher}/{name}", os.O_RDONLY) == errno.EACCES,
        )
    how = struct.pack("=3Q", os.O_RDONLY, 0, _BENEATH)
    held = os.open("/proc", os.O_RDONLY)
    check("the launcher as itself", call("openat2", held, b"self/maps", how, len(how)) == errno.EXDEV)
    check("its threads", failure(os.listdir, f"/proc/{launcher}/task") == errno.EACCES)
    check("another root", failure(os.chroot, "/work") == errno.EPERM)


def restrict():
    """Paths of which the caller says how far they may lead."""
    how = struct.pack("=3Q", os.O_RDONLY, 0, _BENEATH)
    check("beneath", call("openat2", os.open("/etc", os.O_RDONLY), b"passwd", how, len(how)) == 0)
    check("above", call("openat2", AT_FDCWD, b"../etc/passwd", how, len(how)) == errno.EXDEV)
    new = struct.pack("=3Q", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640, _BENEATH)
    check("new", call("openat2", AT_FDCWD, b"new", new, len(new)) == 0 and mode("new") == 0o640)
    check("not new", call("openat2", AT_FDCWD, b"new", new, len(new)) == errno.EEXIST)
    readers = []
    for name in ("first", "second", "third"):
        os.mkfifo(name)
        ask = ("openat2", AT_FDCWD, name.encode(), how, len(how))
        readers.append(threading.Thread(target=lambda ask=ask: check(ask[2].decode(), call(*ask) == 0)))
        readers[-1].start()
    for name in ("first", "second", "third"):
        os.close(os.open(name, os.O_WRONLY))
    for reader in readers:
        reader.join()


def race():
    """A directory that is moved and replaced by links while paths through it are looked up."""
    os.mkdir("moving")
    done = threading.Event()

    def move():
        while not done.is_set():
            os.rename("moving", "moved")
            os.symlink("/", "moving")
            os.unlink("moving")
            os.rename("moved", "moving")

    mover = threading.Thread(target=move)
    mover.start()
    seen = [failure(os.stat, "moving/../../../.." + SECRET) for _ in range(1000)]
    done.set()
    mover.join()
    check("no race leads out", 0 not in seen)


def point():
    """Addresses that are none, and names that are none."""
    for name in ("openat", "newfstatat", "fchmodat", "unlinkat", "readlinkat"):
        check(f"{name} of nothing", call(name, -100, 1, 1, 1, 0) == errno.EFAULT)
    check("a program of nothing", call("execve", 1, 1, 1) == errno.EFAULT)
    check("arguments of nothing", call("execve", b"/bin/true", 1, 0) == errno.EFAULT)
    for address in (1, -1, -4096):
        check(f"an answer to {address}", call("newfstatat", -100, b"/", address, 0) == errno.EFAULT)
    check("a long path", failure(os.stat, "/" + "a" * 5000) == errno.ENAMETOOLONG)
    check("an empty path", failure(os.stat, "") == errno.ENOENT)
    check("making a directory", failure(os.open, "/work", os.O_CREAT) == errno.EISDIR)
    check("making what is there", failure(os.open, "/work", os.O_CREAT | os.O_EXCL) == errno.EEXIST)
    check("no descriptor", failure(os.open, "x", 0, dir_fd=999) == errno.EBADF)
    check("a pipe for a directory", failure(os.open, "x", 0, dir_fd=os.pipe()[0]) == errno.ENOTDIR)
    check("status of nothing", failure(os.fstat, 999) == errno.EBADF)
    check("status of a pipe", stat.S_ISFIFO(os.fstat(os.pipe()[0]).st_mode))


def execute():
    """Programs: static and dynamic ones, scripts, what is none, and by threads."""
    for name, text, code in (
        ("text", "hello", errno.ENOEXEC),
        ("loop", "#!/work/loop\n", errno.ELOOP),
        ("none", "#!/none\n", errno.ENOENT),
    ):
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o755)
        check(f"executing {name}", failure(os.execv, f"/work/{name}", ["x"]) == code)
    os.chmod("none", 0o644)
    check("without the right to", failure(os.execv, "/work/none", ["x"]) == errno.EACCES)
    check("a directory", failure(os.execv, "/work", ["x"]) == errno.EACCES)
    check("too much", failure(os.execv, "/bin/true", ["x" * 200_000]) == errno.E2BIG)
    check("what did not begin", os.readlink("/proc/self/exe") == PYTHON)
    with open("script", "w", encoding="utf-8") as file:
        file.write("#!/bin/echo  a b \n")
    os.chmod("script", 0o755)
    check("a script", output("./script", "c") == b"a b ./script c\n")
    os.symlink("/bin/echo", ".program")
    check("a name that is ours", output("echo", "c", executable="/work/.program") == b"c\n")
    tell = (
        "import sys, os; print(sys.argv[1:], os.readlink('/proc/self/exe'), open('/proc/self/comm').read())"
    )
    said = output("-odd", "-ISc", tell, "x", executable=PYTHON).decode()
    check("its own name", said == f"['x'] {PYTHON} {os.path.basename(PYTHON)}\n\n")
    check("itself", output("/proc/self/exe", "-ISc", "print(5)") == b"5\n")
    check(
        "by descriptor",
        output(*(PYTHON, "-ISc", "import os; os.execve(os.open('/bin/echo', 0), ['echo', 'y'], {})"))
        == b"y\n",
    )
    check("many arguments", output("/bin/sh", "-c", "echo $#", "x", *["y"] * 50_000) == b"50000\n")
    child = os.fork()
    if child == 0:
        threading.Thread(target=os.execv, args=("/bin/sh", ["sh", "-c", "exit 9"])).start()
        signal.pause()
    check("by a thread", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9)
    child = os.posix_spawn("/bin/sh", ["sh", "-c", "kill -TERM $$"], {})
    check("how it ended", os.waitpid(child, 0)[1] == signal.SIGTERM)


def wait():
    """Pipes, which callers wait at, and signals and deaths meanwhile."""
    os.mkfifo("pipe")
    child = os.fork()
    if child == 0:
        with open("pipe", "w", encoding="utf-8") as file:
            file.write("through")
        os._exit(0)
    with open("pipe", encoding="utf-8") as file:
        check("through a pipe", file.read() == "through")
    os.waitpid(child, 0)
    for _ in range(50):  # deaths of children are signals too
        child = os.fork()
        if child == 0:
            os.close(os.open("pipe", os.O_WRONLY))
            os._exit(0)
        os.close(os.open("pipe", os.O_RDONLY))
        os.waitpid(child, 0)
    for number, status in ((signal.SIGKILL, signal.SIGKILL), (signal.SIGUSR1, 7 << 8)):
        ready, begun = os.pipe()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGUSR1, lambda *_: os._exit(7))
            os.write(begun, b"x")
            os.open("pipe", os.O_RDONLY)
        os.read(ready, 1)
        while b"pipe" not in open(f"/proc/{child}/wchan", "rb").read() and not _waits(child):  # noqa: SIM115
            time.sleep(0.01)
        os.kill(child, number)
        check(f"signal {number} at a pipe", os.waitpid(child, 0)[1] == status)
    loops = [
        subprocess.Popen(["/bin/sh", "-c", "while :; do cd /; cd /work; (true); done"]) for _ in range(3)
    ]
    for loop in loops:
        for number in (signal.SIGSTOP, signal.SIGCONT) * 5:
            loop.send_signal(number)
            time.sleep(0.005)
        check("stopped and continued", loop.poll() is None)
        loop.kill()
        check("killed in a loop", loop.wait() == -signal.SIGKILL)


def _waits(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] == b"S"


def connect():
    """Sockets with paths, and watches."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("/work/socket")
    listener.listen()
    near = socket.socket(socket.AF_UNIX)
    near.connect("socket")
    far = listener.accept()[0]
    near.send(b"x")
    check("a socket", far.recv(1) == b"x")
    who = struct.unpack("=iII", near.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    check("who is there", who == (os.getpid(), 0, 0))
    os.mkdir("everybodys")
    os.chmod("everybodys", 0o777)
    with open("everybodys/taken", "xb"):
        pass
    taking = (
        "import os, socket; os.setuid(7); bind = lambda path: socket.socket(socket.AF_UNIX).bind(path)\n"
        "for path in ('everybodys/taken', '/etc/mine', 'everybodys/mine'):\n"
        "    try: bind(path)\n"
        "    except OSError as error: print(error.errno)\n"
    )
    said = output(PYTHON, "-IS", "-c", taking).split()
    check("taken", said == [b"%d" % errno.EADDRINUSE, b"%d" % errno.EACCES])
    owners = [os.stat(f"everybodys/{name}").st_uid for name in ("taken", "mine")]
    check("whose sockets are", owners == [0, 7])
    check("no socket", failure(socket.socket(socket.AF_UNIX).connect, "nowhere") == errno.ENOENT)
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind("datagrams")
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"hi", "/work/datagrams")
    check("a datagram", datagrams.recv(9) == b"hi")
    watch = LIBC.inotify_init1(0)
    check("a watch", LIBC.inotify_add_watch(watch, b"/work", 0x100) > 0)
    os.mkdir("seen")
    check("what it sees", b"seen" in os.read(watch, 4096))


def change():
    """Modes and owners that we could not have ourselves."""
    with open("shut", "w", encoding="utf-8") as file:
        file.write("a")
    os.chmod("shut", 0)
    os.chown("shut", 5, 6)
    status = os.stat("shut")
    check("shut", (status.st_uid, status.st_gid, mode("shut")) == (5, 6, 0))
    with open("shut", encoding="utf-8") as file:
        check("root reads it", file.read() == "a")
    os.umask(0)
    os.mkdir("given", 0o555)
    os.close(os.open("given/file", os.O_CREAT | os.O_RDWR, 0o466))
    check("root makes", (mode("given"), mode("given/file")) == (0o555, 0o466))
    os.chmod("given", 0o2755)
    os.mkdir("given/below", 0o777)
    check("the group is handed on", mode("given/below") == 0o2777)
    os.umask(0o22)
    os.setxattr("shut", "security.capability", b"\x01\0\0\x02" + bytes(16))
    check("capabilities", os.listxattr("shut") == ["security.capability"])
    os.chown("shut", 6, 7)
    check("a new owner has none", not os.listxattr("shut"))
    header, data = struct.pack("=Ii", 0x20080522, 0), bytearray(24)
    held = (ctypes.c_char * 24).from_buffer(data)
    check("asking for rights", call("capget", header, ctypes.addressof(held)) == 0)
    check("rights", data[:4] == data[4:8] and data[3] & 0x80)
    check("taking rights", call("capset", header, bytes(data)) == 0)
    check("other rights", call("capset", header, b"\xff" * 24) == errno.EPERM)
    check("our records", failure(os.getxattr, "shut", "user.tiffin.owner") == errno.ENODATA)
    check("a device", not failure(os.mknod, "disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)))
    check("is seen", stat.S_ISBLK(os.stat("disk").st_mode) and os.stat("disk").st_rdev == os.makedev(8, 0))
    mark = (
        "import ctypes, os, sys; os.setresuid(7, 7, 7); libc = ctypes.CDLL(None)\n"
        "mark = (ctypes.c_ulong * 2)(1 << 40, (1 << 64) - 1)\n"
        "call = [int(sys.argv[1]), 15 | 1 << 32, ctypes.addressof(mark)]\n"
        "libc.syscall(*map(ctypes.c_long, call)); print(os.getuid())"
    )
    asked = str(NUMBERS["setrlimit"])
    check("marking itself", output(PYTHON, "-IS", "-c", mark, asked) == b"7\n")
    held = os.open("/work", os.O_TMPFILE | os.O_RDWR)
    os.write(held, b"z")
    os.link(f"/proc/self/fd/{held}", "/work/linked", src_dir_fd=held, follow_symlinks=True)
    check("a file without a name", os.stat("linked").st_size == 1)
    os.symlink("x", "dangling")
    os.chown("dangling", 9, 9, follow_symlinks=False)
    check("whose a link is", os.lstat("dangling").st_uid == 9)
    held = os.open("dangling", os.O_PATH | os.O_NOFOLLOW)
    check("a link as a path", stat.S_ISLNK(os.fstat(held).st_mode))


def look():
    """What the machine has."""
    check("nothing", os.stat("/dev/null").st_rdev == os.makedev(1, 3))
    with open("/dev/urandom", "rb") as file:
        check("chance", len(file.read(4)) == 4)
    check("the text of a stream", os.readlink("/dev/stdout") == "/proc/self/fd/1")
    check("a terminal", os.ttyname(pty.openpty()[1]).startswith("/dev/pts/"))
    check("a stream", output("/bin/sh", "-c", "cat /dev/stdin > /dev/stdout", input=b"b") == b"b")
    os.symlink("/dev/stdout", "log")
    check("a link to one", output("/bin/sh", "-c", "echo q > /work/log") == b"q\n")
    with open("/proc/self/status", encoding="utf-8") as file:
        check("who it is", "Uid:\t0\t0\t0\t0\n" in file.read())
    check("its mounts", output("/bin/cat", "/proc/mounts").startswith(b"rootfs / "))


os.mkdir("/work")
os.chdir("/work")
for part in (leave, restrict, race, point, execute, wait, connect, change, look):
    part()
json.dump(FOUND, sys.stdout)
