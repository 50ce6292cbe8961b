"""Variables and labels as they are given: by options, and in files that options name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.container import environment
from tiffin.errors import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.engine.engine import Engine

__all__ = ["labels", "variables"]


def variables(
    items: tuple[str, ...], files: tuple[Path, ...], engine: Engine
) -> list[tuple[str, str | None]]:
    """Read `--env-file` and `-e`; the latter counts more."""
    host = engine.settings.environ
    found: list[tuple[str, str | None]] = []
    for path in files:
        found += environment.parse_env_file(_read_option("--env-file", path), str(path), host)
    return found + [environment.parse_env(item, host) for item in items]


def labels(files: tuple[Path, ...]) -> dict[str, str]:
    """Read `--label-file`, which Docker reads as a file of variables: a name alone is passed over."""
    found: dict[str, str] = {}
    for path in files:
        lines = environment.parse_env_file(_read_option("--label-file", path), str(path), {})
        found |= {name: value for name, value in lines if value is not None}
    return found


def _read_option(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError(
            f"{option} {path}: {error.strerror}", hint="check the path of the file", exit_status=125
        ) from error
