"""Containers: one function for each verb, over an open engine.

`running` has those that start one, `logs` what they wrote.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

from tiffin.container import attach
from tiffin.container.foreground import Foreground
from tiffin.container.record import Records
from tiffin.container.signals import parse_signal
from tiffin.engine.request import RunRequest
from tiffin.engine.running import enter_for, remove, run, start, state_of, tidy
from tiffin.engine.standing import UPPER, control_of, directory_of, say, settle, spec_of, tell, tree_of
from tiffin.errors import ConflictError
from tiffin.linux.isolation import Rung
from tiffin.linux.record import NamedTuple
from tiffin.network.publish import Published

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.container.record import Record
    from tiffin.container.state import State
    from tiffin.engine.engine import Engine

__all__ = [
    "ContainerSummary",
    "ExecRequest",
    "RunRequest",
    "exec_",
    "inspect",
    "kill",
    "ps",
    "restart",
    "rm",
    "run",
    "start",
    "stop",
    "tidy",
]

PATIENCE = 10
"""Seconds between the stop signal and SIGKILL."""


class ContainerSummary(NamedTuple):
    """A row of `ps`; times are seconds since 1970, sizes bytes."""

    id: str
    name: str
    image: str
    image_id: str
    command: tuple[str, ...]
    created: float
    state: str
    started: float | None
    finished: float | None
    exit_code: int
    ports: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    mounts: tuple[str, ...]
    network: str
    size: int
    image_size: int
    health: str = ""
    targets: tuple[str, ...] = ()
    """Where things are mounted."""
    exposed: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    """The ids of its own image and of those that it mounts."""


class ExecRequest(NamedTuple):
    """What `exec` was asked for, in the user's words."""

    command: tuple[str, ...]
    detach: bool = False
    interactive: bool = False
    tty: bool = False
    env: tuple[str, ...] = ()
    env_files: tuple[Path, ...] = ()
    user: str | None = None
    workdir: str | None = None
    privileged: bool = False
    keys: bytes = b""
    """By which, if there are any, a user at a terminal leaves it."""


def ps(engine: Engine, all_: bool = False, *, sizes: bool = False) -> list[ContainerSummary]:
    """Every container that runs, or every one; the newest first. Sizes are 0 unless they are asked for."""
    return [
        _summary(engine, record, found, sizes=sizes)
        for record in Records(engine.db).all()
        if (found := state_of(engine, record)).running or (all_ and directory_of(engine, record).exists())
    ]


def _spend_reserve(engine: Engine) -> None:
    from tiffin.engine.reserve import spend  # who lists containers takes nothing away

    spend(engine.home)


def stop(
    engine: Engine, names: Sequence[str], timeout: int | None = None, signal_name: str | None = None
) -> None:
    """Send the stop signal, and SIGKILL to what runs `timeout` seconds later; negative waits for ever."""
    asked = parse_signal(signal_name) if signal_name else None
    _spend_reserve(engine)
    for name in names:
        record = Records(engine.db).need(name)
        found = state_of(engine, record)
        if not found.running:
            continue
        patience = next(value for value in (timeout, record.stop_timeout, PATIENCE) if value is not None)
        _signal(engine, record, found, asked or parse_signal(record.stop_signal or "TERM"), last=True)
        waited = None if patience < 0 else float(patience)
        if attach.await_exit(control_of(engine, record), found.supervisor, waited) is None:
            _signal(engine, record, found, signal.SIGKILL, last=True)
            attach.await_exit(control_of(engine, record), found.supervisor)
        tell(engine, record, "stop")


def restart(
    engine: Engine, names: Sequence[str], timeout: int | None = None, signal_name: str | None = None
) -> None:
    """Stop containers, and start them; one that does not run is started."""
    enter_for(engine, [Records(engine.db).need(name) for name in names])
    for name in names:
        record = Records(engine.db).need(name)
        if record.remove:
            raise ConflictError(
                f"the container {record.name} is removed when it stops (--rm)",
                code="removed-at-end",
                hint="run it again",
            )
        stop(engine, [name], timeout, signal_name)
        start(engine, [name])
        tell(engine, record, "restart")


