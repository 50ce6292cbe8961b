"""The twins that are awaited: the same names and arguments, and nothing loaded before they are used."""

import asyncio
import inspect
import subprocess
import sys
import threading

import pytest

import tiffin
import tiffin.aio
from tiffin.python import calls, container, image, threads, twins
from tiffin.python.child import STOP

FUNCTIONS = ("build", "container", "containers", "image", "images", "pull", "push", "run")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_arguments_of_their_twins(name):
    assert inspect.signature(getattr(tiffin.aio, name)) == inspect.signature(getattr(calls, name))
    assert getattr(tiffin.aio, name).__doc__ == getattr(calls, name).__doc__


@pytest.mark.parametrize(
    ("awaited", "twin"), [(twins.Container, container.Container), (twins.Image, image.Image)]
)
def test_methods_have_the_arguments_of_their_twins(awaited, twin):
    own = {name for name in vars(twin) if not name.startswith("_")}
    assert own <= {name for name in vars(awaited) if not name.startswith("_")}
    for name in own:
        method = getattr(twin, name)
        if callable(method) and name != "logs":
            ours = inspect.signature(getattr(awaited, name)).parameters
            assert [(each.name, each.default) for each in ours.values()] == [
                (each.name, each.default) for each in inspect.signature(method).parameters.values()
            ]
    assert set(tiffin.__all__) <= set(tiffin.aio.__all__)


@pytest.mark.parametrize(
    "code", ["import tiffin; tiffin.aio.run", "import tiffin.aio", "from tiffin import aio"]
)
def test_it_is_there_when_it_is_asked_for(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.split()
    assert "asyncio" in loaded
    assert not [name for name in loaded if name.startswith(("tiffin.engine", "tiffin.cli"))]


def test_what_is_raised_and_returned_comes_out_of_the_thread():
    async def main():
        assert await threads.in_thread(threading.get_ident) != threading.get_ident()
        with pytest.raises(KeyError, match="x"):
            await threads.in_thread(lambda: {}["x"])
        assert STOP.get() == -1

    asyncio.run(main())


def test_a_call_that_is_given_up_is_waited_for():
    ended = threading.Event()

    def work():
        import select

        poll = select.poll()
        poll.register(STOP.get(), select.POLLIN)
        poll.poll()
        ended.set()

    async def main():
        task = asyncio.create_task(threads.in_thread(work, undo=undone.append))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    undone = []
    asyncio.run(main())
    assert undone == [None]  # it was done in spite of all
