"""Images and containers as a program with asyncio holds them: what waits in their twins is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tiffin.errors import NotFoundError
from tiffin.python.child import call, stream
from tiffin.python.container import logs_request
from tiffin.python.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Coroutine,
        Generator,
        Mapping,
        Sequence,
    )
    from types import TracebackType

    from tiffin.python import container, image
    from tiffin.python.container import Execution
    from tiffin.python.image import Layer


class Image:
    """An image in the store; `tiffin.Image`, whose methods are awaited."""

    def __init__(self, twin: image.Image) -> None:
        self._twin = twin
        self.id = twin.id
        self.tags = twin.tags
        self.digest = twin.digest
        self.size = twin.size
        self.created = twin.created
        self.labels = twin.labels

    @property
    def name(self) -> str:
        """Its first name, or the id of an image that has none."""
        return self._twin.name

    async def layers(self) -> tuple[Layer, ...]:
        """Return its instructions as `tiffin history` shows them, but the oldest first."""
        return await in_thread(self._twin.layers)

    async def inspect(self) -> dict[str, Any]:
        """Return Docker's document of it, as `tiffin image inspect` prints it."""
        return await in_thread(self._twin.inspect)

    async def tag(self, name: str) -> Self:
        """Give it the name `name` too; return the image with all its names."""
        return type(self)(await in_thread(lambda: self._twin.tag(name)))

    async def remove(self, *, force: bool = False) -> None:
        """Remove it; with `force` also if it has several names, or containers that have ended."""
        await in_thread(lambda: self._twin.remove(force=force))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return repr(self._twin).replace("tiffin.", "tiffin.aio.", 1)

    def __str__(self) -> str:
        return self.name

    def _repr_html_(self) -> str:
        return self._twin._repr_html_()


class Logs:
    """What a container has written: awaited, its text; with `async for`, its lines without their ends.

    That of a container that is followed comes as it writes, and ends when the container does.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request

    def __await__(self) -> Generator[Any, None, str]:
        """Return the text."""
        return self._text().__await__()

    def __aiter__(self) -> AsyncIterator[str]:
        """Give the lines."""
        return self._lines()

    async def _text(self) -> str:
        answer = await in_thread(lambda: call("logs", self._request))
        return answer.stdout.decode("utf-8", "replace")

    async def _lines(self) -> AsyncGenerator[str]:
        batches = stream("logs", self._request)
        try:
            while (lines := await in_thread(lambda: next(batches, None))) is not None:
                for line in lines:
                    yield line
        finally:
            await in_thread(batches.close)


class Container:
    """A container that runs in the background, or has run; `tiffin.Container`, whose methods are awaited.

    Used with `async with`, it is killed and removed in the end, with its anonymous volumes.
    """

    def __init__(self, twin: container.Container) -> None:
        self._twin = twin
        self.id = twin.id
        self.name = twin.name
        self.image = twin.image

    @property
    def ports(self) -> dict[str, list[tuple[str, int]]]:
        """The published ports of the time when it was asked for."""
        return self._twin.ports

    def url(self, port: int, path: str = "", *, scheme: str = "http") -> str:
        """Return where the container's TCP port answers on this machine: `http://127.0.0.1:49153`.

        Raises NotFoundError if the port is not published.
        """
        return self._twin.url(port, path, scheme=scheme)

    async def inspect(self) -> dict[str, Any]:
        """Return Docker's document of it, as `tiffin container inspect` prints it."""
        return await in_thread(self._twin.inspect)

    async def status(self) -> str:
        """Return how it stands now: `created`, `running`, `paused`, `exited` and so on."""
        return await in_thread(lambda: self._twin.status)

    async def exec(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        workdir: str | None = None,
        check: bool = False,
    ) -> Execution:
        """Run another command in it and return what that gave; `check` raises FailedError if it failed."""
        options: dict[str, Any] = {"env": env, "user": user, "workdir": workdir, "check": check}
        return await in_thread(lambda: self._twin.exec(command, **options))

    def logs(  # noqa: PLR0913 - the flags of `tiffin logs`
        self,
        *,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tail: int | None = None,
        timestamps: bool = False,
        since: float | None = None,
        until: float | None = None,
    ) -> Logs:
        """Return what it has written: `await c.logs()`, or `async for line in c.logs(follow=True)`."""
        return Logs(
            logs_request(
                self.id,
                follow=follow,
                stdout=stdout,
                stderr=stderr,
                tail=tail,
                timestamps=timestamps,
                since=since,
                until=until,
            )
        )

    async def wait(self, timeout: float | None = None) -> int:  # noqa: ASYNC109 - the process that waits is ended with it
        """Wait until it has ended, and return its exit code. Raises TimeoutError after `timeout` seconds."""
        return await in_thread(lambda: self._twin.wait(timeout))

    async def stop(self, timeout: int | None = None) -> None:  # noqa: ASYNC109 - it is what the container gets
        """Ask it to end, and kill it after `timeout` seconds (10, unless the container says else)."""
        await in_thread(lambda: self._twin.stop(timeout))

    async def kill(self, signal: str = "KILL") -> None:
        """Send a signal to its first process."""
        await in_thread(lambda: self._twin.kill(signal))

    async def pause(self) -> None:
        """Hold all its processes, until `unpause`."""
        await in_thread(self._twin.pause)

    async def unpause(self) -> None:
        """Let its processes go on."""
        await in_thread(self._twin.unpause)

    async def start(self) -> None:
        """Start it again after it has ended; its free ports may be others then."""
        await in_thread(self._twin.start)

    async def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it, with `volumes` its anonymous ones too; one that runs is killed first with `force`."""
        await in_thread(lambda: self._twin.remove(force=force, volumes=volumes))

    async def __aenter__(self) -> Self:
        """Return the container itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill and remove it; that it is gone already is no failure."""
        import contextlib

        with contextlib.suppress(NotFoundError):
            await self.remove(force=True, volumes=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return repr(self._twin).replace("tiffin.", "tiffin.aio.", 1)


class Starting:
    """A container to be started: awaited, it is there; with `async with`, it is removed in the end."""

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, Container]]) -> None:
        self._begin = begin
        self._container: Container | None = None

    def __await__(self) -> Generator[Any, None, Container]:
        """Start it and return it."""
        return self._begin().__await__()

    async def __aenter__(self) -> Container:
        """Start it and return it."""
        self._container = await self._begin()
        return self._container

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill and remove it."""
        assert self._container is not None
        await self._container.__aexit__(kind, error, trace)
