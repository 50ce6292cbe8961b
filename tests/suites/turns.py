"""What only one process of tests may do at a time, and what all of them have to make the same."""

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path

TOGETHER = "TIFFIN_TEST_TOGETHER"  # the folder that tools/run-tests gives to all parts of a run


@contextmanager
def turn(what):
    """Be the only one on this machine that does this."""
    path = Path(f"/tmp/tiffin-test-{what}.lock")  # also for a run that has its temporary files elsewhere
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def together(folder):
    """Where all processes of this run have what they share; `folder` is for a run of one process."""
    return Path(os.environ.get(TOGETHER) or folder)


def first(folder, name, data):
    """The first `data` that anybody gave for `name` in this run; `folder` as for `together`."""
    folder = together(folder)
    own = folder / f"{name}.{os.getpid()}"
    own.write_bytes(data)
    with suppress(FileExistsError):
        (folder / name).hardlink_to(own)  # never there by halves
    own.unlink()
    return (folder / name).read_bytes()
