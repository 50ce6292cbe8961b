"""Limits and restart policy of a container that is there: `update`, for now and for its later lives."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec

from tiffin.container import control
from tiffin.container.job import unpack_error
from tiffin.container.record import Records
from tiffin.container.restart import parse_policy
from tiffin.engine.limits import parse_limits
from tiffin.engine.running import state_of
from tiffin.engine.standing import CONFIG, control_of, directory_of, spec_of, tell
from tiffin.engine.starting import limits_of
from tiffin.errors import ConflictError
from tiffin.linux.files import atomic_write, lock
from tiffin.oci.codec import encode
from tiffin.oci.runtimespec import Resources
from tiffin.runtime.cgroups.limits import Write, Writes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tiffin.container.record import Record
    from tiffin.container.state import State
    from tiffin.engine.engine import Engine

    Words = tuple[tuple[str, str], ...]

__all__ = ["merged", "update", "writes_between"]


def update(engine: Engine, name: str, limits: Mapping[str, str], restart: str | None = None) -> None:
    """Change the limits of a container, and its restart policy if one is given; a 0 changes nothing.

    All of it is changed or nothing. Raises InvalidError for what cannot be read, or contradicts what
    stays, and UnsupportedError for a limit that a running container's cgroup does not take.
    """
    records = Records(engine.db)
    record = records.need(name)
    with lock(engine.home.locks / f"update-{record.short}"):
        record = records.need(record.id)
        words = merged(record.limits, limits)
        parse_limits(words)
        _check_restart(record, restart)
        policy = record.restart if restart is None else "" if restart == "no" else restart
        with _applied(engine, record, state_of(engine, record), words):
            record = records.change(record.id, {"limits": words, "restart": policy})
        _write_spec(engine, record)
    told = {"verb": "change", "restart": policy, "limits": limits_of(record)}
    control.ask(control_of(engine, record), told)
    tell(engine, record, "update")


def merged(old: Words, given: Mapping[str, str]) -> Words:
    """Return the limits with those that are given in the place of their old ones."""
    new = {name: text for name, text in given.items() if text and (text != "0" or name == "pids-limit")}
    return (*((name, text) for name, text in old if name not in new), *new.items())


def writes_between(old: Words, new: Words) -> Writes:
    """Return what has to be written into a cgroup that has the old limits."""
    before, after = (parse_limits(words).resources or Resources() for words in (old, new))
    free = (Write("pids", "pids.max", "max"),) if before.pids and not after.pids else ()
    was, is_now = Writes.of(before), Writes.of(after)
    return Writes(
        (*(write for write in is_now.v1 if write not in was.v1), *free),
        (*(write for write in is_now.v2 if write not in was.v2), *free),
    )


def _applied(engine: Engine, record: Record, found: State, words: Words) -> AbstractContextManager[None]:
    """Change the cgroup of a container that runs; what fails within the block takes it back.

    One that was started without a limit of the kind gets what it needs from its supervisor first.
    """
    writes = writes_between(record.limits, words)
    if not found.pid or not (writes.v1 or writes.v2):
        return nullcontext()
    answer = control.ask(control_of(engine, record), {"verb": "limit", "limits": writes})
    if answer is not None and "error" in answer:
        raise unpack_error(answer["error"])
    from tiffin.runtime.cgroups.change import changed

    joins = state_of(engine, record).cgroups
    return changed(joins, writes) if joins else nullcontext()  # it has ended a moment ago


def _check_restart(record: Record, restart: str | None) -> None:
    if restart is None:
        return
    parse_policy(restart)
    if record.remove and restart not in ("", "no"):
        raise ConflictError(
            f"the restart policy of {record.name} cannot be changed: it is removed when it stops (--rm)",
            code="removed-at-end",
            hint="run it again without --rm",
        )


def _write_spec(engine: Engine, record: Record) -> None:
    """Have the runtime spec on disk, which `inspect` shows, say the same as the record."""
    spec = spec_of(engine, record)
    old = spec.linux.resources or Resources()
    new = parse_limits(record.limits).resources or Resources()
    resources = msgspec.structs.replace(new, devices=old.devices)
    kept = None if resources == Resources() else resources
    linux = msgspec.structs.replace(spec.linux, resources=kept)
    atomic_write(
        directory_of(engine, record) / CONFIG, encode(msgspec.structs.replace(spec, linux=linux)), sync=False
    )
