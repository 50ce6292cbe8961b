"""What only trying tells: each attempt is made in a child, which then ends.

Older kernels differ by what their distributions have taught them, and filters and policies by the machine.
"""

from __future__ import annotations

import contextlib
import errno
import os

from tiffin.linux import capability, mount, namespace
from tiffin.linux.namespace import IdMap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

    from tiffin.linux.probe import Facts

TRIED = ".kernel"
_TRIED_LINES = 3
_INITIAL = (IdMap(0, 0, 4294967295),)
_PROBED = IdMap(0, 100000, 65536)


def try_once(facts: Facts, store: Path) -> Facts:
    """Return what `try_all` does, which is remembered in the store until the next start of this machine."""
    from tiffin.linux.files import atomic_write  # for few kernels

    boot = _read("/proc/sys/kernel/random/boot_id").strip()
    key = repr((boot, os.uname().release, facts.euid, facts.capabilities, facts.uid_map))
    known = _read(os.path.join(store, TRIED)).split("\n")
    if known[0] == key and len(known) == _TRIED_LINES:
        return facts._replace(user_namespaces="", overlay=known[1], idmap=known[2])
    tried = try_all(facts, store)
    lines = (key, tried.overlay, tried.idmap)
    if not tried.user_namespaces and os.path.isdir(store):  # what is forbidden may be allowed any time
        with contextlib.suppress(OSError):
            atomic_write(store / TRIED, "\n".join(map(str, lines)).encode(), sync=False)
    return tried


def try_all(facts: Facts, store: Path) -> Facts:
    """Return the facts with what only trying can tell."""
    import shutil
    import tempfile

    place = store
    while not place.exists() and place != place.parent:
        place = place.parent
    privileged = facts.capabilities >> capability.SYS_ADMIN & 1
    initial = facts.uid_map == _INITIAL
    user_namespaces = attempt(lambda: enter(facts))
    if user_namespaces:
        return facts._replace(user_namespaces=user_namespaces, overlay=user_namespaces, idmap=user_namespaces)
    try:
        folder = tempfile.mkdtemp(prefix=".probe-", dir=place)
    except OSError as error:
        reason = f"{place} cannot be written: {error.strerror}"
        return facts._replace(user_namespaces="", overlay=reason, idmap=reason)
    try:
        for name in ("lower", "upper", "work", "top", "top/upper", "top/work"):
            os.mkdir(os.path.join(folder, name))  # the child below takes strings too
        overlay = attempt(lambda: _enter_and_overlay(facts, folder))
        idmap = _try_idmap(folder) if privileged and initial else "only root of the host may map owners"
    finally:
        # The kernel makes a directory without any permission in a work directory.
        shutil.rmtree(folder, ignore_errors=True)
    return facts._replace(user_namespaces="", overlay=overlay, idmap=idmap)


def attempt(act: Callable[[], None]) -> str:
    """Return why the act fails, or nothing if it works; it is done in a child, which then ends."""
    answer, tell = os.pipe()
    child = os.fork()
    if child == 0:
        message = ""
        try:
            act()
        except BaseException as error:  # noqa: BLE001 # any failure is the answer
            message = str(getattr(error, "strerror", "")) or str(error) or type(error).__name__
        try:
            os.write(tell, message.encode())
        finally:
            os._exit(0)
    os.close(tell)
    said = b""
    while part := os.read(answer, 4096):
        said += part
    os.close(answer)
    os.waitpid(child, 0)
    return said.decode(errors="replace")


def enter(facts: Facts) -> None:
    """Be root in a user namespace, and mount something there: some systems allow only the former."""
    uid, gid = IdMap(0, facts.euid, 1), IdMap(0, facts.egid, 1)
    namespace.enter_user_namespace((uid,), (gid,))
    filesystem = mount.Filesystem("tmpfs")
    # That is where policies of the system look, such as AppArmor's.
    mount.move_mount_to(filesystem.mount(), "/")


def _enter_and_overlay(facts: Facts, folder: str) -> None:
    enter(facts)
    os.close(_overlay(f"{folder}/lower", f"{folder}/upper", f"{folder}/work"))
    import shutil

    # The kernel leaves this without permissions; only its owner in here may remove what is inside.
    shutil.rmtree(f"{folder}/work", ignore_errors=True)


def _try_idmap(folder: str) -> str:
    """Return why layers below the folder cannot be mounted with owners mapped, or nothing if they can."""

    def act() -> None:
        go_read, go = os.pipe()
        answer, tell = os.pipe()
        layers = [mount.open_tree(f"{folder}/{name}") for name in ("lower", "top")]
        pid, _ = namespace.clone(namespace.NEWUSER | namespace.NEWNS)
        if pid == 0:
            os.close(go)
            _overlay_within(layers, go_read, tell)
        os.close(tell)
        namespace.write_maps(pid, (_PROBED,), (_PROBED,))
        users = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
        for layer in layers:
            mount.mount_setattr(layer, mount.ATTR_IDMAP, userns_fd=users, what=folder)
        os.write(go, b"1")
        if message := os.read(answer, 4096):
            raise OSError(errno.EINVAL, message.decode(errors="replace"))
        if os.lstat(f"{folder}/top/upper/made").st_uid != 0:
            raise OSError(errno.EINVAL, "owners in them are not mapped")

    return attempt(act)


def _overlay_within(layers: list[int], go: int, tell: int) -> NoReturn:
    """Mount the layers in a new user namespace, once its ids are mapped, and write; tell what failed."""
    try:
        if os.read(go, 1):
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            mount.set_propagation("/", mount.MS_REC | mount.MS_PRIVATE)
            for layer in layers:  # one on the other, which on a shared mount all others would see
                mount.mount_setattr(layer, 0, propagation=mount.MS_PRIVATE, what="a layer")
                mount.move_mount_to(layer, "/")
            lower, top = (f"/proc/self/fd/{layer}" for layer in layers)
            fd = _overlay(lower, f"{top}/upper", f"{top}/work")
            os.mkdir("made", dir_fd=fd)
    except BaseException as error:  # noqa: BLE001 # any failure is the answer
        os.write(tell, (str(getattr(error, "strerror", "")) or str(error)).encode())
    finally:
        os._exit(0)


def _overlay(lower: str, upper: str, work: str) -> int:
    overlay = mount.Filesystem("overlay")
    overlay.set_flag("userxattr")
    overlay.set_string("lowerdir", lower)
    overlay.set_string("upperdir", upper)
    overlay.set_string("workdir", work)
    return overlay.mount()


def _read(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
