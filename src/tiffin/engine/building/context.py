"""Where a build reads from: a folder, a repository, an archive, or nothing but a Dockerfile.

What is not a folder of the user comes from elsewhere: it is fetched or unpacked into the store, and its
files are read as if it were the root directory, wherever its links lead.
"""

from __future__ import annotations

import stat
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, cast

from tiffin.booleans import TRUE
from tiffin.errors import InvalidError, NotFoundError, TiffinError
from tiffin.events import StepDone, StepStarted
from tiffin.snapshot.merged import MergedTree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.build.fetching import Fetching
    from tiffin.build.graph import Git, Http
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine

STANDARD_INPUT = "-"
LARGEST = 16 << 20  # of a Dockerfile or an ignore file, in bytes
_KEEP_GIT_DIR = "BUILDKIT_CONTEXT_KEEP_GIT_DIR"
_STEP = "context"
_INPUT = "standard input"
_HEAD = 1 << 16


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`; fewer only at the end."""
        ...


class Place(NamedTuple):
    """The folder of the main context, how to speak of it, and a Dockerfile that came instead of one.

    `elsewhere`: the files are not the user's own; `passing`: the folder goes when the build ends; `content`:
    the digest or commit of what was fetched.
    """

    folder: Path
    name: str
    elsewhere: bool = False
    passing: bool = False
    dockerfile: bytes | None = None
    content: str = ""

    def read(self, path: str) -> bytes | None:
        """Return the file at `path` of what came from elsewhere, links followed inside; None without one."""
        try:
            node = MergedTree([self.folder]).resolve(path).node
        except InvalidError:
            return None
        if node is None or not stat.S_ISREG(node.status.st_mode):
            return None
        with Path(node.host).open("rb") as file:
            return bounded(file, path)


def bounded(stream: Readable, what: str) -> bytes:
    """Return all of `stream`. Raises InvalidError for what is too large to be a text that people write."""
    data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InvalidError(f"{what} is larger than {LARGEST >> 20} MiB", code="dockerfile-too-large")
    return data


@contextmanager
def open_context(engine: Engine, request: BuildRequest, fetching: Fetching) -> Iterator[Place]:
    """Give the main context for the time of the build. Raises what reading or fetching it does."""
    if request.context == STANDARD_INPUT:
        with _standard_input(engine, request) as place:
            yield place
        return
    folder = Path(request.context)
    if folder.is_dir():
        yield Place(folder, str(folder))
        return
    remote = _remote(engine, request)
    if remote is None:
        raise NotFoundError(
            f"the build context {request.context} is no directory",
            code="context-not-found",
            hint="the last argument of `tiffin build` is the folder to build from, often `.`",
        )
    with engine.layers.workspace() as empty:
        yield _fetched(engine, fetching, remote, empty)


def _remote(engine: Engine, request: BuildRequest) -> Git | Http | None:
    if isinstance(request.context, Path):
        return None
    from tiffin.build.graph import Git
    from tiffin.build.remote import parse_context, with_options

    remote = parse_context(request.context)
    keep = request.build_args.get(_KEEP_GIT_DIR, "")
    keep = engine.settings.environ.get(_KEEP_GIT_DIR, "") if keep is None else keep
    return with_options(remote, None, True) if isinstance(remote, Git) and keep in TRUE else remote


def _fetched(engine: Engine, fetching: Fetching, remote: Git | Http, empty: Path) -> Place:
    from tiffin.build.remote import title

    begun, name = time.monotonic(), title(remote)
    engine.emit(StepStarted(_STEP, f"[internal] {name}"))
    try:
        found = fetching.fetcher().context(remote, _STEP)
    except BaseException:
        engine.emit(StepDone(_STEP, "failed", time.monotonic() - begun))
        raise
    engine.emit(StepDone(_STEP, "cached" if found.cached else "done", time.monotonic() - begun))
    name = name.removeprefix("fetch ")
    if found.file is not None:
        with found.file.open("rb") as file:
            text = bounded(file, name)
        return Place(empty, name, passing=True, dockerfile=text, content=found.content)
    folder = engine.layers.path(found.layer) if found.layer else empty
    return Place(folder, name, elsewhere=True, passing=folder is empty, content=found.content)


@contextmanager
def _standard_input(engine: Engine, request: BuildRequest) -> Iterator[Place]:
    """Give what standard input holds: an archive, unpacked for the time of the build, or a Dockerfile."""
    if request.dockerfile == STANDARD_INPUT:
        raise InvalidError(
            "standard input is asked for both the context and the Dockerfile",
            code="standard-input-twice",
            hint="an archive may have the Dockerfile in it: leave -f out, or name the file in the archive",
        )
    stream = sys.stdin.buffer
    head = stream.read(_HEAD)
    with engine.layers.workspace() as place:
        from tiffin.build.ops.unpack import begins_as_archive

        folder = place / "context"
        folder.mkdir()
        if begins_as_archive(head):
            _unpack(_Whole(head, stream), folder)
            yield Place(folder, _INPUT, elsewhere=True, passing=True)
            return
        if request.dockerfile is not None:
            raise InvalidError(
                "standard input is a Dockerfile, and -f names another: ambiguous Dockerfile source",
                code="two-dockerfiles",
                hint="leave -f out; with an archive on standard input, -f names a file in it",
            )
        text = bounded(_Whole(head, stream), _INPUT)
        yield Place(folder, _INPUT, passing=True, dockerfile=text)


def _unpack(stream: _Whole, folder: Path) -> None:
    from tiffin.layer.apply import apply
    from tiffin.layer.compress import decompress
    from tiffin.layer.owners import NoOwners

    try:
        with decompress(cast("BinaryIO", stream)) as plain:
            apply(plain, folder, NoOwners(), whiteouts=False)
    except TiffinError as error:
        error.message = f"the archive on {_INPUT}: {error.message}"
        raise


class _Whole:
    """A stream of which the beginning was read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int) -> bytes:
        """The next bytes."""
        data, self._head = self._head[:size], self._head[size:]
        return data + self._rest.read(size - len(data)) if len(data) < size else data
