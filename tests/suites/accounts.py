"""Accounts of the system that tests make: one process at a time, however many share the work."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.suites import turns


def turn():
    """Be the only one that changes accounts: useradd gives up where another holds its lock."""
    return turns.turn("accounts")


def subordinate_ids(name, line):
    """Let `line` be all that the system says of the subordinate ids of `name`."""
    for file in ("/etc/subuid", "/etc/subgid"):
        path = Path(file)
        lines = path.read_text().splitlines() if path.exists() else []
        lines = [other for other in lines if not other.startswith(f"{name}:")]
        # At once, or newuidmap of a test beside us reads half of it.
        draft = path.with_name(f"{path.name}.tiffin-test")
        draft.write_text("".join(f"{other}\n" for other in (*lines, *line)))
        draft.chmod(0o644)
        draft.replace(path)


def end_processes(uid):
    """End what a user of ours still runs, such as what a killed build left to end by itself."""
    for entry in Path("/proc").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                os.kill(int(entry.name), signal.SIGKILL)
