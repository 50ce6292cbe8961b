"""The way of a container from a request to its end, and what is taken away afterwards.

`run` is the command that starts most often, and start time is its budget: what other verbs
need is in `containers`, and what only some containers need is imported when one of them comes.
"""

from __future__ import annotations

import os
from contextlib import suppress

from tiffin.container import state
from tiffin.container.record import Records
from tiffin.container.removal import put_away
from tiffin.engine.prepared import make_again
from tiffin.engine.request import RunRequest
from tiffin.engine.settings import real_name
from tiffin.engine.standing import ROOT, Made, control_of, directory_of, lock_of, tell, volumes_of
from tiffin.engine.starting import run_foreground, shares, start_detached
from tiffin.errors import ConflictError, TiffinError
from tiffin.linux.files import lock, remove_lock
from tiffin.network.leases import NETWORKS, deserted, state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tiffin.container.record import Record
    from tiffin.container.state import State
    from tiffin.engine.engine import Engine
    from tiffin.engine.request import Client

__all__ = ["RunRequest", "enter_for", "remove", "run", "start", "state_of", "tidy"]


def run(
    engine: Engine, request: RunRequest, *, announce: Callable[[str], None] = lambda _: None
) -> int | None:
    """Make a container and run it; return its exit code, or 0 at once if it is detached, None if we left it.

    `announce` gets the id: when the program of a detached container has begun, and before that of one
    in the foreground does. A container that cannot be started stays, as in Docker, unless it was `--rm`.
    """
    request = request._replace(image=real_name(engine, request.image))
    enter_for(engine, [request], at_once=False)
    tidy(engine)
    made = make_again(engine, request) or _make(engine, request)
    record = made.record
    tell(engine, record, "create")
    apart = request.detach or _apart(record, request.client, interactive=request.interactive)
    try:
        if request.detach:
            start_detached(engine, made)
            announce(record.id)
            return 0
        announce(record.id)
        return _attached(engine, made, request.client, interactive=request.interactive)
    finally:
        if record.remove and not (apart and state_of(engine, record).running):
            remove(engine, record, volumes=True)
        engine.db.leave()


def _apart(record: Record, client: Client, *, interactive: bool) -> bool:
    """Whether a container in the foreground has a supervisor of its own, since this command may leave it.

    That costs the start of an interpreter, so most have this command as their supervisor.
    """
    if record.restart not in ("", "no") or not client.proxy or client.streams == ("stdin",):
        return True
    return record.terminal and interactive and client.attaches("stdin") and os.isatty(0)


def _attached(engine: Engine, made: Made, client: Client, *, interactive: bool) -> int | None:
    if _apart(made.record, client, interactive=interactive):
        from tiffin.engine.attached import run_attached

        return run_attached(engine, made, client, interactive=interactive)
    return run_foreground(engine, made, client, interactive=interactive)


def enter_for(engine: Engine, wanted: Sequence[RunRequest | Record], *, at_once: bool = True) -> None:
    """Enter the user namespace that these containers are to be started from; `at_once` if it is our own."""
    if any(each.networks for each in wanted):
        from tiffin.engine.networking import come_home  # few are on networks that users have made

        come_home(engine, wanted)
    asked = [(each.network, each.security) for each in wanted]
    if any(shares(*each) for each in asked):
        from tiffin.engine.sharing import enter_beside  # few have to do with others

        enter_beside(engine, asked)
    elif at_once:
        engine.enter()


def _make(engine: Engine, request: RunRequest) -> Made:
    from tiffin.engine.creation import make  # the image's documents, the spec: a third of all there is

    return make(engine, request)


def start(
    engine: Engine, names: Sequence[str], *, client: Client | None = None, interactive: bool = False
) -> int | None:
    """Start containers that do not run; with a `client` one, in the foreground: its exit code is returned.

    Such a one that runs already is attached to. The code is None if we left it.
    """
    records = [Records(engine.db).need(name) for name in names]
    enter_for(engine, records)
    for record in records:
        found = state_of(engine, record)
        if found.status == "paused":
            raise ConflictError(
                f"the container {record.name} is paused, and cannot be started",
                code="paused",
                hint=f"let it go on: tiffin unpause {record.name}",
            )
        _release(found)
        if found.error and not found.running:
            _forget_supervisor(engine, record)
        if client is not None:
            return _start_attached(engine, record, client, interactive=interactive)
        if not found.running:
            start_detached(engine, Made(record))
    return 0


