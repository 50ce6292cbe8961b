"""A blocking call in a thread of its own, for who awaits it; who is cancelled ends the call with it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tiffin.python.child import STOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.events import Event
    from tiffin.python.child import Progress

    Result = TypeVar("Result")


async def in_thread(
    work: Callable[[], Result], *, undo: Callable[[Result], object] = lambda _result: None
) -> Result:
    """Return what `work` returns, or raise what it raises.

    A thread for each, not those of the loop's pool: a call may wait for days, and a pool has few. When
    the caller is cancelled, the process that works for the call is ended before CancelledError goes on; if
    it was done at that very moment, `undo` gets, in a thread too, what nobody will.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()
    reader, writer = os.pipe()

    def tell(settle: Callable[..., None], value: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(lambda: None if done.done() else settle(value))

    def run() -> None:
        STOP.set(reader)
        try:
            tell(done.set_result, work())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told of it
            tell(done.set_exception, error)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), name="tiffin", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        os.write(writer, b"\0")
        await _end_of(done)
        if done.exception() is None:
            await _end_of(loop.run_in_executor(None, undo, done.result()))
        raise
    finally:
        os.close(reader)
        os.close(writer)


async def _end_of(done: asyncio.Future[Any]) -> None:
    """Wait for it, whoever cancels the waiting."""
    while not done.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([done])


def in_loop(progress: Callable[[Event], object]) -> Progress:
    """Return `progress` as a thread can call it: it is done in the loop, awaited if it has to be."""
    loop = asyncio.get_running_loop()

    async def show(event: Event) -> None:
        result = progress(event)
        if inspect.isawaitable(result):
            await result

    return lambda event: asyncio.run_coroutine_threadsafe(show(event), loop).result()
