"""A process that is made by way of another one, which joins the namespaces that only its children are in."""

from __future__ import annotations

import os

from tiffin.linux import namespace
from tiffin.runtime import init

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from tiffin.runtime.child import Handshake


def clone_within(
    joins: Sequence[tuple[int, int]],
    flags: int,
    handshake: Handshake,
    run: Callable[[], NoReturn],
    before: Callable[[], None] = lambda: None,
) -> tuple[int, int]:
    """Return pid and pidfd of a child of ours that was made in these namespaces, and runs `run`.

    `joins` are descriptors and kinds; `flags` are new namespaces. The process in the middle makes the new one
    a child of ours and tells its pid, as it is outside, before it ends; it does `before` first. What fails
    there the handshake tells.
    """
    answer_read, answer_write = os.pipe()
    middle, middle_pidfd = namespace.clone(0)
    if middle == 0:
        handshake.take_childs_side()
        _be_middle(joins, flags, handshake, run, before, answer_write)
    os.close(middle_pidfd)
    os.close(answer_write)
    os.waitpid(middle, 0)
    answer = os.read(answer_read, 16)
    os.close(answer_read)
    if not answer:
        handshake.take_launchers_side()
        handshake.expect_program()
        message = "the process that was to enter the container was killed"
        raise OSError(0, message)
    pid = int(answer)
    return pid, namespace.pidfd_open(pid)


def _be_middle(  # it is the one that knows all of it
    joins: Sequence[tuple[int, int]],
    flags: int,
    handshake: Handshake,
    run: Callable[[], NoReturn],
    before: Callable[[], None],
    answer: int,
) -> NoReturn:
    step = "prepare the process"
    try:
        before()
        step = "join the container's namespaces"
        # Last the users: who is their root alone may not enter what belongs to others.
        for fd, kind in sorted(joins, key=lambda join: join[1] == namespace.NEWUSER):
            namespace.setns(fd, kind)
        step = "create the process"
        pid, _ = namespace.clone(flags, sibling=True)
        if pid == 0:
            run()
        os.write(answer, str(pid).encode())
    except BaseException as error:  # noqa: BLE001 # whatever it was, the launcher must hear of it
        init.report_failure(handshake, error, step)
    os._exit(0)
