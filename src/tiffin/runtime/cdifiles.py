"""The CDI specifications of this machine, read from their directories; whether their devices are there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiffin.errors import InvalidError, NotFoundError, TiffinError
from tiffin.runtime.cdi import parse_specification
from tiffin.runtime.gpu import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tiffin.runtime.cdi import Edits, Specification

_DIRECTORIES = ("/etc/cdi", "/run/cdi")
_VARIABLE = "TIFFIN_CDI_DIRS"  # as CDI_SPEC_DIRS of other programs, for tests and odd places
_LARGEST = 8 << 20


def read_catalogue(environ: Mapping[str, str], tell: Callable[[str], None]) -> Catalogue:
    """Return all devices; a file that is no specification is left out, and `tell` hears of it."""
    directories = environ.get(_VARIABLE, "").split(":") if environ.get(_VARIABLE) else _DIRECTORIES
    levels: list[list[Specification]] = []
    for directory in directories:
        level: list[Specification] = []
        for path in sorted(Path(directory).glob("*")) if Path(directory).is_dir() else ():
            if path.suffix not in (".json", ".yaml", ".yml"):
                continue
            try:
                level.append(parse_specification(_read(path), str(path)))
            except TiffinError as error:
                tell(error.message)
        levels.append(level)
    return Catalogue(levels)


def check_devices(edits: Iterable[Edits]) -> None:
    """Raise NotFoundError if a device, or a file that it needs, is not on this machine."""
    for each in edits:
        for node in each.device_nodes:
            path = node.host_path or node.path
            status = _status(path)
            if status is None or not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
                raise _missing(f"{path}, which is to be a device,")
            wanted = (node.major, node.minor)
            if None not in wanted and wanted != (os.major(status.st_rdev), os.minor(status.st_rdev)):
                raise _missing(f"{path} with the numbers {node.major}:{node.minor}")
        for mount in each.mounts:
            if mount.type in ("", "bind") and _status(mount.host_path) is None:
                raise _missing(mount.host_path)
        for hook in each.hooks:
            if not os.access(hook.path, os.X_OK):
                raise _missing(f"the program {hook.path}")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror}", code="invalid-cdi") from error
    if len(data) > _LARGEST:
        raise InvalidError(f"{path} is too large to be a CDI specification", code="invalid-cdi")
    try:
        document = _parse(data, json=path.suffix == ".json")
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"{path} is no CDI specification: {error}", code="invalid-cdi") from error
    if not isinstance(document, dict):
        raise InvalidError(f"{path} is no CDI specification: it is no object", code="invalid-cdi")
    return document


def _parse(data: bytes, *, json: bool) -> Any:
    if json:
        import msgspec

        return msgspec.json.decode(data)
    import yaml

    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _missing(what: str) -> NotFoundError:
    return NotFoundError(
        f"the device needs {what} and this machine has no such thing",
        code="device-not-there",
        hint="is the driver loaded? the vendor's tool writes the specification again after a change",
    )
