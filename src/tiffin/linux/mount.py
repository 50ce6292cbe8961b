"""Mounts: the calls of mount(2) and of the newer interface that works on file descriptors.

A detached mount (from `open_tree`, `fsmount`) belongs to no namespace until `move_mount` attaches it, so
it can be prepared by one process and attached by another. Calls from 428 on have one number everywhere.
"""

from __future__ import annotations

import ctypes
import errno
import os

from tiffin.linux.libc import check, failure, function, syscall

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

ATTR_RDONLY = 0x1
ATTR_NOSUID = 0x2
ATTR_NODEV = 0x4
ATTR_NOEXEC = 0x8
ATTR_IDMAP = 0x100000

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_MOVE_MOUNT_T_EMPTY_PATH = 0x40
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_SET_FD = 5
_FSCONFIG_CMD_CREATE = 6

_OPEN_TREE = 428
_MOVE_MOUNT = 429
_FSOPEN = 430
_FSCONFIG = 431
_FSMOUNT = 432
_MOUNT_SETATTR = 442
_PERHAPS_MISSING = frozenset((errno.ENOSYS, errno.EPERM))  # EPERM: of a filter that does not know the call
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_mount = function("mount", ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_umount2 = function("umount2", ctypes.c_char_p, ctypes.c_int)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_substitute: ModuleType | None = None
"""`remount`, where it has been asked to stand in for a call that the kernel lacks."""


def _address(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount a file system of `kind` at `target`."""
    encode = os.fsencode
    result = _mount(encode(source), encode(target), encode(kind), flags, encode(options) or None)
    check(result, f"mounting {kind}", target)


def set_propagation(target: str, flags: int) -> None:
    """Change how mount events pass through `target`: `MS_PRIVATE`, `MS_SLAVE`; with `MS_REC` below it too."""
    check(_mount(None, os.fsencode(target), None, flags, None), "changing the mount propagation of", target)


def change(target: str, flags: int, what: str) -> None:
    """Remount what is attached at `target` with these flags; `what` names it in errors."""
    result = _mount(None, os.fsencode(target), None, flags, None)
    check(result, "setting the mount attributes of", what or target)


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    """Unmount what is on top at `target`."""
    check(_umount2(os.fsencode(target), flags), "unmounting", target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make `new_root` the root of this mount namespace and put the old root at `put_old`."""
    new, old = (
        ctypes.create_string_buffer(os.fsencode(new_root)),
        ctypes.create_string_buffer(os.fsencode(put_old)),
    )
    syscall(
        "changing the root to", _PIVOT_ROOT[os.uname().machine], _address(new), _address(old), path=new_root
    )


def open_tree(path: str, *, dir_fd: int = _AT_FDCWD, recursive: bool = False, follow: bool = True) -> int:
    """Return a detached copy of the mount at `path`: what a bind mount shows, attached nowhere yet."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC
    flags |= _AT_RECURSIVE if recursive else 0
    flags |= 0 if follow else _AT_SYMLINK_NOFOLLOW
    flags |= 0 if path else _AT_EMPTY_PATH
    return syscall("opening the tree", _OPEN_TREE, dir_fd, _address(name), flags, path=path)


def move_mount(mount_fd: int, target_fd: int, what: str = "") -> None:
    """Attach the detached mount on the directory or file that `target_fd` is; `what` names it in errors."""
    empty = ctypes.create_string_buffer(b"")
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    syscall(
        "mounting on", _MOVE_MOUNT, mount_fd, _address(empty), target_fd, _address(empty), flags, path=what
    )
    if _substitute is not None:
        _substitute.settle(mount_fd)


def move_mount_to(mount_fd: int, target: str) -> None:
    """Attach the detached mount at a path that is known to hold no surprises."""
    empty, name = ctypes.create_string_buffer(b""), ctypes.create_string_buffer(os.fsencode(target))
    flags = _MOVE_MOUNT_F_EMPTY_PATH
    syscall(
        "mounting on", _MOVE_MOUNT, mount_fd, _address(empty), _AT_FDCWD, _address(name), flags, path=target
    )
    if _substitute is not None:
        _substitute.settle(mount_fd)


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def mount_setattr(  # noqa: PLR0913 # as many as the call has
    mount_fd: int,
    attributes: int,
    *,
    recursive: bool = False,
    userns_fd: int = 0,
    propagation: int = 0,
    cleared: int = 0,
    what: str = "",
) -> None:
    """Set attributes of the mount whose root `mount_fd` is, with `recursive` of all below it too.

    Those `cleared` are taken away. Before Linux 5.12 a detached mount gets them when it is attached.
    """
    attr = _MountAttr(attributes, cleared, propagation, userns_fd)
    empty = ctypes.create_string_buffer(b"")
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    size = ctypes.sizeof(attr)
    call = "mapping the owners of" if userns_fd else "setting the mount attributes of"
    arguments = mount_fd, _address(empty), flags, ctypes.addressof(attr), size
    try:
        syscall(call, _MOUNT_SETATTR, *arguments, path=what)
    except OSError as error:
        if error.errno not in _PERHAPS_MISSING or not lacks_attributes():
            raise
        substitute = load_substitute()
        wanted = substitute.Wanted(attributes, recursive, propagation, cleared, what)
        substitute.set_attributes(mount_fd, wanted)


def lacks_attributes() -> bool:
    """Tell whether the kernel, or what filters its calls, does not know `mount_setattr`."""
    empty = ctypes.create_string_buffer(b"")
    try:
        syscall("asking", _MOUNT_SETATTR, -1, _address(empty), 0, 0, 0)
    except OSError as error:
        return error.errno in _PERHAPS_MISSING
    return False


def load_substitute() -> ModuleType:
    """Load what stands in for `mount_setattr`, while there are modules of ours to be loaded."""
    global _substitute  # noqa: PLW0603 - most kernels need none
    if _substitute is None:
        from tiffin.linux import remount

        _substitute = remount
    return _substitute


def check_settled() -> None:
    """Raise OSError if a mount has not got the attributes that it was to have."""
    if _substitute is not None:
        _substitute.check_settled()


class Filesystem:
    """A file system being configured: options are set one by one, then `mount` returns it detached."""

    def __init__(self, kind: str) -> None:
        name = ctypes.create_string_buffer(kind.encode())
        self.kind = kind
        self._fd = syscall(f"opening the file system {kind}", _FSOPEN, _address(name), _FSOPEN_CLOEXEC)

    def close(self) -> None:
        """Release what was configured; a mount that was made stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def set_flag(self, key: str) -> None:
        """Set the option that has no value."""
        name = ctypes.create_string_buffer(key.encode())
        self._config(_FSCONFIG_SET_FLAG, key, _address(name))

    def set_string(self, key: str, value: str) -> None:
        """Set the option `key=value`."""
        name, text = (
            ctypes.create_string_buffer(key.encode()),
            ctypes.create_string_buffer(os.fsencode(value)),
        )
        self._config(_FSCONFIG_SET_STRING, key, _address(name), _address(text))

    def set_fd(self, key: str, fd: int) -> None:
        """Set an option whose value is an open directory."""
        name = ctypes.create_string_buffer(key.encode())
        self._config(_FSCONFIG_SET_FD, key, _address(name), 0, fd)

    def mount(self, attributes: int = 0) -> int:
        """Create the file system and return a detached mount of it."""
        self._config(_FSCONFIG_CMD_CREATE, "")
        return syscall(f"mounting {self.kind}", _FSMOUNT, self._fd, _FSMOUNT_CLOEXEC, attributes)

    def _config(self, command: int, key: str, *rest: int) -> None:
        try:
            syscall(
                f"configuring {self.kind}{f' with {key}' if key else ''}", _FSCONFIG, self._fd, command, *rest
            )
        except OSError as error:
            if reason := self._log():
                raise OSError(error.errno, f"{error.strerror} ({reason})") from None
            raise

    def _log(self) -> str:
        """Return what the kernel wrote about the failure, without the letter that marks its severity."""
        lines = []
        try:
            while line := os.read(self._fd, 1024):
                lines.append(line.decode(errors="replace")[2:].strip())
        except OSError:
            pass
        return "; ".join(lines)


_statfs = function("statfs", ctypes.c_char_p, ctypes.c_void_p)
_fstatfs = function("fstatfs", ctypes.c_int, ctypes.c_void_p)


def filesystem_magic(place: str | int) -> int:
    """Return the number that identifies the kind of file system at a path or an open file (statfs(2))."""
    buffer = ctypes.create_string_buffer(256)
    failed = _fstatfs(place, buffer) if isinstance(place, int) else _statfs(os.fsencode(place), buffer)
    if failed == -1:
        raise failure("examining the file system of", str(place))
    return int.from_bytes(buffer.raw[:8], "little")
