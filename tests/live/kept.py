"""What programs see of owners that are kept beside the files. A Python in a container runs `main`."""

import ctypes
import json
import os
import resource
import socket
import struct
import sys


def in_child(act):
    """What `act` returns in a child of ours."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(act()).encode())
        except BaseException as error:  # noqa: BLE001 # it is told
            os.write(writing, json.dumps(repr(error)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with open(reading, "rb") as file:
        return json.loads(file.read())


def owner(path):
    found = os.lstat(path)
    return f"{found.st_uid}:{found.st_gid}"


def attributes():
    """Records are no attributes to programs, and cannot be made by them."""
    os.close(os.open("/own", os.O_CREAT | os.O_WRONLY))
    os.chown("/own", 5, 6)
    os.setxattr("/own", "user.mine", b"1")
    os.setxattr("/own", "security.thing", b"1")
    try:
        os.setxattr("/own", "user.tiffin.owner", b"7:7")
    except OSError as error:
        refused = error.strerror
    return os.listxattr("/own"), refused, owner("/own")


def another_root():
    """Paths, and links in them, mean what they mean below another root."""
    os.makedirs("/below/etc")
    os.symlink("/etc", "/below/link")
    os.close(os.open("/below/etc/f", os.O_CREAT | os.O_WRONLY))
    os.chown("/below/etc/f", 9, 9)
    os.chroot("/below")
    os.chdir("/")
    before = owner("/link/f")
    os.chown("/link/f", 10, 10)
    return before, owner("etc/f")


def as_another():
    """Whoever a process is, its children are; the limit that marks them is none to see or to change."""
    os.setgroups([8])
    os.setresgid(7, 7, 7)
    os.setresuid(7, 7, 7)
    resource.setrlimit(resource.RLIMIT_RTTIME, (5, 5))
    ids = in_child(lambda: [os.getresuid(), os.getresgid(), os.getgroups()])
    fd = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
    here = os.open("/tmp", os.O_PATH)  # only beside a directory does Python follow the link
    os.link(f"/proc/self/fd/{fd}", "/tmp/named", src_dir_fd=here, follow_symlinks=True)
    os.mkdir("/tmp/folder")
    failed = []
    for act in (lambda: os.setuid(0), lambda: os.mkdir("/no"), lambda: os.chown("/tmp/named", 8, 8)):
        try:
            act()
        except OSError as error:
            failed.append(error.strerror)
    return {
        "ids": ids,
        "limit": resource.getrlimit(resource.RLIMIT_RTTIME),
        "made": [owner("/tmp/named"), owner("/tmp/folder")],
        "failed": failed,
        "may": [os.access(path, os.W_OK) for path in ("/etc", "/etc/passwd", "/tmp", "/tmp/folder")],
    }


def capable():
    """Who keeps capabilities may go on, until a program is executed; who is at the other end of a socket."""
    ctypes.CDLL(None).prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setresuid(7, 7, 7)
    os.setresgid(8, 8, 8)
    os.setgroups([9])
    one, _other = socket.socketpair()
    program = (sys.executable, "-IS", "-c", "import os; os.setresuid(0, 0, 0)")
    again = in_child(lambda: os.spawnv(os.P_WAIT, sys.executable, program))
    return (
        os.getresgid(),
        again,
        struct.unpack("iII", one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:],
    )


def handed_on():
    """A directory hands its group on to what root makes in it."""
    os.mkdir("/group")
    os.chown("/group", 0, 50)
    os.chmod("/group", 0o2775)
    os.mkdir("/group/folder")
    os.symlink("x", "/group/link")
    os.mkfifo("/group/fifo")
    os.close(os.open("/group/file", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    return [owner(f"/group/{name}") for name in ("folder", "link", "fifo", "file")]


def main():
    os.chmod("/tmp", 0o1777)
    found = {
        act.__name__: in_child(act) for act in (attributes, another_root, as_another, capable, handed_on)
    }
    sys.stdout.write(json.dumps(found))
