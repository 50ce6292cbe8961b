"""Blobs that are sent while they are compressed, so that a push ends soon after the last byte is made.

It is an attempt, and no more: what fails of it, the push that follows finds missing in the registry, and
sends from the store with all the patience that it has.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import TiffinError
from tiffin.events import StepDone, StepProgress, StepStarted
from tiffin.store.growing import Growing

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from tiffin.events import Emit
    from tiffin.oci.descriptor import Descriptor
    from tiffin.registry.client import Repository

_THREADS: Final = 4


class Sent(NamedTuple):
    """A blob in the making: where its bytes are taken from, and what it turned out to be."""

    growing: Growing
    found: Future[Descriptor]


class Ahead:
    """Sends blobs to `repository` while they are made; a context manager, which ends when they are there."""

    def __init__(self, repository: Repository, emit: Emit) -> None:
        self._repository = repository
        self._emit = emit
        self._pool: ThreadPoolExecutor | None = None
        self._stop = threading.Event()
        self._begun: list[Sent] = []

    def begin(self, layer: Descriptor) -> Sent:
        """Follow the blob of a layer; `found` has to hear in the end what it is called, or be cancelled."""
        from concurrent.futures import Future, ThreadPoolExecutor

        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, "send-ahead")
        sent = Sent(Growing(), Future())
        self._begun.append(sent)
        self._pool.submit(self._send, sent, f"send {layer.digest}", f"send {layer.digest.short}")
        return sent

    def close(self, *, whole: bool = True) -> None:
        """Wait for what is on its way; without `whole`, give it up."""
        if not whole:
            self._stop.set()
            for sent in self._begun:
                sent.growing.give_up()
                sent.found.cancel()
        if self._pool is not None:
            self._pool.shutdown()
        for sent in self._begun:
            sent.growing.close()

    def _send(self, sent: Sent, step: str, title: str) -> None:
        begun = time.monotonic()
        self._emit(StepStarted(step, title))
        status = StepDone(step, "canceled")
        with contextlib.suppress(TiffinError, OSError):
            self._follow(sent, step)
            status = StepDone(step, "done")
        self._emit(status._replace(seconds=time.monotonic() - begun))

    def _follow(self, sent: Sent, step: str) -> None:
        from concurrent.futures import CancelledError

        draft, at = self._repository.draft(), 0
        try:
            while data := sent.growing.take(draft.piece):
                if self._stop.is_set():
                    break
                draft.send(data)
                at += len(data)
                self._emit(StepProgress(step, at, None))
            draft.finish(sent.found.result())
        except CancelledError:
            draft.cancel()
        except BaseException:
            draft.cancel()
            raise
