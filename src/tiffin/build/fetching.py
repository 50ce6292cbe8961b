"""What fetches from elsewhere, put together when there is something to fetch: most builds load none of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.build.graph import Git, Http
    from tiffin.build.ops.fetch import RemoteFetcher
    from tiffin.oci.digest import DiffID


class Fetched(NamedTuple):
    """The layer that holds what was fetched, None if that is nothing, and by which key it is remembered.

    `seconds` is what it took, when it was fetched; `cached` says that it was here already. `content` is the
    digest of the file, or the commit.
    """

    layer: DiffID | None
    key: str
    seconds: float
    cached: bool
    content: str


class Fetching:
    """Fetches with what `make` makes when the first of it is asked for. Safe for threads."""

    def __init__(self, make: Callable[[], RemoteFetcher]) -> None:
        self._make = make
        self._fetcher: RemoteFetcher | None = None
        self._guard = threading.Lock()

    def fetch(self, op: Git | Http, step: str) -> Fetched:
        """Return the layer of what `op` says; progress is told of `step`."""
        return self.fetcher().fetch(op, step)

    def fetcher(self) -> RemoteFetcher:
        """What fetches."""
        with self._guard:
            if self._fetcher is None:
                self._fetcher = self._make()
            return self._fetcher

    def stop(self) -> None:
        """End what is under way."""
        with self._guard:
            if self._fetcher is not None:
                self._fetcher.stop()

    def __enter__(self) -> Self:
        """Return itself; `with` lets go of what was opened to fetch."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close connections that were kept open."""
        with self._guard:
            if self._fetcher is not None:
                self._fetcher.close()
