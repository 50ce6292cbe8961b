"""Start a container from a plan: one process in new namespaces, mapped, connected, and then let go.

For a caller with a single thread. Standard library only, and little of it: this runs under `python -IS` too.
"""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux import mount, namespace, openat2
from tiffin.runtime import init
from tiffin.runtime.child import OUR_FAILURE, Child, Handshake, Streams, start_failure
from tiffin.runtime.process import limit, set_oom_score

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from tiffin.linux.namespace import IdMap
    from tiffin.runtime.model import Join, Plan, Source

_ANON_PIPE = "pipe:"


def launch(
    plan: Plan,
    streams: Streams,
    attach_network: Callable[[int], object] | None = None,
    look: Callable[[int], object] | None = None,
) -> Child:
    """Start the container and return when its program has begun.

    `attach_network` is called with the pid as it is on the host, while the process waits; so is `look`, when
    a step of the plan shows the root filesystem to the launcher. A failure raises a
    `TiffinError` whose exit status is 127 if the command was not found, 126 if it could not be executed, and
    125 otherwise; then nothing is left of the container.
    """
    sources: list[int] = []
    child: Child | None = None
    handshake: Handshake | None = None
    load_substitutes()
    try:
        sources += map(_open_source, plan.sources)
        give_streams(streams, plan.process.uid, plan.uid_maps)
        tells = bool(plan.hooks or look) or plan.nested
        handshake = Handshake(
            terminal=plan.process.terminal,
            hooks=tells,
            owners=bool(plan.process.owners),
            view=bool(plan.process.view),
            trace=bool(plan.process.trace),
        )
        child = Child(*_clone(plan, sources, streams, handshake))
        child.traced = bool(plan.process.trace)
        handshake.take_launchers_side()
        handshake.answer_calls(plan.process, child.pid)
        if plan.process.view:
            handshake.show_proc(plan.process.view[1])
        handshake.answer_all(plan.process, child.pid)
        _map_ids(plan, sources, child.pid)
        handshake.release()
        if plan.nested:
            handshake.await_ready()
        if attach_network is not None:
            attach_network(child.pid)
        if plan.hooks and handshake.await_ready():
            from tiffin.runtime.hooks import run_hooks  # few containers have any

            run_hooks(plan.hooks, child.pid, join_users=bool(plan.uid_maps))
            handshake.release()
        if look is not None and handshake.await_ready():
            look(child.pid)
            handshake.release()
        if plan.process.terminal:
            child.console = handshake.receive_console(streams.terminal)
        limit(plan.process, child.pid)
        set_oom_score(plan.process, child.pid)
        handshake.release()
        handshake.expect_program()
    except BaseException as error:
        if child is not None:
            child.end()
        if isinstance(error, OSError):
            raise start_failure(error) from error
        raise
    finally:
        if handshake is not None:
            handshake.close()
        for fd in sources:
            os.close(fd)
    return child


def load_substitutes() -> None:
    """Load what stands in for calls that older kernels lack: the child, in its root, can load nothing."""
    if mount.lacks_attributes():
        mount.load_substitute()
    if openat2.is_missing():
        from tiffin.linux import pathwalk  # noqa: F401 - to be there


def _open_source(source: Source) -> int:
    if source.nodes:
        from tiffin.runtime.rare_steps import make_nodes  # few containers have devices of their own

        return make_nodes(source.nodes)
    if source.within:
        from tiffin.runtime.rare_steps import open_within

        return open_within(source.within, source.path, recursive=source.recursive)
    try:
        if not source.subpath:
            return mount.open_tree(source.path, recursive=source.recursive)
        from tiffin.runtime.parts import open_part  # few mounts are of a part

        return open_part(source)
    except OSError as error:
        if error.errno != errno.EINVAL or source.recursive:
            raise
        from tiffin.errors import UnsupportedError

        raise UnsupportedError(
            f"{source.path} cannot be mounted without what is mounted below it: that hides what lies there "
            "from ordinary users",
            code="locked-mounts",
            hint="leave bind-recursive=disabled out, or run tiffin as root",
            exit_status=OUR_FAILURE,
        ) from error


def _clone(plan: Plan, sources: list[int], streams: Streams, handshake: Handshake) -> tuple[int, int]:
    """Make the process; the child never returns from here."""

    def run() -> NoReturn:
        init.run(plan, sources, streams, handshake)

    if plan.joins:
        from tiffin.runtime.between import clone_within  # few containers share anything with others

        opened: list[tuple[int, int]] = []
        try:
            opened += ((_open_namespace(join), join.kind) for join in plan.joins)
            return clone_within(opened, plan.namespaces, handshake, run)
        finally:
            for fd, _ in opened:
                os.close(fd)
    pid, pidfd = namespace.clone(plan.namespaces)
    if pid == 0:
        handshake.take_childs_side()
        run()
    return pid, pidfd


def _open_namespace(join: Join) -> int:
    fd = os.open(join.path, os.O_RDONLY | os.O_CLOEXEC)
    if join.inode not in (0, os.fstat(fd).st_ino):
        os.close(fd)
        raise OSError(errno.ESRCH, "the container that it shares a namespace with has ended", join.path)
    return fd


def _map_ids(plan: Plan, sources: Sequence[int], pid: int) -> None:
    """Say whose the ids of the child's user namespace are, and shift the owners of what it will mount."""
    if not plan.uid_maps:
        return
    if plan.namespaces & namespace.NEWUSER:
        namespace.write_maps(pid, plan.uid_maps, plan.gid_maps)
    users = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for source, fd in zip(plan.sources, sources, strict=True):
            if source.idmap:
                _shift(source, fd, users)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        from tiffin.errors import UnsupportedError

        who = "its file system" if error.errno == errno.EINVAL else "this kernel"
        raise UnsupportedError(
            f"{error.filename} cannot be mounted in a container: {who} does not map owners",
            code="no-idmapped-mounts",
            hint="keep it on ext4, xfs, btrfs, tmpfs or another file system that supports idmapped mounts"
            if error.errno == errno.EINVAL
            else "use Linux 5.12 or newer",
            exit_status=OUR_FAILURE,
        ) from error
    finally:
        os.close(users)


def _shift(source: Source, fd: int, users: int) -> None:
    try:
        mount.mount_setattr(
            fd, mount.ATTR_IDMAP, recursive=source.recursive, userns_fd=users, what=source.path
        )
    except OSError as error:
        if error.errno != errno.EINVAL or not source.recursive:
            raise
        from tiffin.runtime.parts import shift_what_can_be  # below most folders nothing is mounted

        shift_what_can_be(source, fd, users)


def give_streams(streams: Streams, uid: int, maps: Sequence[IdMap]) -> None:
    """Let the container's user open its own pipes again: programs write to /dev/stdout and /dev/stderr."""
    owner = namespace.host_id(maps, uid) if maps else uid
    if streams.terminal is not None or owner is None:
        return
    for fd in {streams.stdin, streams.stdout, streams.stderr}:
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode) and os.readlink(f"/proc/self/fd/{fd}").startswith(
                _ANON_PIPE
            ):
                os.fchown(fd, owner, -1)
        except OSError:
            continue  # the streams work all the same, by their numbers
