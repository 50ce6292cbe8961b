"""What the solver works with: layers, cache, contexts, and one method for each kind of step.

Each method that makes a layer fills a directory in a workspace and hands it
to the layer store; it returns the diff id, or None if nothing changed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.build import cachekey
from tiffin.build.checksum import Checksums, hash_file, selection_digest
from tiffin.build.ops.copy import CopyStep, Target
from tiffin.build.ops.run import Report, StepRunner
from tiffin.build.owner import find_owner
from tiffin.build.selection import select
from tiffin.errors import NotFoundError
from tiffin.snapshot.writer import LayerWriter, Meta

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tiffin.build.cache import BuildCache
    from tiffin.build.context import Context
    from tiffin.build.graph import Copy, MakeDirectory, Run
    from tiffin.build.selection import Selected
    from tiffin.events import Emit
    from tiffin.oci.digest import DiffID
    from tiffin.snapshot.layers import LayerStore
    from tiffin.store.db import Database
    from tiffin.store.leases import Lease


class Prepared(NamedTuple):
    """A COPY that is ready to run: the digest of what it reads, and how to get at it.

    `keeps` says whether owners and hard links of the source are kept.
    """

    op: Copy
    content: str
    read: Callable[[], Sequence[Selected]]
    keeps: bool = False


class Workbench:
    """The means of one build. `epoch` is the time of new files, in seconds."""

    def __init__(  # noqa: PLR0913  # it is the one place where a build's means come together
        self,
        *,
        layers: LayerStore,
        cache: BuildCache,
        db: Database,
        lease: Lease,
        contexts: Mapping[str, Context],
        runner: StepRunner,
        epoch: int,
    ) -> None:
        self.layers = layers
        self.cache = cache
        self.epoch = epoch
        self.locks: Path = layers.home.locks
        self._db = db
        self._lease = lease
        self._contexts = contexts
        self._runner = runner
        self._checksums: dict[str, Checksums] = {}

    def keep(self, layer: DiffID | None) -> None:
        """Hold `layer` in the store until the build ends."""
        if layer is not None:
            self._lease.add("layer", layer)

    def stop_processes(self) -> None:
        """End every process of a step that runs."""
        self._runner.stop()

    def finish(self) -> None:
        """Keep what was learnt about the files of the contexts."""
        for checksums in self._checksums.values():
            checksums.save()

    def run(
        self, op: Run, parent: Sequence[DiffID], step: str, stop: threading.Event, emit: Emit
    ) -> DiffID | None:
        """Execute RUN."""
        with self.layers.workspace() as place:
            self._runner.run(op, parent, place, Report(step, stop, emit))
            return self._adopt(place / "upper")

    def make_directory(self, op: MakeDirectory, parent: Sequence[DiffID]) -> DiffID | None:
        """Execute WORKDIR."""
        tree = self.layers.tree(parent)
        resolved = tree.resolve(op.path)
        if resolved.node is not None and resolved.node.is_directory:
            return None
        with self.layers.workspace() as place:
            upper = place / "upper"
            upper.mkdir()
            writer = LayerWriter(upper, tree, self.layers.owners, self.epoch)
            owner = find_owner(op.user, tree) if op.user else (0, 0)
            writer.make_directory(resolved.path, Meta(*owner, 0o755))
            writer.finish()
            return self._adopt(upper)

    def copy_nothing(self, op: Copy) -> Prepared:
        """Prepare a COPY of here-documents only."""
        return Prepared(op, "", tuple)

    def copy_from_context(self, op: Copy, name: str) -> Prepared:
        """Prepare a COPY from the build context `name`."""
        context = self._contexts[name]
        try:
            selection = select(context.tree, op.sources)
        except NotFoundError as error:
            missing = error.message.removesuffix(" does not exist")
            raise context.missing(missing) from error
        checksums = self._checksums.get(name)
        if checksums is None:
            checksums = self._checksums[name] = Checksums(self._db, os.fspath(context.folder))
        for chosen in selection:
            checksums.prepare((chosen.node, *chosen.below))
        return Prepared(op, selection_digest(selection, checksums.digest), lambda: selection)

    def copy_from_layers(self, op: Copy, diff_ids: Sequence[DiffID]) -> Prepared:
        """Prepare a COPY from a stage or an image: what was read of it once is not read again."""
        chain = cachekey.chain(diff_ids)
        selector = msgspec.json.encode(op.sources).decode()
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT digest FROM tree_digest WHERE chain = ? AND selector = ?", (chain, selector)
            ).fetchone()

        def read() -> Sequence[Selected]:
            return select(self.layers.tree(diff_ids), op.sources)

        if row is not None:
            return Prepared(op, row[0], read, keeps=True)
        selection = read()
        digest = selection_digest(
            selection, hash_file, lambda node: self.layers.owners.read(node.host, node.status)
        )
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO tree_digest(chain, selector, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (chain, selector, digest),
            )
        return Prepared(op, digest, lambda: selection, keeps=True)

    def copy(self, prepared: Prepared, parent: Sequence[DiffID]) -> DiffID | None:
        """Execute COPY or ADD."""
        tree = self.layers.tree(parent)
        owner = find_owner(prepared.op.chown, tree) if prepared.op.chown else None
        with self.layers.workspace() as place:
            target = Target(place, tree, self.layers.owners, self.epoch)
            step = CopyStep(prepared.op, target, owner, keeps=prepared.keeps)
            return self._adopt(step.write(prepared.read()))

    def _adopt(self, upper: Path) -> DiffID | None:
        if not any(os.scandir(upper)):
            return None
        info = self.layers.describe(upper)
        self.keep(info.diff_id)  # before it is there: so it is never there without a holder
        self.layers.commit(upper, info, canonical=True)
        return info.diff_id
