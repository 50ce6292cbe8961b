"""What accelerators this machine offers, as checks: driver, specifications, and what each device takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.engine.accelerators import choose_gpus, parse_gpus
from tiffin.engine.doctor import Check
from tiffin.errors import TiffinError
from tiffin.runtime.cdifiles import DRIVER_ROOT, check_devices, read_catalogue
from tiffin.runtime.gpu import edits_of
from tiffin.runtime.nvidia import MADE, versions
from tiffin.runtime.nvidiafiles import find_installation, loaded_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tiffin.runtime.cdi import Edits
    from tiffin.runtime.gpu import Catalogue, Offer

_RENEW = "as root: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml; or remove the file"


def examine_gpus(environ: Mapping[str, str]) -> list[Check]:
    """Return what was found."""
    told: list[str] = []
    catalogue = read_catalogue(environ, told.append)
    version = loaded_version(environ.get(DRIVER_ROOT) or "/")
    found = [Check("NVIDIA driver", bool(version), version or "not loaded", "load the module nvidia")]
    found += [Check("CDI specification", ok=False, found=text, remedy=_RENEW) for text in told]
    if version:
        found.append(_libraries(environ))
    found.append(_all(catalogue))
    found += [
        _device(offer, version) for name in catalogue.names for offer in _offers(catalogue, name, found)
    ]
    return found


def _libraries(environ: Mapping[str, str]) -> Check:
    """Whether containers can be given what the loaded driver needs, without anybody's specification."""
    installation = find_installation(environ.get(DRIVER_ROOT) or "/")
    if installation is None:
        return Check(
            "NVIDIA libraries",
            ok=False,
            found="there is no libcuda.so of the version that is loaded",
            remedy="install the libraries of the driver that is loaded, or load that of the libraries",
        )
    place = installation.libraries[0].path.rpartition("/")[0]
    return Check("NVIDIA libraries", ok=True, found=f"{len(installation.libraries)} in {place}")


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
    stale = sorted(versions(edits) - {version}) if version else []
    if stale:
        text = f"its specification is for the driver {stale[0]}, and {version} is loaded"
        return Check(offer.name, ok=False, found=text, remedy=_RENEW)
    made = offer.specification.annotations.get(MADE)
    whence = f"; of the loaded driver {made}" if made else ""
    return Check(offer.name, ok=True, found=_takes(edits) + whence)


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