def kill(engine: Engine, names: Sequence[str], signal_name: str = "KILL") -> None:
    """Send a signal to containers that run; SIGKILL and the stop signal are the last that they get."""
    number = parse_signal(signal_name)
    _spend_reserve(engine)
    for name in names:
        record = Records(engine.db).need(name)
        found = state_of(engine, record)
        if not found.running:
            raise ConflictError(f"the container {record.name} is not running", code="not-running")
        ends = number in (signal.SIGKILL, parse_signal(record.stop_signal or "TERM"))
        # As in Docker, where a stop signal of its own tells signals that end it from others.
        _signal(engine, record, found, number, last=ends, wake=ends or not record.stop_signal)
        if number == signal.SIGKILL:
            attach.await_exit(control_of(engine, record), found.supervisor)


def rm(engine: Engine, names: Sequence[str], *, force: bool = False, volumes: bool = False) -> None:
    """Remove containers; one that runs is killed with `force`, and refused without."""
    _spend_reserve(engine)
    engine.enter()
    for name in names:
        record = Records(engine.db).need(name)
        found = state_of(engine, record)
        if found.status == "paused" and not force:
            raise ConflictError(
                f"the container {record.name} is paused",
                code="container-running",
                hint=f"let it go on (tiffin unpause {record.name}) and stop it, or use --force",
            )
        if found.running and not force:
            raise ConflictError(
                f"the container {record.name} is running",
                code="container-running",
                hint=f"stop it first (tiffin stop {record.name}), or use --force",
            )
        if found.running:
            _signal(engine, record, found, signal.SIGKILL, last=True)
            attach.await_exit(control_of(engine, record), found.supervisor)
        remove(engine, record, volumes=volumes or record.remove)
    tidy(engine)


def exec_(engine: Engine, name: str, request: ExecRequest) -> int | None:
    """Run another command in a container; return its exit code, None if we left it."""
    from tiffin.build.owner import find_user
    from tiffin.container import environment
    from tiffin.engine.variables import variables
    from tiffin.runtime.model import pack_process
    from tiffin.runtime.plan import make_process
    from tiffin.runtime.spec import exec_process

    record = Records(engine.db).need(name)
    found = state_of(engine, record)
    if found.status == "paused":
        from tiffin.container.pausing import refuse_exec

        raise refuse_exec(f"the container {record.name}")
    if not found.pid:
        waits = ": it waits to be started again" if found.running else ""
        raise ConflictError(
            f"the container {record.name} is not running{waits}",
            code="not-running",
            hint=f"tiffin wait --condition running {record.name}"
            if waits
            else f"start it first: tiffin start {record.name}",
            exit_status=1,
        )
    spec = spec_of(engine, record)
    if request.user is None:
        user = _same_user(spec)
    else:
        user = find_user(request.user, tree_of(engine, record))
        kept = engine.footing.records and not (record.runtime or spec.linux.uid_mappings)
        if engine.rung is Rung.SINGLE_ID and not kept:
            first = spec.process.user  # there is no other
            user = user._replace(uid=first.uid, gid=first.gid, groups=())
    _, asked = environment.merge((), variables(request.env, request.env_files, engine))
    wanted = exec_process(
        spec,
        request.command,
        user,
        env=asked,
        working_dir=request.workdir or "",
        terminal=request.tty,
        privileged=request.privileged,
    )
    process = make_process(wanted, spec.linux.seccomp, machine=os.uname().machine)
    if not engine.rung.has_walls:
        from tiffin.engine import chrooted  # of two rungs only

        process = chrooted.limited(engine, record, process)
    elif engine.footing.records and not (record.runtime or spec.linux.uid_mappings):
        from tiffin.engine.recorded import keep_owners

        process = keep_owners(engine, record, process, spec.linux.seccomp)
    if ("userns", "host") in record.security and engine.rung is Rung.ROOT:
        from tiffin.engine.hostusers import held

        process = held(process)
    execution = attach.Execution(
        pack_process(process),
        tty=request.tty,
        interactive=request.interactive,
        detach=request.detach,
        command=" ".join(request.command)[:1024],
        keys=request.keys,
    )
    streams = Foreground(lambda text: say(engine, text))
    return attach.execute(control_of(engine, record), execution, streams)


