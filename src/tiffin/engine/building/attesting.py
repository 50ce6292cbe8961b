"""What a build attests beside its images: where they come from, and what is installed in them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tiffin.build import cachekey
from tiffin.build.attest.provenance import Invocation, Made, provenance
from tiffin.build.attest.purl import image_url
from tiffin.build.attest.scan import scan
from tiffin.build.attest.spdx import Subject, document
from tiffin.build.attest.statement import SPDX, Predicate, attach
from tiffin.build.giturl import without_login
from tiffin.build.graph import MAIN
from tiffin.build.scope import proxies
from tiffin.engine.building.inputs import LAYOUT
from tiffin.events import Notice
from tiffin.oci.descriptor import Descriptor, MediaType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.build.attest.asked import Attestations
    from tiffin.build.attest.scan import Inventory
    from tiffin.build.graph import Graph
    from tiffin.build.plan import PlanRequest
    from tiffin.engine.building.attestations import Built
    from tiffin.engine.building.request import BuildRequest, BuiltImage
    from tiffin.engine.engine import Engine
    from tiffin.oci.digest import DiffID
    from tiffin.snapshot.merged import MergedTree


class StoreAttester:
    """Writes the attestations that were asked for into the store, for one image after the other."""

    def __init__(self, engine: Engine, asked: Attestations, request: BuildRequest) -> None:
        self._engine = engine
        self._asked = asked
        self._request = request
        self._inventories: dict[str, Inventory] = {}

    def looks_at(self, graphs: Sequence[Graph]) -> list[int]:
        """Return the vertices, besides the results, whose layers have to be here."""
        return [number for graph in graphs for _, number in graph.scans] if self._asked.sbom else []

    def attest(self, built: Built) -> list[Descriptor]:
        """Return the entries for the index; what they point to is in the store."""
        return [self._attest(built, number) for number in range(len(built.images))]

    def _attest(self, built: Built, number: int) -> Descriptor:
        graph, image = built.graphs[number], built.images[number]
        predicates = list(self._lists(built, graph, image)) if self._asked.sbom else []
        if self._asked.provenance is not None:
            made = Made(graph, built.results, self._describe)
            invocation = self._invocation(built, built.planned[number])
            predicates.append(provenance(self._asked.provenance, invocation, made))
        names = [image_url(tag, image.platform) for tag in built.tags]
        attached = attach(image.descriptor, names, predicates)
        for data, media_type in attached.documents:
            self._engine.blobs.write(data, media_type)
        return attached.entry

    def _describe(self, diff_id: DiffID) -> Descriptor:
        """The layer as a plain tar: in every compression, that stays what it is."""
        return Descriptor(MediaType.OCI_LAYER, diff_id, self._engine.layers.size(diff_id))

    def _invocation(self, built: Built, planned: PlanRequest) -> Invocation:
        request, inputs = self._request, built.inputs
        lent = proxies(planned.build_args)  # they are of the place, and may have a password in them
        given = {name: value for name, value in planned.build_args.items() if name not in lent}
        arguments = {f"build-arg:{name}": value for name, value in given.items()}
        arguments |= {f"label:{name}": value for name, value in request.labels.items()}
        for name, value in request.build_contexts.items():
            # Paths are of this machine, and so are images that were built just now.
            elsewhere = isinstance(value, str) and "://" in value and not value.startswith(LAYOUT)
            arguments[f"context:{name}"] = without_login(str(value)) if elsewhere else f"local:{name}"
        # An alias is what a named context would be.
        arguments |= {f"context:{name}": f"docker-image://{real}" for name, real in built.aliases.items()}
        if request.target:
            arguments["target"] = request.target
        if request.no_cache or request.no_cache_filter:
            arguments["no-cache"] = ",".join(request.no_cache_filter)
        if request.network != "default":
            arguments["force-network-mode"] = request.network
        source = without_login(str(request.context)) if inputs.content else ""
        dockerfile = (inputs.name, inputs.text)
        host = planned.host or planned.platform
        return Invocation(arguments, dockerfile, host, source, inputs.content)

    def _lists(self, built: Built, graph: Graph, image: BuiltImage) -> Iterator[Predicate]:
        """Yield a list of packages for the image, and for each stage that asks for one."""
        name = built.tags[0].familiar if built.tags else "image"
        layers = built.results[graph.result].diff_ids
        yield self._list(Subject(name, str(image.image_id)), layers, self._engine.layers.tree(layers))
        for stage, number in graph.scans:
            layers = built.results[number].diff_ids
            tree = self._engine.layers.tree(layers)
            yield self._list(Subject(f"{name}: stage {stage}", cachekey.chain(layers)), layers, tree)
        if graph.scans_context:
            inventory = self._scanned("context", built.inputs.contexts[MAIN].tree)
            seen = hashlib.sha256(repr(inventory).encode()).hexdigest()
            subject = Subject(f"{name}: build context", f"sha256:{seen}", "SOURCE")
            yield Predicate(SPDX, document(inventory, subject, self._engine.settings.epoch))

    def _list(self, subject: Subject, layers: Sequence[DiffID], tree: MergedTree) -> Predicate:
        inventory = self._scanned(cachekey.chain(layers), tree)
        return Predicate(SPDX, document(inventory, subject, self._engine.settings.epoch))

    def _scanned(self, key: str, tree: MergedTree) -> Inventory:
        """Look at a tree once; what platforms have in common is looked at for all of them."""
        if key not in self._inventories:
            self._inventories[key] = found = scan(tree)
            for path in found.missed:
                self._engine.emit(
                    Notice(f"the packages that {path} lists cannot be read, and are not in the SBOM")
                )
        return self._inventories[key]