def _start_attached(engine: Engine, record: Record, client: Client, *, interactive: bool) -> int | None:
    if state_of(engine, record).running:
        from tiffin.engine.attached import attach

        return attach(engine, record.name, client if interactive else client.without_input())
    code = _attached(engine, Made(record), client, interactive=interactive)
    if record.remove and not state_of(engine, record).running:
        remove(engine, record, volumes=True)
    return code


def tidy(engine: Engine) -> None:
    """Take away what the dead left: records without a directory, `--rm` containers, devices."""
    records = Records(engine.db)
    for record in records.all():
        directory = directory_of(engine, record)
        if not directory.exists():
            records.remove(record.id)
            remove_lock(lock_of(engine, record))
            continue
        found = state_of(engine, record)
        lost = found.status == "exited" and found.error
        _release(found)
        if record.remove and lost:
            engine.enter()
            remove(engine, record, volumes=True)
        if not found.running and (record.runtime or control_of(engine, record).exists()):
            _forget_supervisor(engine, record)
    _tidy_network(engine)


def _forget_supervisor(engine: Engine, record: Record) -> None:
    """Take away what a killed one has left; one that is beginning, and holds the lock, has the same."""
    with suppress(BlockingIOError), lock(lock_of(engine, record), blocking=False):
        found = state_of(engine, record)
        if found.running:
            return
        _discard_control(engine, record, found)
        if record.runtime:
            _forget_external(engine, record)
        if not engine.rung.has_walls:
            from tiffin.runtime.orphans import end_in  # of two rungs only

            end_in(str(directory_of(engine, record) / ROOT))


def _forget_external(engine: Engine, record: Record) -> None:
    from tiffin.engine.runtimes import forget  # few containers have another runtime

    try:
        forget(engine, record)
    except (OSError, TiffinError):
        return  # without the runtime or the right to it, it is left to those who have them


def _tidy_network(engine: Engine) -> None:
    network = state_directory(engine.home.run)
    if deserted(network):
        from tiffin.network import bridge  # nearly always there is nothing to take away
        from tiffin.network.tool import find

        with suppress(OSError):  # without the right to, it is left to those who have it
            bridge.tidy(network, find("nft"))
    if any(map(deserted, (network / NETWORKS).glob("*"))):
        from tiffin.network import segment  # the same
        from tiffin.network.tool import find

        with suppress(OSError):
            segment.sweep(segment.Home(network, find("nft")))


def state_of(engine: Engine, record: Record) -> State:
    """How the container stands."""
    return state.read(directory_of(engine, record))


def remove(engine: Engine, record: Record, *, volumes: bool) -> None:
    """Delete a container that does not run, with `volumes` its anonymous ones too."""
    if record.runtime:
        _forget_external(engine, record)
    found = state_of(engine, record)
    _release(found)
    if found.error and not engine.rung.has_walls:
        _forget_supervisor(engine, record)
    directory = directory_of(engine, record)
    there = directory.exists()  # with --rm the supervisor may have removed it, and told so
    put_away(directory)
    Records(engine.db).remove(record.id, durable=not record.remove)
    remove_lock(lock_of(engine, record))
    _discard_control(engine, record, found)
    anonymous = [mount.name for mount in record.mounts if mount.anonymous] if volumes else []
    if anonymous:
        for name in volumes_of(engine).let_go(anonymous, record.id):
            engine.happened("volume", "destroy", name, driver="local")
    if there:
        tell(engine, record, "destroy")


def _release(found: State) -> None:
    """Remove the groups of one whose supervisor was killed: the kernel has killed it, but it may be held."""
    if found.left:
        from tiffin.runtime.freezer import release

        for place in found.left:
            release(place)


def _discard_control(engine: Engine, record: Record, found: State) -> None:
    """Remove the socket that a supervisor has left, and tell of the end that it could not tell of."""
    directory = control_of(engine, record)
    if directory.exists():
        from tiffin.container import control  # a container that ended in order has removed it itself

        control.discard(directory)
        if found.status == "exited" and found.error:
            tell(engine, record, "die", exitCode=str(found.exit_code))
