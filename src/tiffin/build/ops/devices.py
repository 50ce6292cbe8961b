"""`RUN --device`: the devices of a step, found on this machine and put into the spec of its container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.linux.namespace import host_id
from tiffin.runtime.cdifiles import check_devices, read_catalogue
from tiffin.runtime.gpu import apply_edits, edits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tiffin.build.graph import DeviceRequest
    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.runtime.gpu import Offer
    from tiffin.runtime.spec import Place


def with_devices(
    spec: RuntimeSpec,
    requests: Iterable[DeviceRequest],
    place: Place,
    environ: Mapping[str, str],
    tell: Callable[[str], None],
) -> RuntimeSpec:
    """Return the spec with the devices in it; what is not required may be missing.

    Raises NotFoundError or UnsupportedError for those that are there in name only.
    """
    catalogue = read_catalogue(environ, tell)
    offers = [
        offer
        for request in requests
        for offer in (catalogue.need(request.name) if request.required else catalogue.find(request.name))
    ]
    return give(spec, offers, place)


def give(spec: RuntimeSpec, offers: Iterable[Offer], place: Place) -> RuntimeSpec:
    """Return the spec with these devices in it. Raises NotFoundError or UnsupportedError, as above."""
    edits = edits_of(offers)
    check_devices(edits)
    # A group that is not mapped can be nobody's in there, unless it is kept beside the ids that there are.
    return apply_edits(spec, edits, lambda gid: place.recorded or _has(place, gid))


def _has(place: Place, gid: int) -> bool:
    return not place.single_id and host_id(place.ids, gid) is not None
