"""The health check that a container gets: the image's, with what was asked for over it (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiffin.container.health import Check
from tiffin.dockerfile.duration import parse_duration
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.oci.config import ContainerConfig

__all__ = ["choose"]

_TIMES = ("interval", "timeout", "start-period", "start-interval")
_SHORTEST = 1_000_000


def choose(config: ContainerConfig, asked: Iterable[tuple[str, str]]) -> Check | None:
    """Return the check; None if there is none. `asked` are the options `--health-…` without that beginning.

    With `none` there is none, with `required` there must be one. Raises InvalidError for values that mean
    nothing, and for settings of a check that does not exist.
    """
    wanted = dict(asked)
    required = wanted.pop("required", None) is not None
    image = config.healthcheck
    changes: dict[str, Any] = {
        name.replace("-", "_"): _time(name, wanted[name]) for name in _TIMES if name in wanted
    }
    if "retries" in wanted:
        changes["retries"] = _retries(wanted["retries"])
    if "none" in wanted:
        if len(wanted) > 1 or required:
            raise _wrong("--no-healthcheck conflicts with --health-* options", "give one or the other")
        return None
    test = ("CMD-SHELL", wanted["cmd"]) if wanted.get("cmd") else image.test if image else ()
    if not test or test == ("NONE",):
        if changes or required:
            name = f"--health-{next(iter(wanted))}" if changes else "--wait-healthy"
            raise _wrong(f"{name}: the container has no health check", "give one with --health-cmd")
        return None
    check = Check(test, shell=config.shell or ())
    if image is not None:
        times = (image.interval, image.timeout, image.start_period, image.start_interval, image.retries)
        check = Check(test, *times, config.shell or ())
    check = check._replace(**{name: value for name, value in changes.items() if value})
    check.command()  # or it is refused now
    return check


def _time(name: str, text: str) -> int:
    value = parse_duration(text)
    if value < 0:
        raise _wrong(f"--health-{name} {text}: a time cannot be negative", "for example 30s")
    if 0 < value < _SHORTEST:
        raise _wrong(f"--health-{name} {text}: a time cannot be below 1ms", "for example 30s")
    return value


def _retries(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise _wrong(f"--health-retries {text}: a number is needed", "0 for the default of 3")
    return int(text)


def _wrong(message: str, hint: str) -> InvalidError:
    return InvalidError(message, code="health-check", hint=hint, exit_status=125)
