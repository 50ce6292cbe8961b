"""Whether a build attests anything: what does it is loaded only then."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tiffin.events import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiffin.build.graph import Graph
    from tiffin.build.plan import PlanRequest
    from tiffin.build.solve import Result
    from tiffin.engine.building.inputs import Inputs
    from tiffin.engine.building.outputspec import Output
    from tiffin.engine.building.request import BuildRequest, BuiltImage
    from tiffin.engine.engine import Engine
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.reference import Reference


class Built(NamedTuple):
    """What was built from what: graph, request and image of each platform, and the names of the images.

    `aliases` has the images that were taken in place of others, by the names of those.
    """

    graphs: Sequence[Graph]
    planned: Sequence[PlanRequest]
    images: Sequence[BuiltImage]
    results: Mapping[int, Result]
    inputs: Inputs
    tags: Sequence[Reference]
    aliases: Mapping[str, str] = {}


class Attester(Protocol):
    """Says something of the images of a build."""

    def looks_at(self, graphs: Sequence[Graph]) -> Sequence[int]:
        """Return the vertices, besides the results, whose layers have to be here."""
        ...

    def attest(self, built: Built) -> list[Descriptor]:
        """Return the entries for the index; what they point to is in the store."""
        ...


class _Silent:
    """Attests nothing."""

    def looks_at(self, graphs: Sequence[Graph]) -> Sequence[int]:  # noqa: ARG002  # the same for all
        return ()

    def attest(self, built: Built) -> list[Descriptor]:  # noqa: ARG002  # the same for all
        return []


def make_attester(engine: Engine, request: BuildRequest, outputs: Sequence[Output]) -> Attester:
    """Return what attests as the request says. Raises InvalidError for what it cannot say."""
    if not request.attest and request.provenance is None and request.sbom is None:
        return _Silent()
    from tiffin.build.attest.asked import read_attestations

    asked = read_attestations(request.attest, request.provenance, request.sbom)
    if asked.provenance is None and not asked.sbom:
        return _Silent()
    for output in outputs:
        if output.kind in ("local", "tar") or (output.kind == "docker" and output.dest is not None):
            engine.emit(Notice(f"attestations stand beside images, and so not in type={output.kind}"))
    from tiffin.engine.building.attesting import StoreAttester

    return StoreAttester(engine, asked, request)
