"""Any exception as something that a user can be told."""

from __future__ import annotations

import errno
import os

from tiffin.errors import TiffinError, UnavailableError

_PRUNE = "free some space, or remove what is unused with 'tiffin system prune'"

# What the system says → what that means here, and what to do about it.
_SYSTEM = {
    errno.ENOSPC: ("the disk is full", _PRUNE),
    errno.EDQUOT: ("the disk quota is used up", _PRUNE),
    errno.EACCES: ("permission denied", "check the owner and mode of the file and of the folders above it"),
    errno.EPERM: ("the system does not permit it", "see 'tiffin doctor' for what this machine allows"),
    errno.EFBIG: ("the file is larger than it may be", "raise the limit with 'ulimit -f'"),
    errno.EROFS: ("the file system is read-only", "choose another folder with TIFFIN_HOME"),
    errno.ENOENT: ("no such file or folder", "check the path"),
    errno.ENOTDIR: ("a part of the path is not a folder", "check the path"),
    errno.EISDIR: ("it is a folder", "name a file"),
    errno.EMFILE: ("too many open files", "raise the limit with 'ulimit -n'"),
    errno.ENFILE: ("too many open files on this machine", "close some programs"),
    errno.ENOMEM: ("there is not enough memory", "close some programs, or build less at once"),
    errno.EIO: ("the disk cannot be read or written", "look into the kernel's log with 'dmesg'"),
    errno.ELOOP: ("too many symbolic links", "check the path"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}


def explain(error: Exception) -> TiffinError:
    """`error` as something that a user can be told."""
    match error:
        case TiffinError():
            return error
        case OSError():
            return _of_system(error)
        case MemoryError():
            return UnavailableError("there is not enough memory", hint=_SYSTEM[errno.ENOMEM][1])
        case _:
            return _of_database(error) or _of_defect(error)


def _of_system(error: OSError) -> TiffinError:
    text, hint = _SYSTEM.get(error.errno or 0, ((error.strerror or str(error)).lower(), ""))
    paths = [os.fsdecode(path) for path in (error.filename, error.filename2) if isinstance(path, str | bytes)]
    place = " -> ".join(paths)
    if not place:
        place = "an input or output failed"
    return UnavailableError(
        f"{place}: {text}", code=errno.errorcode.get(error.errno or 0, "system").lower(), hint=hint
    )


def _of_database(error: Exception) -> TiffinError | None:
    """sqlite3 reports a full disk in its own way; the module is not imported to find out."""
    if type(error).__module__ != "sqlite3":
        return None
    text = str(error)
    if "full" in text:
        return UnavailableError("the disk is full: the store's database could not be written", hint=_PRUNE)
    if "locked" in text or "busy" in text:
        hint = "wait for the other command to end, and try again"
        return UnavailableError("the store's database is held by another command", hint=hint)
    if "readonly" in text or "unable to open" in text:
        hint = "check the owner of the store's folder, or choose another with TIFFIN_HOME"
        return UnavailableError(f"the store's database cannot be opened: {text}", hint=hint)
    return UnavailableError(
        f"the store's database failed: {text}", hint="see 'tiffin info' for where it lies"
    )


def _of_defect(error: Exception) -> TiffinError:
    text = " ".join(str(error).split())
    return TiffinError(
        f"tiffin itself failed: {type(error).__name__}{': ' if text else ''}{text}",
        code="defect",
        hint="run it again with TIFFIN_DEBUG=1 for a traceback, and please report it",
    )
