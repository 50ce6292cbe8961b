"""Trees for tests of layers: made from a table, and told apart entry by entry."""

import os
import stat


def build(base, table):
    """Make below `base` what `table` says: path → (kind, value, options).

    Kinds: file (bytes), dir, link (text), hard (path), fifo, char and block (major, minor), white.
    Options: mode, uid, gid, mtime (ns), xattrs, opaque. Times of directories are set last.
    """
    base.mkdir(exist_ok=True)
    base.chmod(0o755)
    for path, (kind, value, options) in table.items():
        make(base / path, kind, value, base)
        dress(base / path, kind, options)
    for path, (_kind, _value, options) in reversed(table.items()):
        moment = options.get("mtime", 1_000_000_000_000_000_000)
        os.utime(base / path, ns=(moment, moment), follow_symlinks=False)
    return base


def make(path, kind, value, base):
    match kind:
        case "file":
            path.write_bytes(value)
        case "dir":
            path.mkdir(exist_ok=True)
        case "link":
            path.symlink_to(value)
        case "hard":
            os.link(base / value, path, follow_symlinks=False)
        case "fifo":
            os.mkfifo(path)
        case "char" | "block":
            os.mknod(path, stat.S_IFCHR if kind == "char" else stat.S_IFBLK, os.makedev(*value))
        case "white":
            os.mknod(path, stat.S_IFCHR, 0)


def dress(path, kind, options):
    if kind in ("white", "hard"):
        return
    if "uid" in options or "gid" in options:
        os.chown(path, options.get("uid", 0), options.get("gid", 0), follow_symlinks=False)
    if kind != "link":
        path.chmod(options.get("mode", 0o755 if kind == "dir" else 0o644))
    for name, value in options.get("xattrs", {}).items():
        os.setxattr(path, name, value, follow_symlinks=False)
    if options.get("opaque"):
        os.setxattr(path, "user.overlay.opaque", b"y")


def picture(base, *, times=True):
    """Everything that can be seen of a tree, path → facts; hard links by the set of their names."""
    found, inodes = {}, {}
    for directory, names, files in os.walk(base):
        for name in names + files:
            path = os.path.relpath(os.path.join(directory, name), base)
            status = os.lstat(os.path.join(directory, name))
            found[path] = _facts(os.path.join(directory, name), status, times)
            if stat.S_ISREG(status.st_mode):
                inodes.setdefault(status.st_ino, set()).add(path)
    return found, sorted(sorted(names) for names in inodes.values())


def _facts(host, status, times):
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFCHR and status.st_rdev == 0:
        return ("whiteout",)
    content = b""
    if kind == stat.S_IFREG:
        with open(host, "rb") as file:
            content = file.read()
    elif kind == stat.S_IFLNK:
        content = os.fsencode(os.readlink(host))
    xattrs = {
        name: os.getxattr(host, name, follow_symlinks=False)
        for name in os.listxattr(host, follow_symlinks=False)
    }
    mtime = status.st_mtime_ns // 1_000_000_000 if times else 0
    return (
        status.st_mode,
        status.st_uid,
        status.st_gid,
        mtime,
        status.st_rdev,
        content,
        sorted(xattrs.items()),
    )
