"""What a step reads: entries of a context, a stage or an image, and the digest of all that they show.

An origin is the name of a build context, or the layers of a root filesystem.
What was read of layers once is not read again: their digests are remembered
by chain and selector. Files of contexts are remembered one by one. What a step
takes is looked for once, if at all: for the digest, its record, and the step itself.
"""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.build import cachekey
from tiffin.build.checksum import Checksums, digest_of, hash_file, selection_digest
from tiffin.build.facts import facts_below, mark, mark_of
from tiffin.build.selection import Selected, select
from tiffin.dockerfile.match import has_wildcard, unescape
from tiffin.errors import FailedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.build.cache import BuildCache
    from tiffin.build.context import Context
    from tiffin.build.facts import Fact
    from tiffin.build.graph import Copy, Vertex
    from tiffin.build.steprecord import Read
    from tiffin.oci.digest import DiffID
    from tiffin.snapshot.layers import LayerStore
    from tiffin.snapshot.merged import MergedTree, Node
    from tiffin.store.db import Database

    Origin = str | tuple[DiffID, ...]

_NOTED = 20_000  # digests of files of one selection that are kept in memory, to be remembered with the step


class Reading(NamedTuple):
    """What a COPY takes from one source.

    `keeps` says whether owners and hard links are kept, `unpack` whether an archive is unpacked;
    `context` is where it comes from, None if that is layers.
    """

    content: str
    entries: Callable[[], Sequence[Selected]]
    keeps: bool = False
    unpack: bool = False
    context: Context | None = None


class Shown(NamedTuple):
    """What a mount shows: the one entry at its source, and on demand all that is below it.

    `context` is where it comes from, None if that is layers, whose owners count.
    """

    content: str
    node: Callable[[], Node]
    selected: Callable[[], Selected]
    context: Context | None = None
    whole: bool = False

    def listed(self) -> Sequence[Selected]:
        """All that is shown, unless that is the whole of some layers, which nobody wants as a list."""
        return () if self.whole else (self.selected(),)


