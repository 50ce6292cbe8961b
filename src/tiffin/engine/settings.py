"""Everything that can be set, read once from the environment and the command line. Frozen."""

from __future__ import annotations

import os

from tiffin.errors import InvalidError
from tiffin.linux.record import NamedTuple
from tiffin.store.home import Home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

    from tiffin.engine.engine import Engine

DEFAULT_EPOCH = 315_619_200
"""2 January 1980, the time of everything that is built: ZIP, and so every wheel, knows none before 1980."""

_LAST_SECOND = (1 << 34) - (1 << 31) - 1  # of ext4: 34 bits that begin in 1901


class Settings(NamedTuple):
    """The settings of one command.

    `isolation` is the rung that was asked for, or `auto`; `epoch` the time, in
    seconds, that new files and images get; `environ` the environment, of
    which steps of a build borrow a part. `runtime` starts containers that name none, and
    `runtimes` says which programs further names stand for: `NAME=PATH`, with commas between.
    """

    home: Home
    isolation: str
    epoch: int
    environ: Mapping[str, str]
    runtime: str = ""
    runtimes: str = ""

    @classmethod
    def load(
        cls, environ: Mapping[str, str], *, isolation: str | None = None, root: Path | None = None
    ) -> Self:
        """Read the environment; what is given by name comes from the command line and wins."""
        if root is not None:
            environ = {**environ, "TIFFIN_HOME": os.fspath(root)}
        return cls(
            home=Home.locate(environ, os.geteuid()),
            isolation=isolation or environ.get("TIFFIN_ISOLATION") or "auto",
            epoch=parse_epoch(environ.get("SOURCE_DATE_EPOCH")),
            environ=environ,
            runtime=environ.get("TIFFIN_RUNTIME", ""),
            runtimes=environ.get("TIFFIN_RUNTIMES", ""),
        )


def real_name(engine: Engine, name: str, told: dict[str, str] | None = None) -> str:
    """Return the name of the image to take for `name`: an alias is looked for where there are settings."""
    if not has_file(engine.settings.environ):
        return name
    from tiffin.engine import aliases

    return aliases.real_name(engine, name, told)


def has_file(environ: Mapping[str, str]) -> bool:
    """Whether there is a settings file, to be read by who needs it; most machines have none."""
    if (named := environ.get("TIFFIN_CONFIG")) is not None:
        return bool(named)
    user = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    return any(os.path.exists(f"{place}/tiffin/tiffin.toml") for place in (user, "/etc"))  # noqa: PTH110 # fast


def parse_epoch(text: str | None) -> int:
    """The time that SOURCE_DATE_EPOCH names; our own if it is empty.

    The variable is that of reproducible-builds.org/specs/source-date-epoch.
    """
    if not text:
        return DEFAULT_EPOCH
    if not text.isascii() or not text.isdigit():
        raise InvalidError(
            f"SOURCE_DATE_EPOCH is {text!r}, which is no number of seconds",
            hint="set it to seconds since 1970, as in: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)",
        )
    seconds = int(text[:20])
    if seconds > _LAST_SECOND:
        raise InvalidError(
            f"SOURCE_DATE_EPOCH is {text[:40]}, which is after the year 2446",
            hint="file systems have no such time; is it in seconds?",
        )
    return seconds
