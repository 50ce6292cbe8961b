"""The engine: one open store with all that works on it. Everything is wired here, nothing is decided."""

from __future__ import annotations

import errno
from functools import cached_property

from tiffin.engine.rootless import Footing, machine
from tiffin.linux.files import atomic_write
from tiffin.linux.isolation import Rung
from tiffin.store.db import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from tiffin.engine.settings import Settings
    from tiffin.events import Emit, Event
    from tiffin.layer.owners import Owners
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.platform import Platform
    from tiffin.oci.reference import Reference
    from tiffin.registry.access import Registries
    from tiffin.snapshot.export import LayerFetcher
    from tiffin.snapshot.layers import LayerStore
    from tiffin.store.blobs import BlobStore
    from tiffin.store.home import Home
    from tiffin.store.images import Images
    from tiffin.store.leases import Leases
    from tiffin.store.tags import Tags


_FULL = (errno.ENOSPC, errno.EDQUOT)


def _ignore(_event: Event) -> None:
    return


def _created(home: Home) -> Home:
    """The home with its directories. Raises UnavailableError with another place, if this one is closed."""
    try:
        return home.create()
    except OSError as error:
        from tiffin.engine.storeplace import refused  # hardly ever

        told = refused(home.root, error)
        if told is None:
            raise
        raise told from error


class Engine:
    """The store of `settings.home` and the rung that this process stands on.

    Use cases that touch layers or start containers call `enter` first, before
    any thread is started: without root, the process moves into its user
    namespace. Those that only read names and records never do; `exec` must
    not, for a container is entered from outside.

    `base_maker` makes a base from packages for an alias, where something above the engine can: it gets
    the engine, the suite and the name, and whether `python` and the flavour `build` are wanted.
    """

    base_maker: Callable[..., object] | None = None

    def __init__(self, settings: Settings, *, emit: Emit = _ignore) -> None:
        self.settings = settings
        self.footing = Footing(settings)
        self.emit = emit
        self.home = _created(settings.home)
        self.db = Database(self.home.database)
        self._check_owners()

    # The parts are made, and imported, when a use case first asks for them: few commands need all.

    @cached_property
    def platform(self) -> Platform:
        """What runs on this machine."""
        from tiffin.oci.platform import Platform

        return Platform.of_machine(machine())

    @cached_property
    def blobs(self) -> BlobStore:
        """Content by digest."""
        from tiffin.store.blobs import BlobStore

        return BlobStore(self.home)

    @cached_property
    def tags(self) -> Tags:
        """Names of images."""
        from tiffin.store.tags import Tags

        return Tags(self.db)

    @cached_property
    def images(self) -> Images:
        """Images, whether or not they have a name."""
        from tiffin.store.images import Images

        return Images(self.db)

    @cached_property
    def leases(self) -> Leases:
        """What is in use, and not to be collected."""
        from tiffin.store.leases import Leases

        return Leases(self.db)

    @cached_property
    def owners(self) -> Owners:
        """How owners of files are kept here."""
        from tiffin.layer.owners import RecordedModes, RecordedOwners, TrueOwners

        if self.rung is Rung.TRACED:
            return RecordedModes()
        return RecordedOwners() if self.rung is Rung.SINGLE_ID else TrueOwners()

    @cached_property
    def layers(self) -> LayerStore:
        """Unpacked layers."""
        from tiffin.snapshot.layers import LayerStore

        return LayerStore(self.home, self.db, self.owners)

    @cached_property
    def fetcher(self) -> LayerFetcher:
        """Content by descriptor, layers as tars among it."""
        from tiffin.snapshot.export import LayerFetcher

        return LayerFetcher(self.blobs, self.layers)

    def registries(self) -> Registries:
        """Return the registries as the environment names and knows them; to be closed by `with`."""
        from tiffin.registry.access import Registries

        return Registries(self.settings.environ, emit=self.emit)

    @classmethod
    def open(cls, settings: Settings, *, emit: Emit = _ignore) -> Self:
        """Find the rung and open the store. Raises UnsupportedError where no rung will do."""
        return cls(settings, emit=emit)

    def at_epoch(self, epoch: int) -> Self:
        """Return the same engine, for which new files and images get the time `epoch`, in seconds."""
        from copy import copy

        other = copy(self)
        other.settings = self.settings._replace(epoch=epoch)
        return other

    @property
    def rung(self) -> Rung:
        """The rung of the ladder of isolation."""
        return self.footing.rung

    def enter(self) -> None:
        """Be root over the owners of the store from here on."""
        self.footing.enter()

    def keep(self, descriptor: Descriptor, image_id: Digest, names: Iterable[Reference] = ()) -> None:
        """Keep an image, and give it these names: all at once, and the disk is waited for once."""
        with self.db.transaction():
            self.images.add(descriptor, image_id)
            for name in names:
                self.tags.set(name, descriptor)

    def happened(self, kind: str, action: str, identity: str, /, **about: str) -> None:
        """Tell those who follow `events` what was done to a container, image, volume or network."""
        from tiffin.store.journal import append  # what only reads has no news

        append(self.home.journal, kind, action, identity, about)

    def _check_owners(self) -> None:
        """See that a store keeps one way of owners for all its life: the other would misread it."""
        mark = self.home.root / "owners"
        try:
            found = mark.read_text().strip()
        except FileNotFoundError:
            from tiffin.engine.reserve import lay_up  # once in the life of a store
            from tiffin.engine.storeplace import check_attributes

            check_attributes(self.home.root, self.home.root)
            lay_up(self.home)
            found = self.rung.owners
            atomic_write(mark, f"{found}\n".encode())
        if found != self.rung.owners:
            from tiffin.engine.storeplace import check_owners

            check_owners(self.home.root, self.rung)

    def __enter__(self) -> Self:
        """Return the engine; `with` closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the database; of a disk that has become full, tell how full, and what would make room."""
        try:
            if isinstance(error, OSError) and error.errno in _FULL:
                from tiffin.engine.room import full  # hardly ever

                raise full(self, error) from error
        finally:
            self.db.close()
