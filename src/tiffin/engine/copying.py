"""Copies files between a container and this machine: a process at either end, and a tar between them.

The end in the container is a process of its own, which alone enters its user namespace or sees its
files as its root; the other one has the rights of who calls, and no more.
"""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tiffin.container.loop import write_all
from tiffin.engine.copyends import DIRECTORY, FILE, NOTHING, Host
from tiffin.engine.copyside import Side, Talk
from tiffin.errors import ConflictError, NotFoundError
from tiffin.layer.existing import apply_to_existing
from tiffin.layer.owners import NoOwners, TrueOwners
from tiffin.layer.tar import tar_of
from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.engine.copyends import End, Packed
    from tiffin.engine.engine import Engine
    from tiffin.layer.tree import Entry

__all__ = ["Options", "Source", "copy_in", "copy_out", "place_of", "source_of"]

_PLAIN_BITS = 0o1777


class Options(NamedTuple):
    """`archive` keeps owners; `follow` copies what a link leads to."""

    archive: bool = False
    follow: bool = False


_PLAIN = Options()


class Source(NamedTuple):
    """What is copied: the name that it has, what it is, and whether only what is in it goes."""

    name: str
    kind: str
    contents: bool = False


def source_of(path: str, kind: str) -> Source:
    """What the path of a source means: `folder/.` is what is in the folder."""
    name = posixpath.basename(path.rstrip("/"))
    contents = name in ("", ".", "..")
    return Source("" if contents else name, kind, contents)


def place_of(source: Source, path: str, kind: str, parent: str) -> tuple[str, str]:
    """The directory to write into, and the name there, empty for the contents alone: Docker's rules.

    `kind` is what is at `path`, and `parent` what its parent is. Raises ConflictError or NotFoundError.
    """
    if kind == DIRECTORY:
        return path, source.name
    above, name = posixpath.split(path.rstrip("/"))
    if kind == FILE and (source.kind == DIRECTORY or path.endswith("/")):
        raise ConflictError(f"{path} is a file, not a directory", code="not-a-directory")
    if kind == NOTHING and (parent != DIRECTORY or (path.endswith("/") and source.kind != DIRECTORY)):
        raise NotFoundError(
            f"there is no directory {path if path.endswith('/') else above or '.'}", code="no-such-path"
        )
    return above or ("/" if path.startswith("/") else "."), name


def copy_in(engine: Engine, source: str | BinaryIO, name: str, path: str, options: Options = _PLAIN) -> None:
    """Copy a path of this machine, or what is in a tar, to `path` of the container."""
    path = f"/{path.lstrip('/')}"

    def work(end: End, talk: Talk) -> None:
        above = posixpath.dirname(path.rstrip("/")) or "/"
        talk.tell({"kind": end.kind(path, follow=True), "parent": end.kind(above, follow=True)})
        with open(talk.source, "rb") as stream:  # noqa: PTH123 - a pipe
            directory = stream.readline()
            if directory:
                apply_to_existing(stream, *end.directory(json.loads(directory)))

    with Side(engine, name, work) as side:
        there = side.hear()
        if not isinstance(source, str):
            if there["kind"] != DIRECTORY:
                raise NotFoundError(f"there is no directory {path} in the container", code="no-such-path")
            side.send(json.dumps(path).encode() + b"\n")
            while chunk := source.read(1 << 20):
                side.send(chunk)
            return
        host = Host(TrueOwners())
        found = source_of(source, host.kind(source, follow=options.follow or source.endswith("/")))
        if found.kind == NOTHING:
            raise NotFoundError(f"there is no {source}", code="no-such-file")
        directory, top = place_of(found, path, str(there["kind"]), str(there["parent"]))
        side.send(json.dumps(directory).encode() + b"\n")
        for chunk in _tar(
            host.packed(source, follow=options.follow), top, None if options.archive else (0, 0)
        ):
            side.send(chunk)


def copy_out(engine: Engine, name: str, path: str, dest: str | BinaryIO, options: Options = _PLAIN) -> None:
    """Copy `path` of the container to a path of this machine, or write it as a tar."""
    path = f"/{path.lstrip('/')}"

    def work(end: End, talk: Talk) -> None:
        talk.tell({"kind": end.kind(path, follow=options.follow)})
        with open(talk.source, "rb") as stream:  # noqa: PTH123 - a pipe
            how = stream.readline()
        if how:
            for chunk in _tar(end.packed(path, follow=options.follow), *json.loads(how)):
                write_all(talk.sink, chunk)

    with Side(engine, name, work) as side:
        found = source_of(path, str(side.hear()["kind"]))
        if found.kind == NOTHING:
            raise NotFoundError(f"there is no {path} in the container {name}", code="no-such-file")
        if not isinstance(dest, str):
            side.send(json.dumps([found.name, None]).encode() + b"\n")
            while chunk := side.output.read(1 << 20):
                dest.write(chunk)
            return
        owners = TrueOwners() if options.archive else NoOwners()
        host = Host(owners)
        above = posixpath.dirname(dest.rstrip("/")) or ("/" if dest.startswith("/") else ".")
        directory, top = place_of(found, dest, host.kind(dest, follow=True), host.kind(above, follow=True))
        side.send(json.dumps([top, None if options.archive else [0, 0]]).encode() + b"\n")
        apply_to_existing(side.output, *host.directory(directory))


def _tar(packed: Iterator[Packed], top: str, owner: tuple[int, int] | None) -> Iterator[bytes]:
    """The tar of `packed` under the name `top`; an `owner` for all takes the set-id bits away."""
    places: dict[str, str] = {}

    def entries() -> Iterator[Entry]:
        for entry, host in packed:
            if not entry.path and not top:
                continue
            path = RootPath("/".join(part for part in (top, entry.path) if part))
            places.clear()
            places[path] = host
            if entry.kind == "hardlink" and top:
                entry = entry._replace(link=f"{top}/{entry.link}")  # noqa: PLW2901
            if owner is not None:
                entry = entry._replace(mode=entry.mode & _PLAIN_BITS, uid=owner[0], gid=owner[1])  # noqa: PLW2901
            yield entry._replace(path=path)

    return tar_of(entries(), lambda path: places[path])
