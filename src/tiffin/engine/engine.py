"""The engine: one open store with all that works on it. Everything is wired here, nothing is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tiffin.engine.rootless import Footing, machine
from tiffin.errors import ConflictError
from tiffin.events import ignore
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.linux.files import atomic_write
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
    from tiffin.layer.owners import Owners


class Engine:
    """The store of `settings.home` and the rung that this process stands on.

    Use cases that touch layers or start containers call `enter` first, before
    any thread is started: without root, the process moves into its user
    namespace. Those that only read names and records never do; `exec` must
    not, for a container is entered from outside.
    """

    def __init__(self, settings: Settings, *, emit: Emit = ignore) -> None:
        self.settings = settings
        self.footing = Footing(settings)
        self.emit = emit
        self.platform = Platform.of_machine(machine())
        self.home = settings.home.create()
        self.db = Database(self.home.database)
        self.blobs = BlobStore(self.home)
        self.tags = Tags(self.db)
        self.images = Images(self.db)
        self.leases = Leases(self.db)
        self.layers = LayerStore(self.home, self.db, self._owners())
        self.fetcher = LayerFetcher(self.blobs, self.layers)

    @classmethod
    def open(cls, settings: Settings, *, emit: Emit = ignore) -> Self:
        """Find the rung and open the store. Raises UnsupportedError where no rung will do."""
        return cls(settings, emit=emit)

    @property
    def rung(self) -> Rung:
        """The rung of the ladder of isolation."""
        return self.footing.rung

    def enter(self) -> None:
        """Be root over the owners of the store from here on."""
        self.footing.enter()

    def _owners(self) -> Owners:
        """How owners are kept here. A store has one way for all its life: the other would misread it."""
        recorded = self.rung is Rung.SINGLE_ID
        mark = self.home.root / "owners"
        wanted = "recorded" if recorded else "true"
        try:
            found = mark.read_text().strip()
        except FileNotFoundError:
            atomic_write(mark, f"{wanted}\n".encode())
            found = wanted
        if found != wanted:
            raise ConflictError(
                f"the store {self.home.root} was made with {found} owners, and the rung {self.rung.value} "
                f"keeps {wanted} ones",
                code="other-owners",
                hint="set TIFFIN_HOME to another directory, or go back to the rung that it was made with",
            )
        return RecordedOwners() if recorded else TrueOwners()

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
