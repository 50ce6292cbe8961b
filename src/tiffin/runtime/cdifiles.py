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

_DIRECTORIES = "/etc/cdi:/run/cdi"
_VARIABLE = "TIFFIN_CDI_DIRS"  # as CDI_SPEC_DIRS of other programs, for tests and odd places
_LARGEST = 8 << 20
DRIVER = "/proc/driver/nvidia/version"
DRIVER_ROOT = "TIFFIN_DRIVER_ROOT"
"""Where a driver lies that is kept apart from the system, as operators of clusters do."""


def directories(environ: Mapping[str, str]) -> list[str]:
    """Return where specifications are looked for; what a later directory says counts more."""
    return (environ.get(_VARIABLE) or _DIRECTORIES).split(":")


def read_catalogue(
    environ: Mapping[str, str], tell: Callable[[str], None], abilities: frozenset[str] | None = None
) -> Catalogue:
    """Return all devices; a file that is no specification is left out, and `tell` hears of it.

    NVIDIA's GPUs are there without one, too: then, and if the file is for another driver than the loaded
    one, they take what that driver needs for these `abilities`.
    """
    levels: list[list[Specification]] = []
    for directory in directories(environ):
        level: list[Specification] = []
        for path in sorted(Path(directory).glob("*")) if Path(directory).is_dir() else ():
            if path.suffix not in (".json", ".yaml", ".yml"):
                continue
            try:
                level.append(parse_specification(_read(path), str(path)))
            except TiffinError as error:
                tell(error.message)
        levels.append(level)
    return Catalogue(_with_driver(levels, environ, tell, abilities))


def _with_driver(
    levels: list[list[Specification]],
    environ: Mapping[str, str],
    tell: Callable[[str], None],
    abilities: frozenset[str] | None,
) -> list[list[Specification]]:
    root = environ.get(DRIVER_ROOT) or "/"
    if not os.path.exists(f"{root.rstrip('/')}{DRIVER}"):
        return levels
    from tiffin.runtime import nvidia, nvidiafiles  # most machines have no such driver

    version = nvidiafiles.loaded_version(root)
    kept, stale, known = nvidia.current(levels, version)
    if known or not version:
        return kept if known else levels
    found = nvidiafiles.find_installation(root)
    if found is None:
        return levels
    for other in sorted({other for each in stale for other in nvidia.versions_of(each) - {version}}):
        tell(
            f"a CDI specification of {nvidia.KIND} is for the driver {other}, and {version} is loaded: "
            "containers get what the loaded one needs"
        )
    return [[nvidia.specification(found, abilities or nvidia.DEFAULT)], *kept]


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
