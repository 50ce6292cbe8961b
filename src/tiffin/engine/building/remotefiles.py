"""Files of a repository, an archive or a URL, for those who need but a few of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiffin.build.cache import BuildCache
from tiffin.build.fetching import Fetching
from tiffin.engine.building.context import open_context
from tiffin.engine.building.inputs import Lent
from tiffin.engine.building.request import BuildRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.build.ops.fetch import RemoteFetcher
    from tiffin.engine.building.context import Place
    from tiffin.engine.engine import Engine
    from tiffin.store.leases import Lease


@contextmanager
def open_remote(engine: Engine, url: str) -> Iterator[Place]:
    """Give what `url` holds for as long as it is read; it is remembered as a build context is."""
    engine.enter()
    with (
        engine.leases.hold("bake") as lease,
        Fetching(lambda: _fetcher(engine, lease)) as fetching,
        open_context(engine, BuildRequest(context=url), fetching) as place,
    ):
        yield place


def _fetcher(engine: Engine, lease: Lease) -> RemoteFetcher:
    from tiffin.engine.building.fetching import make_fetcher

    return make_fetcher(engine, BuildCache(engine.db, engine.layers), lease, Lent())
