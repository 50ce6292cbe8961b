"""Copies that other threads make: most of the time of a small file is spent in the kernel."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    _Call = tuple[Callable[..., Any], tuple[Any, ...], Callable[[Any], object] | None]

_BATCH = 64  # files: handing over one at a time costs as much as copying it
_HELD = 64 << 20  # bytes of content that may wait to be passed on


class Copies:
    """Calls that other threads make, in batches; few are made by whoever waits for them.

    What a call returns goes to its `then`, on the thread that adds, in the order in which calls were added;
    None in the place of bytes, if too many of them wait already. Who adds never waits for the copies:
    directories that are made early lie apart on the disk, and ext4 fills them at twice the rate.
    """

    def __init__(self) -> None:
        self._batch: list[_Call] = []
        self._futures: deque[tuple[Future[list[Any]], list[_Call]]] = deque()
        self._pool: Executor | None = None
        self._guard = threading.Lock()
        self._held = 0

    def add(
        self, act: Callable[..., Any], *arguments: Any, then: Callable[[Any], object] | None = None
    ) -> None:
        """Let `act` be called with `arguments`, at the latest by `drain`."""
        self._batch.append((act, arguments, then))
        if len(self._batch) >= _BATCH:
            self._send()

    def _send(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        if self._pool is None:
            self._pool = ThreadPoolExecutor(os.cpu_count(), "copy")
        batch, self._batch = self._batch, []
        self._futures.append((self._pool.submit(self._act_all, batch), batch))

    def drain(self) -> None:
        """Wait until all is done. Raises what the first failing copy raised."""
        if self._pool is None:  # too few for threads to pay
            batch, self._batch = self._batch, []
            self._pass_on(batch, self._act_all(batch))
            return
        self._send()
        while self._futures:
            future, batch = self._futures.popleft()
            self._pass_on(batch, future.result())

    def abandon(self) -> None:
        """Drop what has not begun, wait for the rest, and let the threads go."""
        self._batch = []
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _act_all(self, batch: list[_Call]) -> list[Any]:
        return [self._hold(act(*arguments)) for act, arguments, _ in batch]

    def _hold(self, result: Any) -> Any:
        """Return the result, or None if it is more than may be held."""
        if not isinstance(result, bytes):
            return result
        with self._guard:
            if self._held + len(result) > _HELD:
                return None
            self._held += len(result)
        return result

    def _pass_on(self, batch: list[_Call], results: list[Any]) -> None:
        for (_, _, then), result in zip(batch, results, strict=True):
            if isinstance(result, bytes):
                with self._guard:
                    self._held -= len(result)
            if then is not None:
                then(result)