def inspect(engine: Engine, names: Sequence[str], *, sizes: bool = False) -> list[dict[str, Any]]:
    """Docker-shaped documents of containers; with `sizes` they say how much is written."""
    from tiffin.engine import container_document

    documents = []
    for name in names:
        record = Records(engine.db).need(name)
        found, directory = state_of(engine, record), directory_of(engine, record)
        document = container_document.document(record, found, directory, spec_of(engine, record))
        if record.networks:
            from tiffin.engine.networks import endpoints_of

            document["NetworkSettings"]["Networks"] |= endpoints_of(engine, record)
        if sizes:
            written, image = _sizes(engine, record)
            document |= {"SizeRw": written, "SizeRootFs": written + image}
        documents.append(document)
    return documents


def _signal(
    engine: Engine, record: Record, found: State, number: int, *, last: bool = False, wake: bool = True
) -> None:
    """Have the supervisor send it; where that does not answer, send it ourselves, if we may."""
    if attach.send_signal(control_of(engine, record), number, last=last, wake=wake):
        return
    if found.pid and found.supervisor.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.pid, number)


def _same_user(spec: Any) -> Any:
    from tiffin.runtime.users import User

    first = spec.process
    home = next((item[5:] for item in first.env if item.startswith("HOME=")), "/")
    return User(first.user.uid, first.user.gid, first.user.additional_gids, home)


def _summary(engine: Engine, record: Record, found: State, *, sizes: bool) -> ContainerSummary:
    written, image = _sizes(engine, record) if sizes else (0, 0)
    names = [place.name for place in record.networks]
    return ContainerSummary(
        id=record.id,
        name=record.name,
        image=record.image,
        image_id=record.image_id,
        command=record.command,
        created=record.created / 1e9,
        state=found.status,
        started=found.started / 1e9 if found.started else None,
        finished=found.finished / 1e9 if found.finished else None,
        exit_code=found.exit_code,
        ports=_ports(record, found),
        labels=tuple(record.labels.items()),
        mounts=tuple(mount.name or mount.source for mount in record.mounts if mount.kind != "tmpfs"),
        network=",".join(
            [*(() if record.network and record.networks else (record.network or "bridge",)), *names]
        ),
        size=written,
        image_size=image,
        health=str(found.health[0]) if found.health else "",
        targets=tuple(mount.target for mount in record.mounts),
        exposed=record.exposed,
        layers=record.layers,
        images=(record.image_id, *(mount.image_id for mount in record.mounts if mount.image_id)),
    )


def _ports(record: Record, found: State) -> tuple[str, ...]:
    """What is offered, on each address; and what is exposed only, of one that has a network of its own."""
    offered = [Published(*port[:4]) for port in found.ports]
    lines = [str(port) for port in offered]
    lines += [str(port._replace(address="::")) for port in offered if not port.address]
    if found.pid and record.network not in ("host", "none") and ":" not in record.network:
        taken = {f"{port.container}/{port.protocol}" for port in offered}
        lines += [text for text in record.exposed if text not in taken]
    return tuple(lines)


def _sizes(engine: Engine, record: Record) -> tuple[int, int]:
    """The bytes that the container has written, and those of its image."""
    image = sum(size for layer, size in engine.layers.sizes().items() if layer in record.layers)
    settle(engine, record)
    return _usage(directory_of(engine, record) / UPPER), image


def _usage(directory: Path) -> int:
    """The bytes of all files below; what we may not read does not count."""
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(f"{place}/{name}").st_size
    return total
