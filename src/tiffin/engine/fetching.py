"""What fetches for a build, put together when the first thing is to be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.ops.fetch import Fetcher, Store
from tiffin.build.ops.urlmemory import UrlMemory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.build.cache import BuildCache
    from tiffin.engine.engine import Engine
    from tiffin.store.leases import Lease


def make_fetcher(engine: Engine, cache: BuildCache, lease: Lease, secrets: Mapping[str, bytes]) -> Fetcher:
    """Return what fetches; layers that it makes are held by `lease`."""
    store = Store(engine.layers, cache, UrlMemory(engine.db), lease, engine.settings.epoch)
    return Fetcher(store, engine.settings.environ, secrets, engine.emit)
