"""A container as a Python program holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self, overload

from tiffin.errors import FailedError, NotFoundError
from tiffin.python.child import call, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Literal

_EVERY = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


class Execution(NamedTuple):
    """What a command in a container gave: its exit code, and the bytes that it wrote."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """What it wrote to its standard output, as text."""
        return self.stdout.decode("utf-8", "replace")


class Container:
    """A container that runs in the background, or has run.

    `id`, `name` and `image` never change but by `tiffin rename`; `ports` are the published ones of
    the time when it was asked for, as {"8000/tcp": [("127.0.0.1", 49153)]}. Everything else is asked anew
    at each call. Used with `with`, it is killed and removed in the end, with its anonymous volumes.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.id: str = document["Id"]
        self.name: str = document["Name"].removeprefix("/")
        self.image: str = document["Config"]["Image"]
        self.ports: dict[str, list[tuple[str, int]]] = {}
        self._note(document)

    def _note(self, document: Mapping[str, Any]) -> None:
        ports = document["NetworkSettings"]["Ports"] or {}
        self.ports = {
            port: [(binding["HostIp"], int(binding["HostPort"])) for binding in bindings or ()]
            for port, bindings in ports.items()
        }

    def inspect(self) -> dict[str, Any]:
        """Return Docker's document of it, as `tiffin container inspect` prints it."""
        found: dict[str, Any] = call("container", {"name": self.id}).value
        return found

    @property
    def status(self) -> str:
        """How it stands now: `created`, `running`, `paused`, `exited` and so on."""
        return str(self.inspect()["State"]["Status"])

    def url(self, port: int, path: str = "", *, scheme: str = "http") -> str:
        """Return where the container's TCP port answers on this machine: `http://127.0.0.1:49153`.

        Raises NotFoundError if the port is not published.
        """
        bindings = self.ports.get(f"{port}/tcp")
        if not bindings:
            raise NotFoundError(
                f"the port {port} of the container {self.name} is not published",
                code="not-published",
                hint=f"start it with ports={{{port}: 0}}",
            )
        host, number = bindings[0]
        host = "127.0.0.1" if host in _EVERY else f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{number}{'/' if path and not path.startswith('/') else ''}{path}"

    def exec(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        workdir: str | None = None,
        check: bool = False,
    ) -> Execution:
        """Run another command in it and return what that gave.

        With `check`, FailedError is raised for any exit code but 0. What it writes is kept in a file until
        it ends, and then in memory.
        """
        words = [command] if isinstance(command, str) else list(command)
        answer = call(
            "exec",
            {
                "name": self.id,
                "command": words,
                "env": [f"{key}={value}" for key, value in (env or {}).items()],
                "user": user,
                "workdir": workdir,
            },
        )
        done = Execution(answer.value, answer.stdout, answer.stderr)
        if check and done.exit_code != 0:
            error = FailedError(
                f"{' '.join(words)} in the container {self.name} ended with status {done.exit_code}",
                code="command-failed",
                exit_status=done.exit_code,
            )
            error.output = done.stderr.decode("utf-8", "replace")
            raise error
        return done

    @overload
    def logs(
        self,
        *,
        follow: Literal[False] = False,
        stdout: bool = True,
        stderr: bool = True,
        tail: int | None = None,
        timestamps: bool = False,
        since: float | None = None,
        until: float | None = None,
    ) -> str: ...

    @overload
    def logs(
        self,
        *,
        follow: Literal[True],
        stdout: bool = True,
        stderr: bool = True,
        tail: int | None = None,
        timestamps: bool = False,
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[str]: ...

    def logs(
        self, *, follow: bool = False, stdout: bool = True, stderr: bool = True, **options: Any
    ) -> str | Iterator[str]:
        """Return what it has written so far; `since` and `until` are seconds since 1970.

        With `follow`, the lines one by one, as they come, until it ends.
        """
        asked = logs_request(self.id, follow=follow, stdout=stdout, stderr=stderr, **options)
        if follow:
            return (line for lines in stream("logs", asked) for line in lines)
        return call("logs", asked).stdout.decode("utf-8", "replace")

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit code. Raises TimeoutError after `timeout` seconds."""
        return int(call("wait", {"name": self.id}, timeout=timeout).value)

    def stop(self, timeout: int | None = None) -> None:
        """Ask it to end, and kill it after `timeout` seconds (10, unless the container says else)."""
        call("stop", {"name": self.id, "timeout": timeout})

    def kill(self, signal: str = "KILL") -> None:
        """Send a signal to its first process."""
        call("kill", {"name": self.id, "signal_name": signal})

    def pause(self) -> None:
        """Hold all of its processes still. Raises ConflictError if it does not run, or is paused."""
        call("pause", {"name": self.id})

    def unpause(self) -> None:
        """Let it go on. Raises ConflictError if it is not paused."""
        call("unpause", {"name": self.id})

    def start(self) -> None:
        """Start it again after it has ended; its free ports may be others then."""
        self._note(call("start", {"name": self.id}).value)

    def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it, with `volumes` its anonymous ones too; one that runs is killed first with `force`."""
        call("remove", {"name": self.id, "force": force, "volumes": volumes})

    def __enter__(self) -> Self:
        """Return the container itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill and remove it; that it is gone already is no failure."""
        import contextlib

        with contextlib.suppress(NotFoundError):
            self.remove(force=True, volumes=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<tiffin.Container {self.name} {self.id[:12]}>"


def logs_request(  # noqa: PLR0913 - the options of `logs`
    name: str,
    *,
    follow: bool = False,
    stdout: bool = True,
    stderr: bool = True,
    tail: int | None = None,
    timestamps: bool = False,
    since: float | None = None,
    until: float | None = None,
) -> dict[str, Any]:
    """Return what the worker is asked for."""
    return {
        "name": name,
        "streams": [number for number, wanted in ((1, stdout), (2, stderr)) if wanted],
        "follow": follow,
        "tail": tail,
        "timestamps": timestamps,
        "since": since,
        "until": until,
    }
