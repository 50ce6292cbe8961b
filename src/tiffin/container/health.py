"""Whether a container works: the rules by which results of its check become its health (pure).

The rules are Docker's: a success makes it healthy; so many failures in a row make it unhealthy,
of which those do not count that come in the start period and before the first success.
"""

from __future__ import annotations

from tiffin.errors import InvalidError
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    Status = Literal["starting", "healthy", "unhealthy"]

__all__ = ["CUT", "Check", "Health", "Result", "judge", "pause", "read"]

SECOND = 1_000_000_000
CUT = 4096
"""So many bytes of what a check writes are kept."""
KEPT = 5
"""So many results are kept."""

_SHELL = ("/bin/sh", "-c")


class Check(NamedTuple):
    """A check as `HEALTHCHECK` has it: `test` in Docker's form, times in nanoseconds, 0 for the default."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0
    shell: tuple[str, ...] = ()

    def command(self) -> tuple[str, ...]:
        """What is run. Raises InvalidError for a test of no known form."""
        kind, *words = self.test or ("",)
        if kind == "CMD" and words:
            return tuple(words)
        if kind == "CMD-SHELL" and len(words) == 1:
            return (*(self.shell or _SHELL), *words)
        raise InvalidError(
            f"the health check {list(self.test)} has no known form", hint="CMD or CMD-SHELL", exit_status=125
        )

    @property
    def patience(self) -> int:
        """After so many nanoseconds a check counts as failed."""
        return self.timeout or 30 * SECOND


class Result(NamedTuple):
    """One run of the check; times in nanoseconds since 1970."""

    start: int
    end: int
    exit_code: int
    output: str


class Health(NamedTuple):
    """How it stands; `log` has the last results, the oldest first."""

    status: Status = "starting"
    streak: int = 0
    log: tuple[Result, ...] = ()


def judge(check: Check, health: Health, result: Result, begun: int) -> Health:
    """Return the health after one more result, for a container that began at `begun`."""
    log = (*health.log, result)[-KEPT:]
    if result.exit_code == 0:
        return Health("healthy", 0, log)
    if health.status == "starting" and result.start - begun < check.start_period:
        return health._replace(log=log)
    streak = health.streak + 1
    failed = streak >= (check.retries or 3)
    return Health("unhealthy" if failed else health.status, streak, log)


def pause(check: Check, health: Health, now: int, begun: int) -> int:
    """Return the nanoseconds until the next check."""
    if health.status == "starting" and now - begun < check.start_period:
        return check.start_interval or 5 * SECOND
    return check.interval or 30 * SECOND


def read(wire: Any) -> Health:
    """Return the health as the state's file has it."""
    status, streak, log = wire
    return Health(status, streak, tuple(Result(*result) for result in log))
