"""Tiffin for programs with asyncio: the names of `tiffin`, to be awaited.

    import tiffin.aio

    image = await tiffin.aio.build(".", tag="finca-serving")
    async with tiffin.aio.run(image, ports={8000: 0}, wait=True) as container:
        async for line in container.logs(follow=True): ...

Arguments, results and errors are those of the functions of the same names in `tiffin`. Each call waits in
a thread for a process that does it, and is ended when whoever awaits it is cancelled. `progress` is called
in the loop, and awaited if it is a coroutine.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from tiffin.errors import TiffinError
from tiffin.python import calls
from tiffin.python.container import Execution
from tiffin.python.image import Layer
from tiffin.python.threads import in_loop, in_thread
from tiffin.python.twins import Container, Image, Logs, Starting

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tiffin.python.container import Container as SyncContainer
    from tiffin.python.image import Image as SyncImage

__all__ = [
    "Container",
    "Execution",
    "Image",
    "Layer",
    "Logs",
    "TiffinError",
    "build",
    "container",
    "containers",
    "image",
    "images",
    "pull",
    "push",
    "run",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S")


def _twin(
    function: Callable[_P, _R], make: Callable[[_R], _S], undo: Callable[[_R], object] = lambda _result: None
) -> Callable[_P, Coroutine[Any, Any, _S]]:
    """Return the function that is awaited; `make` makes of the result what this module gives.

    `undo` takes back what was done for a caller who was cancelled just then.
    """

    @functools.wraps(function)
    async def awaited(*arguments: _P.args, **options: _P.kwargs) -> _S:
        given = cast("dict[str, Any]", options)
        if given.get("progress") is not None:
            given["progress"] = in_loop(given["progress"])
        return make(await in_thread(lambda: function(*arguments, **options), undo=undo))

    return awaited


def _run(function: Callable[_P, Coroutine[Any, Any, Container]]) -> Callable[_P, Starting]:
    @functools.wraps(function)
    def starting(*arguments: _P.args, **options: _P.kwargs) -> Starting:
        return Starting(lambda: function(*arguments, **options))

    return starting


def _images(found: list[SyncImage]) -> list[Image]:
    return [Image(each) for each in found]


def _containers(found: list[SyncContainer]) -> list[Container]:
    return [Container(each) for each in found]


build = _twin(calls.build, Image)
run = _run(_twin(calls.run, Container, lambda made: made.remove(force=True, volumes=True)))
images = _twin(calls.images, _images)
image = _twin(calls.image, Image)
containers = _twin(calls.containers, _containers)
container = _twin(calls.container, Container)
pull = _twin(calls.pull, Image)
push = _twin(calls.push, str)
