"""A further process in a container of the OCI runtime: as its first one, or as a document says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.errors import ConflictError, InvalidError, NotFoundError
from tiffin.linux import capability
from tiffin.oci.codec import decode
from tiffin.oci.runtimespec import Process, User
from tiffin.runtime import bundle as bundles
from tiffin.runtime.bundleplan import grantable
from tiffin.runtime.cgroups.given import Groups
from tiffin.runtime.child import Streams
from tiffin.runtime.exec import join
from tiffin.runtime.lifecycle import hand_over, write_pid
from tiffin.runtime.plan import make_process

if TYPE_CHECKING:
    from tiffin.runtime.child import Child
    from tiffin.runtime.ocistate import Directory

__all__ = ["Wanted", "enter", "process_of"]


class Wanted(NamedTuple):
    """What is to be started: the `file` of a document, or what differs from the container's first process."""

    file: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    terminal: bool = False
    console: str = ""
    pid_file: str = ""
    preserved: int = 0
    waits: bool = False


def enter(directory: Directory, wanted: Wanted) -> Child:
    """Start the process and return when its program has begun. Raises ConflictError where nothing runs."""
    state = directory.read()
    status = directory.status(state)
    if status != "running":
        raise ConflictError(
            f"cannot exec in container {directory.id}, which is {status}: container not running",
            code="not-running",
            hint="start it first",
        )
    spec = bundles.parse(directory.config(), state.bundle)
    process = process_of(spec.process, wanted)
    if process.terminal and not (wanted.console or wanted.waits):
        raise InvalidError(
            "a terminal needs --console-socket", code="console-socket", hint="or leave --detach out"
        )
    made = make_process(process, spec.linux.seccomp, machine=os.uname().machine)
    if not any(entry.type == "user" for entry in spec.linux.namespaces):
        made = grantable(made, capability.effective())
    made = made._replace(cgroups=Groups.of(state.groups).joins, preserved=wanted.preserved)
    size = process.console_size
    terminal = ((size.height, size.width) if size else (0, 0)) if process.terminal else None
    child = join(state.process.pid, made, Streams(terminal=terminal))
    try:
        hand_over(child, wanted.console)
        write_pid(wanted.pid_file, child.pid)
    except BaseException:
        child.end()
        raise
    return child


def process_of(first: Process, wanted: Wanted) -> Process:
    """Return the process in the words of the runtime spec."""
    if wanted.file:
        try:
            data = Path(wanted.file).read_bytes()
        except OSError as error:
            raise NotFoundError(
                f"--process {wanted.file}: {error.strerror}", hint="check the path"
            ) from error
        found = decode(data, Process, wanted.file, fault=InvalidError)
        return msgspec.structs.replace(found, terminal=found.terminal or wanted.terminal)
    return msgspec.structs.replace(
        first,
        args=wanted.args,
        env=(*first.env, *wanted.env),
        cwd=wanted.cwd or first.cwd,
        user=_user(first.user, wanted.user),
        terminal=wanted.terminal,
    )


def _user(first: User, text: str) -> User:
    if not text:
        return first
    uid, _, gid = text.partition(":")
    if not uid.isdigit() or (gid and not gid.isdigit()):
        raise InvalidError(f"--user {text}: numbers are needed, like 1000:1000", code="usage")
    return User(int(uid), int(gid) if gid else int(uid) and first.gid, first.umask, first.additional_gids)