class Reader:
    """Reads the contexts of one build, and layers. Safe for threads.

    `digests` are those of all selections of layers so far, by chain and selector.
    """

    def __init__(
        self, layers: LayerStore, db: Database, contexts: Mapping[str, Context], cache: BuildCache
    ) -> None:
        self.digests: dict[tuple[str, str], str] = {}
        self._layers = layers
        self._db = db
        self._contexts = contexts
        self._cache = cache
        self._checksums: dict[str, Checksums] = {}
        self._hashed: dict[str, dict[str, bytes]] = {}

    def finish(self) -> None:
        """Keep what was learnt about the files of the contexts."""
        for name, checksums in self._checksums.items():
            if not self._contexts[name].passing:
                checksums.save()

    def copied(self, op: Copy, origins: Sequence[Origin]) -> list[Reading]:
        """Return what COPY takes from `origins`, which are its inputs after the root filesystem."""
        if not op.taken:
            return [self._copied(op, origin, unpack=op.unpack) for origin in origins[:1]]
        return [
            self._copied(msgspec.structs.replace(op, sources=(source,)), origins[each.input - 1], each.unpack)
            for source, each in zip(op.sources, op.taken, strict=True)
        ]

    def _copied(self, op: Copy, origin: Origin, unpack: bool) -> Reading:
        if isinstance(origin, str):
            context, looked = self._contexts[origin], time.time_ns()
            if (unchanged := self._unchanged(origin, context, op)) is not None:
                return unchanged._replace(unpack=unpack)
            try:
                selection = select_for(context.tree, op)
            except NotFoundError as error:
                raise context.missing(error.message.removesuffix(" does not exist")) from error
            digest = self._digest_files(origin, _selector(op), selection, looked)
            return Reading(digest, lambda: selection, unpack=unpack, context=context)

        @cache
        def selected() -> Sequence[Selected]:
            return select_for(self._tree(origin), op)

        content = self._digest_layers(origin, _selector(op), selected)
        return Reading(content, selected, keeps=True, unpack=unpack)

    def _unchanged(self, name: str, context: Context, op: Copy) -> Reading | None:
        """Return what a plain COPY takes if all of it is as it was: then nobody needs its entries."""
        if op.exclude or op.parents or context.rules or any(map(has_wildcard, op.sources)):
            return None
        if not (remembered := self._checksums_of(name).remembered(_selector(op))):
            return None  # it will be looked for in any case: do not look twice
        found: list[tuple[str, list[Fact]]] = []
        for source in op.sources:
            node = context.tree.resolve(unescape(source)).node
            if node is None or not node.is_directory:
                return None
            found.append((unescape(source).rstrip("/").rpartition("/")[2], facts_below(node)))
        seen = mark(found)
        content = digest_of(remembered, seen)

        @cache
        def selected() -> Sequence[Selected]:
            selection = select_for(context.tree, op)
            if mark_of(selection) != seen:
                raise FailedError(
                    "the build context was changed while it was built",
                    code="source-changed",
                    hint="build again when nothing writes to it",
                )
            return selection

        return Reading(content, selected, context=context) if content else None

    def shown(self, origin: Origin, source: str) -> Shown:
        """Return what a mount of the path `source` in `origin` shows. Raises NotFoundError."""
        if isinstance(origin, str):
            context, looked = self._contexts[origin], time.time_ns()
            node = context.tree.resolve(source).node
            if node is None:
                raise context.missing(source)
            chosen = _whole(context.tree, node)
            content = self._digest_files(origin, f"mount {source}", [chosen], looked)
            return Shown(content, lambda: node, lambda: chosen, context)

        @cache
        def find() -> Node:
            found = self._tree(origin).resolve(source).node
            if found is None:
                raise NotFoundError(
                    f"{source} does not exist in what the mount is from",
                    code="source-not-found",
                    hint="source= of --mount is a path in that stage or image",
                )
            return found

        @cache
        def choose() -> Selected:
            return _whole(self._tree(origin), find())

        if source == "/":  # all of it: the chain says what it is, and nothing has to be read
            return Shown(cachekey.chain(origin), find, choose, whole=True)
        return Shown(self._digest_layers(origin, f"mount {source}", lambda: [choose()]), find, choose)

    def footprint(
        self, vertex: Vertex, origin: Origin, content: str, entries: Callable[[], Sequence[Selected]]
    ) -> Read:
        """Return what is to be remembered of what was read of `vertex`, which is here as `origin`."""
        from tiffin.build.footprint import footprint, origin_name

        hashed = self._hashed.get(content, {})
        known = (
            self._checksums[origin].recall
            if isinstance(origin, str)
            else lambda node: hashed.get(node.path, b"")
        )
        return footprint(origin_name(vertex), content, entries(), known)

    def _tree(self, layers: tuple[DiffID, ...]) -> MergedTree:
        self._cache.need(layers)
        return self._layers.tree(layers)

    def _digest_files(self, name: str, selector: str, selection: Sequence[Selected], looked: int) -> str:
        return self._checksums_of(name).selection(selector, selection, looked)

    def _checksums_of(self, name: str) -> Checksums:
        checksums = self._checksums.get(name)
        if checksums is None:
            folder = os.fspath(self._contexts[name].folder)
            checksums = self._checksums.setdefault(name, Checksums(self._db, folder))
        return checksums

    def _digest_layers(
        self, layers: tuple[DiffID, ...], selector: str, read: Callable[[], Sequence[Selected]]
    ) -> str:
        chain = cachekey.chain(layers)
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT digest FROM tree_digest WHERE chain = ? AND selector = ?", (chain, selector)
            ).fetchone()
        known = str(row[0]) if row else self._cache.digest(chain, selector)
        digest = self.digests[chain, selector] = known or self._take_digest(chain, selector, read)
        return digest

    def _take_digest(self, chain: str, selector: str, read: Callable[[], Sequence[Selected]]) -> str:
        owners = self._layers.owners
        hashed: dict[str, bytes] = {}

        def hash_and_note(node: Node) -> bytes:
            found = hash_file(node)
            if len(hashed) < _NOTED:
                hashed[node.path] = found
            return found

        def owner(node: Node) -> tuple[int, int, int]:
            return (*owners.read(node.host, node.status), owners.mode(node.host, node.status))

        digest = selection_digest(read(), hash_and_note, owner)
        self._hashed[digest] = hashed
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO tree_digest(chain, selector, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (chain, selector, digest),
            )
        return digest


def select_for(tree: MergedTree, op: Copy) -> list[Selected]:
    """Return what `op` takes of `tree`. Raises NotFoundError."""
    return select(tree, op.sources, exclude=op.exclude, parents=op.parents)


def _selector(op: Copy) -> str:
    """Return what the digest of a selection is remembered by: all that decides which entries are in it."""
    if not op.exclude and not op.parents:
        return msgspec.json.encode(op.sources).decode()
    return msgspec.json.encode([op.sources, op.exclude, op.parents]).decode()


def _whole(tree: MergedTree, node: Node) -> Selected:
    below = tuple(tree.walk(node)) if node.is_directory else ()
    return Selected(node.path.rpartition("/")[2], node, below)
