"""The processes of a container, as this machine sees them: what `top` shows."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.container.record import Records
from tiffin.engine.running import state_of
from tiffin.errors import ConflictError, FailedError, InvalidError, UnsupportedError
from tiffin.runtime.members import pids_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.engine import Engine

__all__ = ["Table", "top"]

_FULL = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
_DAY = 86400


class Table(NamedTuple):
    """What ps prints: a row of titles, and one for each process."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def top(engine: Engine, name: str, options: Sequence[str] = ()) -> Table:
    """The processes of a container, in the form of `ps -ef`; with `options` as this machine's ps has them."""
    record = Records(engine.db).need(name)
    found = state_of(engine, record)
    if not found.pid:
        raise ConflictError(f"the container {record.name} is not running", code="not-running")
    pids = pids_of(found.pid)
    return _by_ps(options, pids) if options else _full(pids)


def _full(pids: Sequence[int]) -> Table:
    """What `ps -ef` says of them; images and machines that serve often have no ps."""
    booted = time.time() - float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    rows = []
    for pid in pids:
        with contextlib.suppress(OSError):
            rows.append(_row(pid, booted))
    return Table(_FULL, tuple(rows))


def _row(pid: int, booted: float) -> tuple[str, ...]:
    ticks = os.sysconf("SC_CLK_TCK")
    place = Path("/proc") / str(pid)
    uid = place.stat().st_uid
    text = (place / "stat").read_bytes()
    name = os.fsdecode(text[text.index(b"(") + 1 : text.rindex(b")")])
    fields = text[text.rindex(b")") + 2 :].split()
    command = os.fsdecode((place / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")) or f"[{name}]"
    used = (int(fields[11]) + int(fields[12])) // ticks
    began = booted + int(fields[19]) / ticks
    ago = max(time.time() - began, 1)
    return (
        _user(uid),
        str(pid),
        fields[1].decode(),
        str(min(int(used * 100 / ago), 99)),
        _began(began, ago),
        _terminal(int(fields[4])),
        f"{used // 3600:02}:{used // 60 % 60:02}:{used % 60:02}",
        re.sub(r"[\x00-\x1f\x7f]", "?", command),  # what it calls itself must not reach the terminal
    )


def _user(uid: int) -> str:
    import pwd

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
    return name if len(name) <= 8 else f"{name[:7]}+"


def _began(moment: float, ago: float) -> str:
    form = "%H:%M" if ago < _DAY else "%b%d" if ago < 365 * _DAY else "%Y"
    return time.strftime(form, time.localtime(moment))


def _terminal(device: int) -> str:
    """The name of a controlling terminal; those of containers are pseudo-terminals."""
    major, minor = os.major(device), os.minor(device)
    if 136 <= major <= 143:
        return f"pts/{minor + (major - 136) * 256}"
    return "?"


def _by_ps(options: Sequence[str], pids: Sequence[int]) -> Table:
    import subprocess

    try:
        done = subprocess.run(["ps", *options], capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError:
        raise UnsupportedError(
            "options of ps need a ps on this machine, and there is none",
            code="no-ps",
            hint="without options, `tiffin top` reads /proc itself",
        ) from None
    if done.returncode:
        raise FailedError(
            f"ps {' '.join(options)}: {done.stderr.strip() or done.returncode}", code="ps-failed"
        )
    return _chosen(done.stdout.splitlines(), pids)


def _chosen(lines: Sequence[str], pids: Sequence[int]) -> Table:
    """The lines of ps that are about `pids`; the last column, the command, may hold blanks."""
    titles = tuple(lines[0].split()) if lines else ()
    if "PID" not in titles:
        raise InvalidError("these options of ps show no column PID", code="no-pid", hint="add it: -o pid,…")
    column, last = titles.index("PID"), len(titles) - 1
    wanted = {str(pid) for pid in pids}
    rows = [tuple(line.split(None, last)) for line in lines[1:]]
    return Table(titles, tuple(row for row in rows if len(row) > column and row[column] in wanted))
