"""Copies that other threads make: most of the time of a small file is spent in the kernel."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

_BATCH = 64  # files: handing over one at a time costs as much as copying it


class Copies:
    """Calls that other threads make, in batches; few are made by whoever waits for them."""

    def __init__(self) -> None:
        self._batch: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._futures: list[Future[None]] = []
        self._pool: Executor | None = None

    def add(self, act: Callable[..., None], *arguments: Any) -> None:
        """Let `act` be called with `arguments`, at the latest by `drain`."""
        self._batch.append((act, arguments))
        if len(self._batch) >= _BATCH:
            self._send()

    def _send(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        if self._pool is None:
            self._pool = ThreadPoolExecutor(os.cpu_count(), "copy")
        batch, self._batch = self._batch, []
        self._futures.append(self._pool.submit(_act_all, batch))

    def drain(self) -> None:
        """Wait until all is done. Raises what the first failing copy raised."""
        if self._pool is None:  # too few for threads to pay
            batch, self._batch = self._batch, []
            _act_all(batch)
            return
        self._send()
        futures, self._futures = self._futures, []
        for future in futures:
            future.result()

    def abandon(self) -> None:
        """Drop what has not begun, wait for the rest, and let the threads go."""
        self._batch = []
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _act_all(batch: list[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
    for act, arguments in batch:
        act(*arguments)
