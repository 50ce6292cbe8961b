"""Copies that other threads make: most of the time of a small file is spent in the kernel."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    _Call = tuple[Callable[..., Any], tuple[Any, ...], Callable[[Any], object] | None]

_BATCH = 64  # files: handing over one at a time costs as much as copying it
_AHEAD = 4  # batches for each core that may be under way: what they give back is held in memory


class Copies:
    """Calls that other threads make, in batches; few are made by whoever waits for them.

    What a call returns goes to its `then`, on the thread that adds, in the order in which calls were added.
    """

    def __init__(self) -> None:
        self._batch: list[_Call] = []
        self._futures: deque[tuple[Future[list[Any]], list[_Call]]] = deque()
        self._pool: Executor | None = None
        self._most = _AHEAD * (os.cpu_count() or 1)

    def add(
        self, act: Callable[..., Any], *arguments: Any, then: Callable[[Any], object] | None = None
    ) -> None:
        """Let `act` be called with `arguments`, at the latest by `drain`."""
        self._batch.append((act, arguments, then))
        if len(self._batch) >= _BATCH:
            self._send()
            while len(self._futures) > self._most:
                self._take()

    def _send(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        if self._pool is None:
            self._pool = ThreadPoolExecutor(os.cpu_count(), "copy")
        batch, self._batch = self._batch, []
        self._futures.append((self._pool.submit(_act_all, batch), batch))

    def _take(self) -> None:
        future, batch = self._futures.popleft()
        _pass_on(batch, future.result())

    def drain(self) -> None:
        """Wait until all is done. Raises what the first failing copy raised."""
        if self._pool is None:  # too few for threads to pay
            batch, self._batch = self._batch, []
            _pass_on(batch, _act_all(batch))
            return
        self._send()
        while self._futures:
            self._take()

    def abandon(self) -> None:
        """Drop what has not begun, wait for the rest, and let the threads go."""
        self._batch = []
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _act_all(batch: list[_Call]) -> list[Any]:
    return [act(*arguments) for act, arguments, _ in batch]


def _pass_on(batch: list[_Call], results: list[Any]) -> None:
    for (_, _, then), result in zip(batch, results, strict=True):
        if then is not None:
            then(result)
