"""`tiffin.aio` for real: calls that are awaited, beside each other, and given up."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.live.test_python import context

import tiffin
import tiffin.aio
from tiffin.errors import FailedError, NotFoundError
from tiffin.events import StepDone

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    if os.geteuid() != 0 or not Path("/bin/busybox").exists():
        pytest.skip("needs root and busybox-static")
    folder = tmp_path_factory.mktemp("aio")
    context(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIFFIN_HOME", str(folder / "store"))
        patch.setenv("CONTEXT", str(folder))
        yield folder
        assert tiffin.containers(all=True) == []


@pytest.fixture
def image(store):
    async def build():
        seen = []

        async def progress(event):
            await asyncio.sleep(0)
            seen.append(event)

        built = await tiffin.aio.build(store, tag="served", progress=progress)
        return built, seen

    built, seen = asyncio.run(build())
    assert any(isinstance(event, StepDone) for event in seen)
    return built


def test_a_container_is_run_looked_at_and_removed(image):
    async def main():
        assert (await tiffin.aio.images())[0] == image == await tiffin.aio.image(image.name)
        assert (await image.layers())[0].created_by == "COPY busybox /bin/sh"
        async with tiffin.aio.run(image, network="none", wait=True) as one:
            done, status, known = await asyncio.gather(
                one.exec(["sh", "-c", "echo hello"]), one.status(), tiffin.aio.container(one.name)
            )
            assert (done.text, status, known) == ("hello\n", "running", one)
            assert await one.logs(stderr=False) == "up\n"
            with pytest.raises(FailedError, match="status 3"):
                await one.exec(["sh", "-c", "exit 3"], check=True)
            with pytest.raises(TimeoutError):
                await one.wait(timeout=0.01)
        with pytest.raises(NotFoundError):
            await one.inspect()
        assert await tiffin.aio.containers(all=True) == []

    asyncio.run(main())


def test_lines_come_as_they_are_written_and_end_with_the_container(image):
    async def main():
        script = "echo one; read line < /tmp/fifo; echo $line; printf three"
        async with tiffin.aio.run(
            image, ["sh", "-c", f"busybox mkfifo /tmp/fifo; {script}"], tmpfs="/tmp"
        ) as one:
            lines = []
            async for line in one.logs(follow=True):
                lines.append(line)
                if line == "one":
                    await one.exec(["sh", "-c", "echo two > /tmp/fifo"])
            assert lines == ["one", "two", "three"]
            assert await one.logs(follow=True) == "one\ntwo\nthree"
            assert [line async for line in one.logs(tail=1)] == ["three"]
            twin = await asyncio.to_thread(tiffin.container, one.id)
            assert list(twin.logs(follow=True)) == lines

    asyncio.run(main())


def workers():
    """The processes that work for calls of this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"tiffin.python.worker" in (path.parent / "cmdline").read_bytes():
                found.append(path)
        except OSError:
            continue
    return found


def test_who_is_cancelled_takes_the_work_along(image):
    async def main():
        async with tiffin.aio.run(image, network="none") as one:
            for begin in (
                one.wait,
                one.logs(follow=True)._text,
                lambda: anext(aiter(one.logs(follow=True, tail=0))),
            ):
                waiting = asyncio.create_task(begin())
                while not workers():
                    assert not waiting.done()
                    await asyncio.sleep(0.01)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                assert workers() == []
            async for _line in one.logs(follow=True):
                break  # and nobody follows it any more when the loop ends
        with pytest.raises(ZeroDivisionError):
            await tiffin.aio.build(os.environ["CONTEXT"], progress=lambda _event: 1 / 0)

    asyncio.run(main())
    assert workers() == []


def test_a_start_that_is_given_up_leaves_no_container(image, store):
    (store / "never").write_text(
        'FROM served\nHEALTHCHECK --timeout=1000s CMD ["busybox", "sleep", "1000"]\n'
    )

    async def main():
        never = await tiffin.aio.build(store, dockerfile=store / "never")
        waiting = asyncio.create_task(healthy(never))
        while not [one for one in await tiffin.aio.containers() if await one.status() == "running"]:
            assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await tiffin.aio.containers(all=True) == []

    async def healthy(image):
        async with tiffin.aio.run(image, network="none", wait=True):
            pytest.fail("it became healthy")

    asyncio.run(main())
