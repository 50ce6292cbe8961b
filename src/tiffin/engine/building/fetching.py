"""What fetches for a build, put together when the first thing is to be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.ops.fetch import RemoteFetcher, Store
from tiffin.build.ops.urlmemory import UrlMemory

if TYPE_CHECKING:
    from tiffin.build.cache import BuildCache
    from tiffin.engine.building.inputs import Lent
    from tiffin.engine.engine import Engine
    from tiffin.store.leases import Lease


def make_fetcher(engine: Engine, cache: BuildCache, lease: Lease, lent: Lent) -> RemoteFetcher:
    """Return what fetches, with the logins that are lent to the build; layers are held by `lease`."""
    store = Store(engine.layers, cache, UrlMemory(engine.db), lease, engine.settings.epoch)
    environ = dict(engine.settings.environ)
    agent = lent.agents.get("default")
    if agent is not None and agent.socket:
        environ["SSH_AUTH_SOCK"] = agent.socket
    return RemoteFetcher(store, environ, lent.secrets, engine.emit)
