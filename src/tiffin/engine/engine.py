"""The engine: one open store with all that works on it. Everything is wired here, nothing is decided."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from tiffin.engine.rootless import enter
from tiffin.events import ignore
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.linux.isolation import Rung
from tiffin.oci.platform import Platform
from tiffin.snapshot.export import LayerFetcher
from tiffin.snapshot.layers import LayerStore
from tiffin.store.blobs import BlobStore
from tiffin.store.db import Database
from tiffin.store.images import Images
from tiffin.store.leases import Leases
from tiffin.store.tags import Tags

if TYPE_CHECKING:
    from types import TracebackType

    from tiffin.engine.settings import Settings
    from tiffin.events import Emit


class Engine:
    """The store of `settings.home` and the rung that this process stands on.

    Open it with `Engine.open` before any thread is started: on the rungs
    without root, the process moves into its user namespace first.
    """

    def __init__(self, settings: Settings, rung: Rung, emit: Emit) -> None:
        self.settings = settings
        self.rung = rung
        self.emit = emit
        self.platform = Platform.of_machine(os.uname().machine)
        self.home = settings.home.create()
        self.db = Database(self.home.database)
        self.blobs = BlobStore(self.home)
        self.tags = Tags(self.db)
        self.images = Images(self.db)
        self.leases = Leases(self.db)
        owners = RecordedOwners() if rung is Rung.SINGLE_ID else TrueOwners()
        self.layers = LayerStore(self.home, self.db, owners)
        self.fetcher = LayerFetcher(self.blobs, self.layers)

    @classmethod
    def open(cls, settings: Settings, *, emit: Emit = ignore) -> Self:
        """Find the rung, enter it, and open the store. Raises UnsupportedError where no rung will do."""
        return cls(settings, enter(settings), emit)

    def __enter__(self) -> Self:
        """Return the engine; `with` closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the database."""
        self.db.close()
