"""What accelerators this machine offers, as checks: driver, specifications, and what each device takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.engine.accelerators import choose_gpus, parse_gpus
from tiffin.engine.doctor import Check
from tiffin.errors import TiffinError
from tiffin.runtime.cdifiles import check_devices, read_catalogue
from tiffin.runtime.gpu import edits_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tiffin.runtime.cdi import Edits
    from tiffin.runtime.gpu import Catalogue, Offer

_DRIVER = Path("/proc/driver/nvidia/version")
_LOADED = re.compile(r"NVRM version:.*?\s(\d{3,}\.\d+(?:\.\d+)?)\s")
_LIBRARY = re.compile(r"/lib(?:cuda|nvidia-ml)\.so\.(\d{3,}\.\d+(?:\.\d+)?)")
_RENEW = "as root: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"


def examine_gpus(environ: Mapping[str, str], driver: Path = _DRIVER) -> list[Check]:
    """Return what was found; `driver` is the file in which the loaded driver tells its version."""
    told: list[str] = []
    catalogue = read_catalogue(environ, told.append)
    version = loaded_version(_read(driver))
    found = [Check("NVIDIA driver", bool(version), version or "not loaded", "load the module nvidia")]
    found += [Check("CDI specification", ok=False, found=text, remedy=_RENEW) for text in told]
    found.append(_all(catalogue))
    found += [
        _device(offer, version) for name in catalogue.names for offer in _offers(catalogue, name, found)
    ]
    return found


def loaded_version(text: str) -> str:
    """The version of the driver by its own words, or nothing."""
    match = _LOADED.search(text)
    return match[1] if match else ""


def _all(catalogue: Catalogue) -> Check:
    try:
        names = [offer.name for offer in choose_gpus(catalogue, parse_gpus("all"))]
    except TiffinError as error:
        return Check("--gpus all", ok=False, found=error.message, remedy=error.hint)
    return Check("--gpus all", ok=True, found=", ".join(names))


def _offers(catalogue: Catalogue, name: str, checks: list[Check]) -> Iterator[Offer]:
    """The device of that name; one that is offered twice is a check that failed."""
    try:
        yield from catalogue.find(name)
    except TiffinError as error:
        checks.append(Check(name, ok=False, found=error.message, remedy=error.hint))


def _device(offer: Offer, version: str) -> Check:
    edits = edits_of([offer])
    try:
        check_devices(edits)
    except TiffinError as error:
        return Check(offer.name, ok=False, found=error.message, remedy=error.hint)
    stale = sorted(_versions(edits) - {version}) if version else []
    if stale:
        text = f"its specification is for the driver {stale[0]}, and {version} is loaded"
        return Check(offer.name, ok=False, found=text, remedy=_RENEW)
    return Check(offer.name, ok=True, found=_takes(edits))


def _versions(edits: Sequence[Edits]) -> set[str]:
    paths = (mount.host_path for each in edits for mount in each.mounts)
    return {match[1] for path in paths if (match := _LIBRARY.search(path))}


def _takes(edits: Sequence[Edits]) -> str:
    """What a container gets, in short."""
    nodes = [node.path for each in edits for node in each.device_nodes]
    counts = (
        (sum(len(each.mounts) for each in edits), "mount"),
        (sum(len(each.env) for each in edits), "variable"),
        (sum(len(each.hooks) for each in edits), "hook"),
    )
    return (
        ", ".join([*nodes, *(f"{count} {what}{'s' * (count > 1)}" for count, what in counts if count)])
        or "nothing"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
