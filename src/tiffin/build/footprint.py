"""What a step read, as it is remembered: entries with short digests, and the small texts among them."""

from __future__ import annotations

import itertools
import os
import re
import stat
from typing import TYPE_CHECKING

from tiffin.build.graph import MAIN, Git, Http, Local, Source
from tiffin.build.secretfiles import is_secret
from tiffin.build.selection import kind
from tiffin.build.steprecord import CONTEXT, LARGEST_TEXT, MOST_ENTRIES, MOST_TEXT, Entry, Read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tiffin.build.graph import Vertex
    from tiffin.build.selection import Selected
    from tiffin.snapshot.merged import Node

_DIGEST = 8  # bytes: enough to see that two differ
_MOST_TEXTS = 200
# What lists other things is worth more than any other text.
_LISTS = re.compile(
    r"require|constraint|package|pyproject|lock|\.(?:toml|cfg|ini|ya?ml|json|txt|in|mod|sum)$", re.IGNORECASE
)
# A wrong guess costs nothing here, so what only may be a secret counts as well.
_DOUBTFUL = re.compile(
    r"/(?:\.env[^/]*|\.npmrc|id_[^/]*|[^/]*\.(?:pem|key))$|secret|credential|token", re.IGNORECASE
)


def origin_name(vertex: Vertex) -> str:
    """Return how a person speaks of what `vertex` is."""
    op = vertex.op
    match op:
        case Local():
            return CONTEXT if op.name == MAIN else f"the context {op.name}"
        case Source():
            return f"image {op.reference}"
        case Http():
            return op.url
        case Git():
            return op.remote
        case _:
            return f"stage {vertex.stage}"


def footprint(
    origin: str, content: str, selection: Sequence[Selected], digest: Callable[[Node], bytes]
) -> Read:
    """Return what is remembered of `selection`, read of `origin` with the digest `content`.

    `digest` gives the SHA-256 of a file where it is known, and nothing else. What looks
    like a secret is remembered by its digest alone.
    """
    nodes = list(itertools.islice(_nodes(selection), MOST_ENTRIES + 1))
    listed = nodes[:MOST_ENTRIES]
    entries = {_name(node): _entry(node, digest) for node in listed}
    return Read(origin, content, entries, _texts(listed), whole=len(nodes) <= MOST_ENTRIES)


def _nodes(selection: Sequence[Selected]) -> Iterator[Node]:
    for chosen in selection:
        if not chosen.node.is_directory:
            yield chosen.node
        yield from chosen.below


def _name(node: Node) -> str:
    return node.shown.lstrip("/")


def _entry(node: Node, digest: Callable[[Node], bytes]) -> Entry:
    mode = node.status.st_mode
    if stat.S_ISREG(mode):
        return Entry("f", mode & 0o7777, node.status.st_size, digest(node)[:_DIGEST])
    if stat.S_ISLNK(mode):
        return Entry("l", 0, 0, os.fsencode(os.readlink(node.host))[-64:])
    return Entry(kind(mode), mode & 0o7777, 0)


def _texts(nodes: Sequence[Node]) -> dict[str, str]:
    small = [
        node
        for node in nodes
        if stat.S_ISREG(node.status.st_mode) and 0 < node.status.st_size <= LARGEST_TEXT
    ]
    found: dict[str, str] = {}
    room = MOST_TEXT
    for node in sorted(small, key=lambda node: (not _LISTS.search(node.path), node.status.st_size))[
        :_MOST_TEXTS
    ]:
        room -= node.status.st_size
        if room < 0:
            break
        if not _may_be_secret(node.path) and (text := _text(node)) is not None:
            found[_name(node)] = text
    return found


def _may_be_secret(path: str) -> bool:
    return is_secret(path.lower()) or _DOUBTFUL.search(path) is not None


def _text(node: Node) -> str | None:
    """Return the content of a file if it is text."""
    try:
        fd = os.open(node.host, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        data = file.read(LARGEST_TEXT + 1)
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None
