"""Answers to the calls by which processes change who they are, and ask."""

from __future__ import annotations

import errno
import os
import stat

from tiffin.runtime.emulation import credentials
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.credentials import NOBODY, ROOT
from tiffin.runtime.emulation.site import SETGID, SETUID, descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.credentials import Credentials, Ids
    from tiffin.runtime.emulation.site import Answer, Site

_MOST_GROUPS = 65536
_PAGE = 4096
_SHORT = 0xFFFF
_OVERFLOW = 65534
_ASKED = {"getuid": 0, "geteuid": 1, "getgid": 0, "getegid": 1}
_SCRIPT = b"#!"
_NO_LIMIT = b"\xff" * 16


def ask(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Tell one id."""
    who = site.callers.who(call.pid)
    ids = who.group if meaning.name.endswith("gid") else who.user
    return _shown(ids[_ASKED[meaning.name]], meaning)


def ask_three(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Tell the real, the effective and the saved id."""
    who = site.callers.who(call.pid)
    ids = who.user if meaning.name == "getresuid" else who.group
    size = 2 if meaning.narrow else 4
    for address, each in zip(call.args[:3], ids[:3], strict=True):
        site.callers.tell(call, address, _shown(each, meaning).to_bytes(size, "little"))
    return 0


def ask_groups(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Tell the supplementary groups, or how many there are."""
    groups = site.callers.who(call.pid).groups
    room = descriptor(call.args[0])
    if room == 0:
        return len(groups)
    if room < len(groups):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    size = 2 if meaning.narrow else 4
    data = b"".join(_shown(each, meaning).to_bytes(size, "little") for each in groups)
    if data:
        site.callers.tell(call, call.args[1], data)
    return len(groups)


def change(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Change the ids of a user, or those of a group."""
    who = site.callers.who(call.pid)
    name = meaning.name.replace("gid", "uid")
    is_user = name == meaning.name
    privileged = site.may(who, SETUID if is_user else SETGID)
    ids = who.user if is_user else who.group
    first, second, third = (_id(each, meaning) for each in call.args[:3])
    new: Ids | None
    match name:
        case "setuid":
            new = credentials.set_id(ids, first, privileged=privileged)
        case "setreuid":
            new = credentials.set_two(ids, first, second, privileged=privileged)
        case "setresuid":
            new = credentials.set_three(ids, (first, second, third), privileged=privileged)
        case _:
            new = credentials.set_files(ids, first, privileged=privileged)
    if new is None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    if NOBODY in new:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    _become(site, call, who, who._replace(user=new) if is_user else who._replace(group=new))
    return ids.files if name == "setfsuid" else 0


def change_groups(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Change the supplementary groups."""
    who = site.callers.who(call.pid)
    count = call.args[0] & NOBODY
    if not site.may(who, SETGID):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    if count > _MOST_GROUPS:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    size = 2 if meaning.narrow else 4
    data = b""
    while len(data) < count * size:
        part = min(_PAGE, count * size - len(data))
        data += site.callers.memory.read(call.pid, call.args[1] + len(data), part)
    groups = {int.from_bytes(data[start : start + size], "little") for start in range(0, len(data), size)}
    _become(site, call, who, who._replace(groups=tuple(sorted(groups))))
    return 0


def execute(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Let somebody who executes a set-id program be its owner from then on; the kernel does the rest."""
    if site.callers.who(call.pid) is ROOT:
        return None
    try:
        directory, path_at = (descriptor(call.args[0]), call.args[1])
        if meaning.name == "execve":
            directory, path_at = AT_FDCWD, call.args[0]
        path = site.callers.where(call, directory, site.callers.memory.string(call.pid, path_at))
    except OSError:
        return None
    execute_file(site, call, path)
    return None


def execute_file(site: Site, call: Call, path: bytes) -> None:
    """Let who executes the file at a path of ours be its owner from then on, if it is a set-id program."""
    who = site.callers.who(call.pid)
    if who is ROOT:
        return
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) and mode & 0o111):
            return
        if mode & (stat.S_ISUID | stat.S_ISGID) and (site.no_new_privs or _is_script(path)):
            mode &= ~(stat.S_ISUID | stat.S_ISGID)
        owner = site.records.at(path, follow=True)
    except OSError:
        return
    _become(site, call, who, credentials.execute(who, mode, owner[:2] if owner else (0, 0)))


def keep(site: Site, call: Call, _meaning: Meaning) -> Answer:
    """Note whether a process wants to keep its capabilities when it becomes somebody else."""
    who = site.callers.who(call.pid)
    if who.user.effective == 0 or who.keeps:
        _become(site, call, who, who._replace(keeps=call.args[1] & NOBODY == 1))
    return None


def limit(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Leave the limit that marks processes as it is, and show it as if there were none."""
    if meaning.name == "prlimit64" and call.args[3]:
        site.callers.tell(call, call.args[3], _NO_LIMIT)
    return 0


def _become(site: Site, call: Call, old: Credentials, new: Credentials) -> None:
    if new != old:
        if not site.callers.listener.is_waiting(call):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        site.callers.become(call.pid, new)


def _is_script(path: bytes) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, 2) == _SCRIPT
    finally:
        os.close(fd)


def _id(value: int, meaning: Meaning) -> int:
    if meaning.narrow:
        return NOBODY if value & _SHORT == _SHORT else value & _SHORT
    return value & NOBODY


def _shown(value: int, meaning: Meaning) -> int:
    return _OVERFLOW if meaning.narrow and value > _SHORT else value
