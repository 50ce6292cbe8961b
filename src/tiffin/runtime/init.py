"""The child: a copy of the launcher in new namespaces, which applies a plan and becomes the program.

It imports nothing that is not loaded already: in a user namespace of its own, root may not even read the
interpreter's library. The launcher sends one byte when the ids are mapped and the sources are ready, and
another when the network is attached and the process is in its cgroups.
"""

from __future__ import annotations

import errno
import os

from tiffin.linux import mount, prctl
from tiffin.runtime.child import OUR_FAILURE, Failure
from tiffin.runtime.process import become, confine
from tiffin.runtime.program import ExecError, execute, overwritable
from tiffin.runtime.roots import Setup
from tiffin.runtime.steps import MountNew

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from tiffin.runtime.child import Handshake, Streams
    from tiffin.runtime.model import Plan
    from tiffin.runtime.process import Process
    from tiffin.runtime.steps import Step

    Part = Callable[[Callable[[str], None]], None]


class LauncherGoneError(Exception):
    """The launcher ended, or gave up, before the container began."""


def run(plan: Plan, sources: list[int], streams: Streams, handshake: Handshake) -> NoReturn:
    """Do all of it, in the child; never return."""
    setup = Setup(sources)
    setup.show = lambda: _show_root(handshake, stay=plan.nested)

    def prepare(doing: Callable[[str], None]) -> None:
        _wait(handshake)
        if plan.process.terminal and not plan.namespaces:
            handshake.prepare_console()  # its root has no terminals
        if plan.uid_maps:
            doing("become root in the user namespace")
            take_root(plan.uid_maps[0].inside, plan.gid_maps[0].inside)
            if plan.nested:
                prctl.set_dumpable(True)
                handshake.tell()
        _apply(plan.steps, setup, doing)
        if plan.hooks:
            doing("wait for the hooks")
            _show_root(handshake, stay=plan.nested)

    def settle(doing: Callable[[str], None]) -> None:
        if plan.joins or plan.nested:
            # Others see it already, and what it holds is not theirs: see `exec`.
            prctl.set_dumpable(False)
        # Without a group of its own it would see those of whoever started it, and of all others below.
        own = bool(plan.process.cgroups)
        _apply(tuple(step for step in plan.late if own or not isinstance(step, MountNew)), setup, doing)

    finish(plan.process, prepare, streams, handshake, settle)


def _apply(steps: tuple[Step, ...], setup: Setup, doing: Callable[[str], None]) -> None:
    for step in steps:
        doing(step.describe())
        step.apply(setup)
    mount.check_settled()


def _wait(handshake: Handshake) -> None:
    if not handshake.wait_for_launcher():
        raise LauncherGoneError


def _show_root(handshake: Handshake, *, stay: bool) -> None:
    """Let hooks find the root filesystem below /proc/PID/root: processes of our user may look in now."""
    prctl.set_dumpable(True)
    if not handshake.tell_ready():
        raise LauncherGoneError
    prctl.set_dumpable(stay)


def take_root(uid: int = 0, gid: int = 0) -> None:
    """If this process is nobody in the user namespace yet, become its root, or this user if it has none."""
    if os.getuid() == 0:
        return
    try:
        os.setresgid(0, 0, 0)
        uid = gid = 0
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        os.setresgid(gid, gid, gid)
    try:
        os.setgroups([])
    except PermissionError:
        if uid == 0:
            raise
        # Where one id is mapped the kernel denies it, and the groups are those of the caller.
    os.setresuid(uid, uid, uid)


def finish(
    process: Process, prepare: Part, streams: Streams, handshake: Handshake, settle: Part | None = None
) -> NoReturn:
    """Prepare, take over the terminal or the standard streams, and become the program, or report why not.

    `settle` is done when the launcher has done all that it has to.
    """
    step = "begin"

    def doing(what: str) -> None:
        nonlocal step
        step = what

    try:
        prepare(doing)
        pinned = overwritable(handshake.interpreter)
        doing("connect the standard streams")
        os.setsid()
        if not process.terminal:
            _connect(streams)
        elif not handshake.open_console(process):
            raise LauncherGoneError  # noqa: TRY301 - ends as every other failure does
        doing("wait for the network")
        # Until it is there nobody else: of a process that changed its user, without a new program, the
        # kernel shows the namespaces only to who had it made (dumpable, prctl(2)), and not to a launcher
        # that is root in a user namespace.
        _wait(handshake)
        if settle is not None:
            settle(doing)
        # From here on it has the rights of the container, whose root could take it over while it still is
        # the runtime, and not confined. Its program can be looked into again.
        prctl.set_dumpable(False)
        if process.gate:
            doing("wait for the start")
            from tiffin.runtime.gate import wait_at  # the launcher has loaded it

            handshake = wait_at(process, handshake)  # type: ignore[assignment] # who hears of a failure now
        if process.owners:
            doing("have the owners of files kept")
            from tiffin.runtime.emulation.notifier import hand_over  # the launcher has loaded it

            hand_over(process.owners[0], handshake.take_owners())
        if process.trace:
            doing("have its calls answered")
            from tiffin.runtime import handing  # the launcher has loaded it

            prctl.set_no_new_privs()
            prctl.set_dumpable(True)
            handing.hand_over(process.trace[0], handshake.take_trace())
        doing(f"become user {process.uid}:{process.gid} in {process.cwd}")
        become(process)
        doing("confine the process")
        confine(process)
        if process.view:
            handshake.ask_for_proc(process.view[0])
        if process.init:
            doing("start the program below an init")
            from tiffin.runtime import reaper  # the launcher has loaded it

            reaper.split(terminal=process.terminal)
        execute(process, pinned=pinned)
    except BaseException as error:  # noqa: BLE001 # whatever it was, the launcher must hear of it
        report_failure(handshake, error, step)


def report_failure(handshake: Handshake, error: BaseException, step: str) -> NoReturn:
    """Tell the launcher why there will be no program, and end."""
    try:
        if isinstance(error, ExecError):
            failure = Failure(str(error), "", 0, error.status)
        elif isinstance(error, OSError):
            path = f": {os.fsdecode(error.filename)}" if error.filename else ""
            failure = Failure(f"{error.strerror or error}{path}", step, error.errno or 0, OUR_FAILURE)
        else:
            failure = Failure(f"{type(error).__name__}: {error}", step, 0, OUR_FAILURE)
        handshake.report(failure)
    finally:
        os._exit(OUR_FAILURE)


def _connect(streams: Streams) -> None:
    """Put the three streams in their places, in an order in which none is overwritten before it is moved."""
    moved = [os.dup(fd) for fd in (streams.stdin, streams.stdout, streams.stderr)]
    for number, fd in enumerate(moved):
        os.dup2(fd, number, inheritable=True)
