"""What a container tries with who answers its calls, where there is one id. A Python in it runs `main`.

It prints a line for each attempt, with `failed` in it if the answer was not the one of a kernel.
"""

import ctypes
import errno
import os
import resource
import signal
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
BAD = (0, 1, 1 << 46, (1 << 64) - 16)
HERE = -100  # AT_FDCWD
NUMBERS = {}


def call(name, *arguments):
    """Make a call; the errno, 0 if there was none."""
    words = [ctypes.c_ulong(word) if isinstance(word, int) else word for word in (NUMBERS[name], *arguments)]
    return ctypes.get_errno() if libc.syscall(*words) == -1 else 0


def chown(path, owner):
    return call("fchownat", HERE, path, owner, owner, 0)


def tell(what, good):
    sys.stdout.write(f"{what} {'' if good else 'failed'}\n")
    sys.stdout.flush()


def pointers():
    buffer = ctypes.create_string_buffer(256)
    for bad in BAD:
        tell("a bad path", chown(bad, 1) == errno.EFAULT)
        tell("a bad structure", call("newfstatat", HERE, b"/etc/passwd", bad, 0) == errno.EFAULT)
        tell("bad groups", call("setgroups", 3, bad) == errno.EFAULT)
        tell("a bad text", call("symlinkat", bad, HERE, b"/x") == errno.EFAULT)
        tell("bad ids", call("getresuid", bad, bad, bad) == errno.EFAULT)
    for path in (b"x" * 5000, b"/" + b"y/" * 3000):
        tell("a long path", chown(path, 1) == errno.ENAMETOOLONG)
        tell("a long path", call("newfstatat", HERE, path, buffer, 0) == errno.ENAMETOOLONG)
    tell("no path", chown(b"", 1) == errno.ENOENT)
    tell("no file", call("fchownat", 99, b"x", 1, 1, 0) == errno.EBADF)
    tell("no directory", call("mkdirat", HERE, b"/nowhere/x", 0o755) == errno.ENOENT)


def ways_out(outside):
    """By links of /proc, by names, by what goes up: nothing but ours is changed or made."""
    os.symlink("/proc/1/root" + outside, "/tmp/one")
    os.symlink("../" * 30 + outside, "/tmp/two")
    for path in (outside, "/proc/1/root" + outside, "/proc/self/root" + outside, "/tmp/one", "/tmp/two"):
        tell(f"outside by {path}", chown(path.encode(), 5) != 0)
    os.setresuid(0, 5, 0)
    for path in (outside + "2", "/proc/1/root" + outside + "2", "/tmp/two2"):
        call("openat", HERE, path.encode(), os.O_CREAT | os.O_RDWR, 0o666)
    os.setresuid(0, 0, 0)


def race(outside):
    """One thread swaps a directory for a link to where it must not lead, others change what is below it."""
    os.makedirs("/race/real/x")
    os.symlink("/proc/1/root/../.." + os.path.dirname(outside), "/race/link")
    over = []

    def swap():
        while not over:
            for name in ("real", "link"):
                os.rename(f"/race/{name}", "/race/now")
                os.rename("/race/now", f"/race/{name}")

    thread = threading.Thread(target=swap)
    thread.start()
    name = os.path.basename(outside).encode()
    for _ in range(300):
        chown(b"/race/now/" + name, 5)
        chown(b"/race/now/../now/x", 5)
        call("openat", HERE, b"/race/now/" + name, os.O_CREAT | os.O_RDWR, 0o666)
    over.append(True)
    thread.join()
    tell("a race", True)


def deaths():
    """Callers that end while they wait."""
    for number in range(40):
        pid = os.fork()
        if pid == 0:
            while True:
                chown(b"/tmp", number)
        time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    tell("forty deaths", True)


def crowded():
    """Nobody can be handed a file who may have no more of them."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (os.open("/", os.O_PATH), before[1]))
    os.setresuid(0, 5, 0)
    tell(
        "one file more", call("openat", HERE, b"/tmp/crowded", os.O_CREAT | os.O_RDWR, 0o666) == errno.EMFILE
    )
    os.setresuid(0, 0, 0)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def flood():
    """Many at once, and identities without number."""
    pids = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            for step in range(150):
                os.setresuid(number * 1000 + step, 0, 0)
                chown(b"/tmp", step)
            os._exit(0)
        pids.append(pid)
    tell("a flood", all(os.waitpid(pid, 0)[1] == 0 for pid in pids))


def main(outside, numbers):
    NUMBERS.update(numbers)
    os.chmod("/tmp", 0o1777)
    pointers()
    ways_out(outside)
    race(outside)
    deaths()
    crowded()
    flood()
    os.close(os.open("/tmp/own", os.O_CREAT | os.O_WRONLY))
    os.chown("/tmp/own", 3, 4)
    found = os.stat("/tmp/own")
    tell("still answered", (found.st_uid, found.st_gid) == (3, 4))
