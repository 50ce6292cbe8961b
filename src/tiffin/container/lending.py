"""Volumes in the root of a container where nothing can be mounted, and their way back.

The directory of a volume and a note change places in one step: at every moment there is at
`volumes/NAME/data` the directory itself, or the note that tells in whose root it is. So a kill loses nothing:
who wants the volume next, or deletes the container, brings it back.
Used under `python -IS`; standard library only.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress

from tiffin.container.removal import LENT
from tiffin.errors import ConflictError, UnsupportedError
from tiffin.linux import files
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Loan", "announce", "bring_back", "find", "give_back", "lend", "place_of", "take_back"]

_ROOT, _LOCK = "root", "lending"
_MARK = "user.tiffin.lent"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_NO_EXCHANGE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS)
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_NO_MARK = (errno.ENODATA, errno.EOPNOTSUPP)


class Loan(NamedTuple):
    """Where a volume is: in the root of which container, at which path without links, by which mark."""

    container: str
    path: str
    mark: str


def announce(directory: Path, names: Iterable[str]) -> None:
    """Have it known which volumes the container is to have, before it has any; survives a power cut."""
    files.atomic_write(directory / LENT, json.dumps(sorted(names)).encode())


def lend(data: Path, container: str, top: int, path: str) -> None:
    """Put the volume at `path`, where nothing is, below the container's root `top`.

    Raises ConflictError if another has it, UnsupportedError where that cannot be done in one step.
    """
    above, _, name = path.rpartition("/")
    with files.lock(data.parent / _LOCK):
        if find(data) is not None:
            raise ConflictError(f"another container has the volume {data.parent.name}", code="volume-in-use")
        loan = Loan(container, path, os.urandom(8).hex())
        with suppress(OSError):  # without attributes the path has to do
            files.setxattr(data, _MARK, loan.mark.encode())
        fd = files.open_in_root(top, above, _DIRECTORY, links=False)
        try:
            _write(fd, name, json.dumps(loan._asdict()).encode())
            try:
                _exchange(fd, name, data)
            except OSError as error:
                os.unlink(name, dir_fd=fd)
                raise _explained(error, data) from error
        finally:
            os.close(fd)


def find(data: Path) -> Loan | None:
    """Return where the volume is, None if it is in its place, or there is none."""
    try:
        if not stat.S_ISREG(data.lstat().st_mode):
            return None
    except FileNotFoundError:
        return None
    return Loan(**json.loads(data.read_bytes()))


def place_of(data: Path) -> Path:
    """Return where the files of the volume lie now. Who has it may have put links on the way."""
    loan = find(data)
    return data if loan is None else _root_of(data, loan) / loan.path


def take_back(directory: Path) -> None:
    """Bring back all that the container has, which does not run."""
    try:
        names = json.loads((directory / LENT).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        data = directory.parents[1] / "volumes" / name / "data"
        loan = find(data)
        if loan is not None and loan.container == directory.name:
            bring_back(data)
    (directory / LENT).unlink(missing_ok=True)  # others may do the same


def give_back(directory: Path) -> None:
    """The same at the end of the container; who wants a volume that could not be brought back tries again."""
    with suppress(OSError):
        take_back(directory)


def bring_back(data: Path) -> None:
    """Have the volume in its place again; the container that has it does not run.

    What that has moved within its root is found by its mark. What it has deleted is empty now.
    """
    with files.lock(data.parent / _LOCK):
        loan = find(data)
        if loan is None:
            return
        fd, name = _search(_root_of(data, loan), loan) or _make_empty(data)
        try:
            _exchange(fd, name, data)
            os.unlink(name, dir_fd=fd)
            with suppress(OSError):
                os.removexattr(data, _MARK, follow_symlinks=False)
        finally:
            os.close(fd)


def _root_of(data: Path, loan: Loan) -> Path:
    return data.parents[2] / "containers" / loan.container / _ROOT


def _write(fd: int, name: str, note: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(name, flags, 0o600, dir_fd=fd)
    try:
        files.write_all(file, note)
        os.fsync(file)
    finally:
        os.close(file)


def _exchange(fd: int, name: str, data: Path) -> None:
    above = os.open(data.parent, _DIRECTORY | os.O_CLOEXEC)
    try:
        files.exchange(fd, name, above, data.name)
        os.fsync(above)
    finally:
        os.close(above)


def _explained(error: OSError, data: Path) -> Exception:
    if error.errno not in _NO_EXCHANGE:
        return error
    return UnsupportedError(
        f"the volume {data.parent.name} cannot be moved into a container: {error.strerror}",
        code="volume-not-movable",
        hint="keep the whole store (TIFFIN_HOME) on one local file system",
        exit_status=125,
    )


def _make_empty(data: Path) -> tuple[int, str]:
    above = os.open(data.parent, _DIRECTORY | os.O_CLOEXEC)
    name = f"empty-{os.urandom(8).hex()}"
    os.mkdir(name, 0o755, dir_fd=above)
    return above, name


def _search(root: Path, loan: Loan) -> tuple[int, str] | None:
    """The open directory that has it, and its name there: known by the mark, or else by the path.

    Raises OSError for what cannot be looked at: then nobody knows that it is not there.
    """
    try:
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        for path, mark in _candidates(root, loan):
            above, _, name = path.rpartition("/")
            fd = _above(top, above, name, mark)
            if fd is not None:
                return fd, name
    finally:
        os.close(top)
    return None


def _above(top: int, above: str, name: str, mark: str) -> int | None:
    """Open the directory `above` if the directory `name` in it has the mark."""
    try:
        fd = files.open_in_root(top, above, _DIRECTORY, links=False)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return None
    it_is = False
    try:
        it_is = _is_it(fd, name, mark)
    finally:
        if not it_is:
            os.close(fd)
    return fd if it_is else None


def _candidates(root: Path, loan: Loan) -> Iterator[tuple[str, str]]:
    """Paths below the root, and the mark that the directory there has to have."""

    def fail(error: OSError) -> None:
        if error.errno not in _NOT_THERE:
            raise error

    yield loan.path, loan.mark
    for place, names, _ in os.walk(root, onerror=fail):
        for name in names:
            yield os.path.relpath(f"{place}/{name}", root), loan.mark
    yield loan.path, ""


def _is_it(fd: int, name: str, mark: str) -> bool:
    try:
        found = files.open_directory_here(fd, name)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return False
    try:
        return not mark or os.getxattr(found, _MARK) == mark.encode()
    except OSError as error:
        if error.errno not in _NO_MARK:
            raise
        return False
    finally:
        os.close(found)
