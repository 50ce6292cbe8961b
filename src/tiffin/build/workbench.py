"""What the solver works with: layers, cache, contexts, and one method for each kind of step.

Each method that makes a layer fills a directory in a workspace and hands it
to the layer store; it returns the diff id, or None if nothing changed. What a
kind of step needs is loaded when the first such step is not remembered: a build
in which nothing changed is over before that.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import msgspec

from tiffin.build.graph import BindMount, CacheMount
from tiffin.build.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tiffin.build.cache import BuildCache
    from tiffin.build.context import Context
    from tiffin.build.contextrules import Inspector
    from tiffin.build.fetching import Fetched, Fetching
    from tiffin.build.graph import Copy, Git, Http, MakeDirectory, Run
    from tiffin.build.ops.run import Report, StepRunner
    from tiffin.build.ops.scene import Scene
    from tiffin.build.outlook import Outlook
    from tiffin.build.reading import Origin, Reading, Shown
    from tiffin.layer.describe import LayerInfo
    from tiffin.oci.digest import DiffID
    from tiffin.snapshot.layers import LayerStore
    from tiffin.store.db import Database
    from tiffin.store.leases import Lease


class Workbench:
    """The means of one build. `epoch` is the time of new files, in seconds.

    `mounts` are the cache mounts of its steps, executed or not, with what fills new ones.
    """

    def __init__(  # noqa: PLR0913  # it is the one place where a build's means come together
        self,
        *,
        layers: LayerStore,
        cache: BuildCache,
        db: Database,
        lease: Lease,
        contexts: Mapping[str, Context],
        runner: Callable[[], StepRunner],
        fetching: Fetching,
        epoch: int,
        inspector: Callable[[], Inspector] | None = None,
        outlook: Callable[[], Outlook] | None = None,
    ) -> None:
        self.layers = layers
        self.cache = cache
        self.epoch = epoch
        self.locks: Path = layers.home.locks
        self.mounts: list[tuple[CacheMount, Shown | None]] = []
        self.reader = Reader(layers, db, contexts, cache)
        self._lease = lease
        self._make_runner = runner
        self._fetching = fetching
        self._make_inspector = inspector
        self._make_outlook = outlook
        self._runner: StepRunner | None = None
        self._guard = threading.Lock()

    def keep(self, layer: DiffID | None) -> None:
        """Hold `layer` in the store until the build ends."""
        if layer is not None:
            self._lease.add("layer", layer)

    def look(self, index: int, readings: Sequence[Reading]) -> None:
        """Let the lint rules see what the copy `index`, which is executed now, takes from build contexts."""
        for reading in readings:
            if self._make_inspector is not None and reading.context is not None:
                self._make_inspector().copied(index, reading.context, reading.entries())

    def foresee(self, name: str, readings: Sequence[Reading]) -> None:
        """Look whether the disk has room for what a step copies. Raises FailedError if it cannot have."""
        if self._make_outlook is not None:
            self._make_outlook().copy(name, [(each.entries(), each.unpack) for each in readings])

    def foresee_run(self, name: str, before: int | None) -> None:
        """Look whether the disk has room for what a command made the last time, if that is known."""
        if self._make_outlook is not None and before:
            self._make_outlook().run(name, before)

    def stop_processes(self) -> None:
        """End every process of a step that runs, and what is being fetched."""
        self._fetching.stop()
        if self.cache.imported is not None:
            self.cache.imported.stop()
        with self._guard:
            if self._runner is not None:
                self._runner.stop()

    def finish(self) -> None:
        """Keep what was learnt about the files of the contexts, and let go of what served the steps."""
        if (scene := self.scene) is not None:
            scene.close()
        if self._runner is not None:
            self._runner.close()
        self.reader.finish()

    @property
    def scene(self) -> Scene | None:
        """The first step that failed, as it was left, if the runner keeps such."""
        return self._runner.scene if self._runner is not None else None

    def shown(self, op: Run, origins: Sequence[Origin]) -> list[Shown | None]:
        """Return what each mount of RUN shows; `origins` are those of the vertex's inputs."""
        found = [
            self.reader.shown(origins[mount.input], mount.source)
            if isinstance(mount, BindMount | CacheMount) and mount.input is not None
            else None
            for mount in op.mounts
        ]
        self.mounts += [
            (mount, shown)
            for mount, shown in zip(op.mounts, found, strict=True)
            if isinstance(mount, CacheMount)
        ]
        return found

    def run(
        self, op: Run, parent: Sequence[DiffID], shown: Sequence[Shown | None], report: Report
    ) -> DiffID | None:
        """Execute RUN."""
        with self._step_runner().run(op, parent, shown, report) as ran:
            if ran.repeated.files and self._make_inspector is not None:
                self._make_inspector().repeated(int(report.step), ran.repeated)
            made = self._adopt(ran.upper)
            ran.became(made)
            return made

    def _step_runner(self) -> StepRunner:
        with self._guard:
            if self._runner is None:
                self._runner = self._make_runner()
            return self._runner

    def fetch(self, op: Git | Http, step: str) -> Fetched:
        """Execute what fetches from elsewhere; it has a memory of its own."""
        return self._fetching.fetch(op, step)

    def make_directory(self, op: MakeDirectory, parent: Sequence[DiffID]) -> DiffID | None:
        """Execute WORKDIR."""
        from tiffin.build.owner import find_owner
        from tiffin.snapshot.writer import LayerWriter, Meta

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

    def detached(self, op: Copy, parent: Sequence[DiffID]) -> Copy:
        """Return a COPY --link without the names of users, which only `parent` knows."""
        if op.chown is None:
            return op
        from tiffin.build.owner import find_owner

        self.cache.need(parent)
        uid, gid = find_owner(op.chown, self.layers.tree(parent))
        return msgspec.structs.replace(op, chown=f"{uid}:{gid}")

    def copy(self, op: Copy, readings: Sequence[Reading], parent: Sequence[DiffID]) -> DiffID | None:
        """Execute COPY or ADD."""
        from tiffin.build.ops.copy import CopyStep, Taking, Target
        from tiffin.build.owner import find_owner

        tree = self.layers.tree(() if op.link else parent)
        owner = find_owner(op.chown, tree) if op.chown else None
        with self.layers.workspace() as place:
            target = Target(place, tree, self.layers.owners, self.epoch, self.layers.write_out)
            takings = [Taking(each.entries(), each.keeps, each.unpack) for each in readings]
            step = CopyStep(op, target, owner, tell=True)
            return self._adopt(step.write(takings), step.info)

    def _adopt(self, upper: Path, info: LayerInfo | None = None) -> DiffID | None:
        return adopt(self.layers, self._lease, upper, info)


def adopt(layers: LayerStore, lease: Lease, upper: Path, info: LayerInfo | None = None) -> DiffID | None:
    """Make the finished directory `upper` a layer of the store, held by `lease`; None if it is empty.

    `info` is what the layer is, where that is known.
    """
    if not os.listdir(upper):
        return None
    info = info or layers.describe(upper)
    lease.add("layer", info.diff_id)  # before it is there: so it is never there without a holder
    layers.commit(upper, info)
    return info.diff_id
