"""What the doctor says of a place where nothing can be mounted: what its containers stand on, by trying."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.engine.doctor import Check, namespace_remedy
from tiffin.errors import TiffinError, UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.linux.remove import remove_tree
from tiffin.runtime import kernelfiles, procview, traceable
from tiffin.snapshot.plain import KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.linux.probe import Facts

__all__ = ["checks"]

_OLDEST = (5, 3)
_GROUPS = "/sys/fs/cgroup"


def checks(facts: Facts, store: Path, rung: Rung) -> Iterator[Check]:
    """Yield what was looked at; of the `store` a directory is made, and goes again."""
    import tempfile  # the doctor alone makes such a folder

    known = facts.kernel >= _OLDEST or not any(name.startswith("pidfd") for name in facts.missing_calls)
    yield Check("kernel", known, ".".join(map(str, facts.kernel)), "use Linux 5.3 or newer")
    yield Check("machine", facts.machine in ("x86_64", "aarch64"), facts.machine, "use x86-64 or 64-bit ARM")
    yield Check(
        "user namespaces", not facts.user_namespaces, facts.user_namespaces or "yes", namespace_remedy(facts)
    )
    place = store
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        folder = Path(tempfile.mkdtemp(prefix=".probe-", dir=place))
    except OSError as error:
        reason = f"{place} cannot be written: {error.strerror}"
        yield Check("store", ok=False, found=reason, remedy="set TIFFIN_HOME to a directory on a local disk")
        return
    try:
        yield _store(facts, folder)
        if rung is Rung.CHROOT:
            yield _devices(folder)
    finally:
        remove_tree(folder)
    yield _proc() if rung is Rung.CHROOT else _tracing()
    yield _groups()
    yield Check("network", ok=True, found="that of the surrounding container; no other can be had")


def _store(facts: Facts, folder: Path) -> Check:
    found = f"on {facts.store_filesystem or 'an unknown file system'}"
    try:
        os.setxattr(folder, KEPT, b"y")
    except OSError as error:
        reason = f"{found}, which keeps no attributes: {error.strerror}"
        return Check("store", ok=False, found=reason, remedy="set TIFFIN_HOME to a volume on a local disk")
    return Check("store", ok=True, found=f"{found}, with attributes")


def _devices(folder: Path) -> Check:
    try:
        kernelfiles.make_dev(folder / "dev")
    except TiffinError as error:
        return Check("device nodes", ok=False, found=error.message, remedy=error.hint)
    return Check("device nodes", ok=True, found="can be made and used")


def _proc() -> Check:
    reason = procview.missing()
    found = (
        "answered for each process" if not reason else f"only copies of what tells of the machine: {reason}"
    )
    remedy = "allow seccomp and /proc/PID/mem in the surrounding container"
    return Check("/proc", not reason, found, remedy)


def _tracing() -> Check:
    try:
        traceable.check()
    except UnsupportedError as error:
        return Check("programs", ok=False, found=error.message, remedy=error.hint or "")
    return Check("programs", ok=True, found="run as they are, and traced")


def _groups() -> Check:
    writable = any(
        os.access(f"{_GROUPS}/{name}", os.W_OK) for name in ("cgroup.procs", "memory/cgroup.procs")
    )
    found = (
        "can be made, for limits" if writable else "read only: no limits (--memory, --cpus) for containers"
    )
    return Check(
        "cgroups", writable, found, "limit the surrounding container instead, or mount cgroups writable"
    )
