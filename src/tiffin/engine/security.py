"""The options about what a container may do, in the user's words → options of its spec.

Names of profiles that Docker has for security modules are known where they ask for what is so anyhow: tiffin
gives no container an AppArmor profile or a SELinux label.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.runtime.seccomp import parse_profile
from tiffin.runtime.spec import EVERY_PATH, HOST, NEW, NONE

if TYPE_CHECKING:
    from tiffin.runtime.seccomp import Profile
    from tiffin.runtime.spec import Options

    Words = tuple[tuple[str, str], ...]

_TRUE, _FALSE = ("", "true", "1"), ("false", "0")
_NAMESPACES = {
    "pid": {"": NEW, "private": NEW, "host": HOST},
    "ipc": {"": NEW, "private": NEW, "shareable": NEW, "host": HOST, "none": NONE},
    "uts": {"": NEW, "private": NEW, "host": HOST},
    "cgroupns": {"": NEW, "private": NEW, "host": HOST},
}
_SHARED = "container:"
_OF_CONTAINERS = ("pid", "ipc")
_OF_IPC = re.compile(
    r"kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\.\w+"
)
_OF_NETWORK = re.compile(r"net(\.[A-Za-z0-9_/-]+)+")
_KNOWN = "seccomp, no-new-privileges, apparmor, label, systempaths, mask and unmask"


class _Asked(NamedTuple):
    """What `--security-opt` said, all of them together."""

    no_new_privileges: bool = True
    profile: Profile | None = None
    unconfined: bool = False
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()


def secure(options: Options, words: Words, *, hostname: bool, network: str) -> Options:
    """Return the options with what the words ask for.

    `hostname`: whether one was given; `network`: as it is recorded.
    Raises InvalidError for what cannot be read, NotFoundError for a profile that is not there.
    """
    asked = _Asked()
    for text in every(words, "security-opt"):
        asked = _security(asked, text)
    given = dict(words)
    pid, ipc, uts, cgroup = (_namespace(given, name) for name in ("pid", "ipc", "uts", "cgroupns"))
    if uts == HOST and hostname:
        raise _invalid("--hostname cannot be given with --uts host: the name is this machine's")
    sysctls = tuple(_sysctl(text, given.get("ipc", ""), network) for text in every(words, "sysctl"))
    return options._replace(
        privileged="privileged" in given,
        pid=pid,
        ipc=ipc,
        uts=uts,
        cgroup=cgroup,
        sysctls=sysctls,
        **asked._asdict(),
    )


def every(words: Words, name: str) -> tuple[str, ...]:
    """Return all values of the option `name`, which may be repeated."""
    return tuple(text for option, text in words if option == name)


def _split(text: str) -> tuple[str, str]:
    """Return key and value, which Docker once parted by a colon, and does today by `=`."""
    found = re.fullmatch(r"([a-z-]+)(?:[=:](.*))?", text, re.DOTALL)
    return (found[1], found[2] or "") if found else (text, "")


def _security(asked: _Asked, text: str) -> _Asked:
    key, value = _split(text)
    if key == "no-new-privileges" and value in (*_TRUE, *_FALSE):
        return asked._replace(no_new_privileges=value in _TRUE)
    if key == "seccomp" and value:
        if value in ("unconfined", "builtin"):
            return asked._replace(unconfined=value == "unconfined", profile=None)
        return asked._replace(profile=_profile(value), unconfined=False)
    if key == "systempaths" and value == "unconfined":
        return asked._replace(show=(EVERY_PATH,))
    if key in ("mask", "unmask") and value:
        paths = tuple(value.split(":"))
        if key == "unmask" and value.upper() == EVERY_PATH:
            return asked._replace(show=(EVERY_PATH,))
        for path in paths:
            if not path.startswith("/") or ".." in path.split("/"):
                raise _invalid(f"--security-opt {text}: {path!r} is not an absolute path")
        clean = tuple(map(os.path.normpath, paths))
        return (
            asked._replace(hide=asked.hide + clean)
            if key == "mask"
            else asked._replace(show=asked.show + clean)
        )
    if (key, value) in (("apparmor", "unconfined"), ("label", "disable")):
        return asked
    if key in ("apparmor", "label"):
        what = "AppArmor profile" if key == "apparmor" else "SELinux label"
        raise UnsupportedError(
            f"--security-opt {text}: containers get no {what} here",
            code="no-security-module",
            hint=f"leave it away, or say {key}={'unconfined' if key == 'apparmor' else 'disable'}",
            exit_status=125,
        )
    raise _invalid(f"--security-opt {text}: there is no such option or value", f"the options are {_KNOWN}")


def _profile(path: str) -> Profile:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise NotFoundError(
            f"--security-opt seccomp={path}: {error.strerror}",
            hint="give the path of a profile in Docker's JSON form, or unconfined",
            exit_status=125,
        ) from error
    return parse_profile(data, path)


def _namespace(given: dict[str, str], name: str) -> str:
    """Return which namespace it is; one of another container is a new one until that is looked at."""
    text, known = given.get(name, ""), _NAMESPACES[name]
    if name in _OF_CONTAINERS and text.removeprefix(_SHARED) and text.startswith(_SHARED):
        return NEW
    if text not in known:
        words = [*filter(None, known), *(["container:NAME"] if name in _OF_CONTAINERS else [])]
        raise _invalid(f"--{name} {text}: there is no such mode", f"what can be chosen is {', '.join(words)}")
    return known[text]


def _sysctl(text: str, ipc: str, network: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise _invalid(f"--sysctl {text}: write it as name=value")
    if _OF_IPC.fullmatch(key):
        shared, option = ipc == HOST or ipc.startswith(_SHARED), f"--ipc {ipc}"
    elif _OF_NETWORK.fullmatch(key):
        shared, option = network.startswith((HOST, "container:")), f"--network {network}"
    else:
        raise _invalid(
            f"--sysctl {key}: this kernel parameter is the whole machine's, not a container's",
            "net.*, fs.mqueue.*, kernel.shm*, kernel.msg* and kernel.sem can be set",
        )
    if shared:
        raise _invalid(f"--sysctl {key}: with {option} it would not be the container's own")
    return key, value


def _invalid(message: str, hint: str = "see 'tiffin run --help'") -> InvalidError:
    return InvalidError(message, code="usage", hint=hint, exit_status=125)
