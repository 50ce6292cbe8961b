"""The plain-copy driver: for each stack of layers a directory that a step can have for its root.

A stack is written once; what steps and copies add to it is brought in from their layers, so a stage is
not copied anew for each of its steps. A root serves one step at a time. After a
step it lacks what was moved out of it, and is whole again with the layer that this became.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tiffin.snapshot.changed import Look, Moved, move_out, restore
from tiffin.snapshot.plain import add_layer, write_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.oci.digest import DiffID
    from tiffin.snapshot.layers import LayerStore


class PlainRoot:
    """A root in use. `path` is the directory, beside which there is room in `place`."""

    def __init__(self, place: Path, chain: Sequence[DiffID]) -> None:
        self.place = place
        self.path = place / "root"
        self.chain = list(chain)
        self.look: Look | None = None
        self.moved: Moved | None = None
        self.held = ExitStack()


class PlainRoots:
    """The roots of one build. Safe for threads; `close` removes them all."""

    def __init__(self, layers: LayerStore) -> None:
        self._layers = layers
        self._free: list[PlainRoot] = []
        self._guard = threading.Lock()

    def take(self, stack: Sequence[DiffID]) -> PlainRoot:
        """Return a root that shows the layers `stack`, bottom first; `give` it back, or `drop` it."""
        root = self._nearest(stack) or self._new()
        try:
            missing = stack[len(root.chain) :]
            if root.chain:
                for layer in missing:
                    add_layer(self._layers.path(layer), root.path, self._layers.owners)
            else:
                write_tree(self._layers.tree(stack), root.path, self._layers.owners)
            root.chain += missing
            root.look = Look.at(root.path)
        except BaseException:
            self.drop(root)
            raise
        return root

    def move_out(self, root: PlainRoot, upper: Path) -> None:
        """Move what was changed since it was taken into the directory `upper`."""
        assert root.look is not None
        root.moved = move_out(root.path, root.look, upper, self._layers.owners)

    def give(self, root: PlainRoot, became: DiffID | None) -> None:
        """Let others have the root; what was moved out of it is the layer `became`, if anything changed."""
        layers = self._layers
        layer = layers.path(became) if became is not None else None
        assert root.moved is not None
        restore(root.moved, layer, layers.tree(root.chain), root.path, layers.owners)
        root.look = root.moved = None
        if became is not None:
            add_layer(layers.path(became), root.path, layers.owners)
            root.chain.append(became)
        with self._guard:
            self._free.append(root)

    def drop(self, root: PlainRoot) -> None:
        """Remove the root."""
        root.held.close()

    def close(self) -> None:
        """Remove all that nobody has."""
        with self._guard:
            free, self._free = self._free, []
        for root in free:
            root.held.close()

    def _nearest(self, stack: Sequence[DiffID]) -> PlainRoot | None:
        """The free root to which the least has to be added."""
        with self._guard:
            fitting = [root for root in self._free if list(stack[: len(root.chain)]) == root.chain]
            if not fitting:
                return None
            found = max(fitting, key=lambda root: len(root.chain))
            self._free.remove(found)
            return found

    def _new(self) -> PlainRoot:
        held = ExitStack()
        root = PlainRoot(held.enter_context(self._layers.workspace()), ())
        root.held = held
        root.path.mkdir()
        root.path.chmod(0o755)  # of an empty stack
        return root
