"""What a container has written into the system's journal, read with journalctl: the files' form is its own.

Entries are those with the container's whole id; which stream a line came from is told by its priority.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
from typing import TYPE_CHECKING, Any

from tiffin.container.logs import Entry, stamp
from tiffin.errors import DeniedError, FailedError, UnsupportedError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

    from tiffin.container.logs import Stream
    from tiffin.container.record import Record

PROGRAM = "journalctl"
_ERROR = "3"
_CHUNK = 1 << 16
_DENIED = "insufficient permissions"


def read(
    record: Record, environ: Mapping[str, str], *, tail: int | None = None, since: int | None = None
) -> Iterator[Entry]:
    """Return the entries of the container, the oldest first; the last `tail`, from `since` on."""
    yield from _entries(_command(record, environ, tail, since))


def follow(
    record: Record,
    environ: Mapping[str, str],
    alive: int,
    *,
    tail: int | None = None,
    since: int | None = None,
) -> Iterator[Entry]:
    """Return the same, and what comes until the process of the pidfd `alive` has ended."""
    import subprocess

    command = _command(record, environ, tail, since)
    cursor = ""
    # Without a number, --follow begins ten lines before the end.
    begins = () if tail is not None else ("--lines=all",)
    with subprocess.Popen(
        [*command, *begins, "--follow"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as reader:
        try:
            for document in _until(reader, alive):
                cursor = document.get("__CURSOR", cursor)
                yield _entry(document)
        finally:
            reader.kill()
    # The journal may not have taken in yet what the container wrote last.
    subprocess.run([command[0], "--sync"], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rest = [f"--after-cursor={cursor}"] if cursor else []
    yield from _entries(_command(record, environ, None if cursor else tail, None if cursor else since) + rest)


def _command(record: Record, environ: Mapping[str, str], tail: int | None, since: int | None) -> list[str]:
    import shutil

    program = shutil.which(PROGRAM, path=environ.get("PATH") or os.defpath)
    if program is None:
        raise UnsupportedError(
            f"the output of {record.name} is in the system's journal, and there is no {PROGRAM} to read it",
            code="log-driver",
            hint=f"install {PROGRAM}, which is part of systemd; or run it with --log-driver json-file",
        )
    command = [program, "--output=json", "--all", "--no-pager"]
    command += [] if tail is None else [f"--lines={tail}"]
    command += [] if since is None else [f"--since=@{since // 10**9}"]
    return [*command, f"CONTAINER_ID_FULL={record.id}"]


def _entries(command: list[str]) -> Iterator[Entry]:
    import subprocess

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stderr is not None
        any_ = False
        try:
            for line in reader.stdout:
                any_ = True
                yield _entry(json.loads(line))
            told = reader.stderr.read(_CHUNK).decode("utf-8", "replace").strip()
        finally:
            reader.kill()
    if not any_ and _DENIED in told:
        raise DeniedError(
            "the system's journal may not be read by you",
            code="journal-denied",
            hint="be in the group systemd-journal",
        )
    if reader.returncode not in (0, -9):
        raise FailedError(
            f"{PROGRAM} ended with status {reader.returncode}: {told.rpartition(chr(10))[2]}",
            code="journal-failed",
            hint=f"try: {' '.join(command)}",
        )


def _until(reader: subprocess.Popen[bytes], alive: int) -> Iterator[dict[str, Any]]:
    """The documents of a reader that never ends, until the process of `alive` does."""
    assert reader.stdout is not None
    poll = select.poll()
    poll.register(reader.stdout, select.POLLIN)
    poll.register(alive, select.POLLIN)
    rest = b""
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if reader.stdout.fileno() in ready:
            data = os.read(reader.stdout.fileno(), _CHUNK)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield json.loads(line)
            if not data:
                return
        elif alive in ready:
            return


def _entry(document: Mapping[str, Any]) -> Entry:
    message = document.get("MESSAGE") or ""
    if isinstance(message, list):  # what is no text is a list of its bytes
        with contextlib.suppress(ValueError, TypeError):
            message = bytes(message).decode("utf-8", "surrogateescape")
    partial = document.get("CONTAINER_PARTIAL_MESSAGE") == "true"
    stream: Stream = "stderr" if document.get("PRIORITY") == _ERROR else "stdout"
    time = stamp(int(document["__REALTIME_TIMESTAMP"]) * 1000)
    return Entry(f"{message}" + ("" if partial else "\n"), stream, time)
