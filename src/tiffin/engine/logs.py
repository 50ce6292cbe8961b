"""What a container wrote, from wherever its log driver keeps it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from tiffin.container import logs as journal
from tiffin.container.record import Records
from tiffin.engine.running import state_of
from tiffin.engine.standing import directory_of
from tiffin.errors import UnsupportedError
from tiffin.linux.namespace import pidfd_open

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine

__all__ = ["logs"]


def logs(  # noqa: PLR0913 - Docker's options, each a filter of its own
    engine: Engine,
    name: str,
    *,
    follow: bool = False,
    tail: int | None = None,
    timestamps: bool = False,
    since: int | None = None,
    until: int | None = None,
) -> Iterator[tuple[int, bytes]]:
    """What the container wrote, as pairs of 1 (output) or 2 (errors) and bytes; `follow` until it ends.

    `since` and `until` are nanoseconds since 1970.
    """
    record = Records(engine.db).need(name)
    directory = directory_of(engine, record)
    first, last = (None if moment is None else journal.stamp(moment) for moment in (since, until))
    if record.log_driver == "none":
        raise UnsupportedError(
            f"the log driver of {record.name}, none, does not support reading",
            code="log-driver",
            hint="its output is not kept; run it without --log-driver none",
        )
    if record.log_driver == "journald":
        entries = _of_journal(engine, record, follow=follow, tail=tail, since=since)
    else:
        entries = _follow(engine, record, tail) if follow else journal.read(directory, tail)
    for entry in entries:
        if last is not None and entry.time > last:
            return
        if first is None or entry.time >= first:
            text = f"{entry.time} {entry.text}" if timestamps else entry.text
            yield 1 if entry.stream == "stdout" else 2, text.encode("utf-8", "surrogateescape")


def _follow(engine: Engine, record: Record, tail: int | None) -> Iterator[journal.Entry]:
    with _supervisor(engine, record) as alive:
        try:
            yield from journal.follow(directory_of(engine, record), alive, tail)
        except FileNotFoundError:
            return  # it was removed while we looked


def _of_journal(
    engine: Engine, record: Record, *, follow: bool, tail: int | None, since: int | None
) -> Iterator[journal.Entry]:
    from tiffin.engine import systemjournal  # few containers write there

    environ = engine.settings.environ
    with _supervisor(engine, record) if follow else contextlib.nullcontext() as alive:
        if alive is None:
            yield from systemjournal.read(record, environ, tail=tail, since=since)
        else:
            yield from systemjournal.follow(record, environ, alive, tail=tail, since=since)


@contextlib.contextmanager
def _supervisor(engine: Engine, record: Record) -> Iterator[int | None]:
    """The process that looks after the container, as a pidfd; None if it does not run."""
    found = state_of(engine, record)
    alive = None
    if found.running:
        with contextlib.suppress(ProcessLookupError):
            alive = pidfd_open(found.supervisor.pid)
    try:
        yield alive
    finally:
        if alive is not None:
            os.close(alive)
