"""Builds: a Dockerfile and a context → an image in the store, under the names that were asked for."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.cache import BuildCache
from tiffin.build.emit import image_config
from tiffin.build.entitlements import check_entitlements
from tiffin.build.fetching import Fetching
from tiffin.build.graph import MAIN
from tiffin.build.journal import Journal
from tiffin.build.merge import merge
from tiffin.build.plan import plan
from tiffin.build.solve import Solver
from tiffin.build.workbench import Workbench
from tiffin.dockerfile.parser import parse
from tiffin.engine.building.attestations import Built, make_attester
from tiffin.engine.building.bases import BaseResolver
from tiffin.engine.building.caches import Solved, plan_caches
from tiffin.engine.building.inputs import dated, read_inputs, read_lent
from tiffin.engine.building.lint import linted, make_inspector, pointing_into, report_copies
from tiffin.engine.building.platforms import plan_requests
from tiffin.engine.building.request import BuiltImage
from tiffin.engine.building.results import deliver, store_image, store_result, wanted_outputs
from tiffin.engine.cachelimit import keep_to, limit_of
from tiffin.engine.foreign import check_steps
from tiffin.errors import FailedError, InvalidError
from tiffin.events import Notice
from tiffin.linux.files import atomic_write
from tiffin.oci.reference import Reference
from tiffin.offline import is_offline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tiffin.build.graph import Graph
    from tiffin.build.imported import ImportedCaches
    from tiffin.build.ops.fetch import RemoteFetcher
    from tiffin.build.ops.run import StepRunner
    from tiffin.build.outlook import Outlook
    from tiffin.build.plan import PlanRequest
    from tiffin.build.solve import Result
    from tiffin.dockerfile.ast import Dockerfile
    from tiffin.dockerfile.lint.linter import Linter
    from tiffin.engine.building.inputs import Inputs, Lent
    from tiffin.engine.building.request import BuildRequest, BuildResult
    from tiffin.engine.engine import Engine
    from tiffin.oci.config import ImageConfig
    from tiffin.store.leases import Lease


def build(engine: Engine, request: BuildRequest) -> BuildResult:
    """Build the image that `request` asks for. A failed build leaves nothing but its finished steps."""
    engine.enter()
    engine = dated(engine, request)
    tags = tuple(Reference.parse(tag).tagged() for tag in request.tags)
    outputs = wanted_outputs(request, tags)
    lent = read_lent(request, engine.settings.environ)
    attester = make_attester(engine, request, outputs)
    caches, most = plan_caches(request), limit_of(engine)
    if request.split and caches.inline:
        raise InvalidError(
            "an image whose layers are split cannot carry the cache of the steps that made them",
            code="split-with-inline-cache",
            hint="write the cache elsewhere: --cache-to type=registry,ref=NAME",
        )
    with engine.leases.hold("build") as lease, caches.imported(engine) as imported, ExitStack() as stack:
        builder = _Builder(engine, request, lent, lease, imported)
        inputs = stack.enter_context(read_inputs(engine, request, stack.enter_context(builder.fetching)))
        planned = builder.plan(inputs)
        results, bench = builder.solve(inputs, planned, attester.looks_at(planned.graphs))
        configs = [image_config(graph, results, engine.settings.epoch) for graph in planned.graphs]
        made = tuple(diff_id for config in configs for diff_id in config.rootfs.diff_ids)
        solved = Solved(results, made, bench.reader.digests, bench.mounts, imported)
        if request.split:
            configs = _split(engine, lease, planned.graphs, configs)
        images = [
            BuiltImage(each.platform, *store_image(engine, caches.carried(config, solved)))
            for each, config in zip(planned.requests, configs, strict=True)
        ]
        attested = attester.attest(
            Built(planned.graphs, planned.requests, images, results, inputs, tags, planned.aliases)
        )
        built = store_result(engine, images, tags, attested, index=planned.requests[0].several)
        stored = (built.descriptor, *attested, *(image.descriptor for image in images))
        lease.add_all([("blob", descriptor.digest) for descriptor in stored])
        result = deliver(engine, lease, outputs, built)
        caches.export(engine, solved)
    if request.iidfile is not None:
        atomic_write(request.iidfile, str(result.image_id if result.kept else "").encode())
    if most is not None and not all(found.cached for found in results.values()):
        keep_to(engine, most)
    return result


def _split(
    engine: Engine, lease: Lease, graphs: Sequence[Graph], configs: Sequence[ImageConfig]
) -> list[ImageConfig]:
    """The configs with big layers of this build as several; those of the bases are shared as they are."""
    from tiffin.engine.splitting import Splitter  # few ask for it

    splitter = Splitter(engine, lease)
    bases = [graph.base.diff_ids if graph.base else () for graph in graphs]
    return [splitter.split(config, base) for config, base in zip(configs, bases, strict=True)]


class _Planned(NamedTuple):
    """What is to be built: a request and a graph for each platform, the graphs over one tuple of vertices."""

    dockerfile: Dockerfile
    requests: Sequence[PlanRequest]
    graphs: Sequence[Graph]
    linter: Linter
    aliases: Mapping[str, str]

    @property
    def whole(self) -> Graph:
        """The graph whose vertices are those of all."""
        return self.graphs[0]

    @property
    def wants(self) -> list[int]:
        """The vertices of the results."""
        return [graph.result for graph in self.graphs]


class _Builder:
    """Plans and solves one build; what it makes is held by `lease`."""

    def __init__(
        self,
        engine: Engine,
        request: BuildRequest,
        lent: Lent,
        lease: Lease,
        imported: ImportedCaches | None,
    ) -> None:
        self._engine = engine
        self._request = request
        self._lent = lent
        self._lease = lease
        self._imported = imported
        self._cache = BuildCache(engine.db, engine.layers, imported)
        self.fetching = Fetching(self._fetcher)

    def plan(self, inputs: Inputs) -> _Planned:
        """Return what is to be built, with everything refused that cannot be."""
        engine, request = self._engine, self._request
        dockerfile = parse(inputs.text, inputs.name)
        bases = BaseResolver(engine, self._lease, request)
        requests = plan_requests(engine, request)
        with linted(dockerfile, requests[0].build_args, engine.emit) as linter:
            graphs = merge([plan(dockerfile, each, bases.resolve, linter) for each in requests])
            if is_offline(engine.settings.environ):
                from tiffin.engine.building.absent import check_here

                check_here(graphs[0], bases.absent, self.fetching)
            report_copies(graphs[0], dockerfile, inputs.contexts, linter)
        check_entitlements(graphs[0], request.steps.allow, request.network)
        check_steps(engine, graphs[0])
        return _Planned(dockerfile, requests, graphs, linter, bases.aliases)

    def solve(
        self, inputs: Inputs, planned: _Planned, beside: Iterable[int]
    ) -> tuple[dict[int, Result], Workbench]:
        """Return what every vertex came to; the layers of the results and of those `beside` are here."""
        engine, request, graph = self._engine, self._request, planned.whole
        bench = Workbench(
            layers=engine.layers,
            cache=self._cache,
            db=engine.db,
            lease=self._lease,
            contexts=inputs.contexts,
            runner=self._runner,
            fetching=self.fetching,
            epoch=engine.settings.epoch,
            inspector=lambda: make_inspector(
                engine, graph, planned.wants, planned.dockerfile, planned.linter
            ),
            outlook=self._outlook,
        )
        fresh = _fresh(engine, request, planned.dockerfile, graph)
        try:
            journal = _journal(engine, request, inputs, graph)
            with pointing_into(planned.dockerfile), _debugged(engine, request, bench):
                solver = Solver(graph, bench, engine.emit, fresh, journal)
                return solver.solve([*planned.wants, *beside]), bench
        finally:
            bench.finish()

    def _outlook(self) -> Outlook:
        """Return what looks at the disk before a step; called when there is one to execute."""
        from tiffin.build.outlook import Outlook
        from tiffin.engine.room import advice

        engine = self._engine
        return Outlook(engine.home.root, engine.emit, lambda: advice(engine))

    def _runner(self) -> StepRunner:
        """Return what runs RUN steps; called when there is one to run, and loaded then."""
        from tiffin.engine.building.steprunner import make_runner

        return make_runner(self._engine, self._request, self._lent, self._imported)

    def _fetcher(self) -> RemoteFetcher:
        """Return what fetches; called when there is something to fetch, and loaded then."""
        from tiffin.engine.building.fetching import make_fetcher

        return make_fetcher(self._engine, self._cache, self._lease, self._lent)


@contextmanager
def _debugged(engine: Engine, request: BuildRequest, bench: Workbench) -> Iterator[None]:
    """Give the user a shell where a step failed, if that was asked for; the failure is raised after it."""
    try:
        yield
    except FailedError:
        command, scene = request.steps.debug, bench.scene
        if command is None or scene is None:
            raise
        from tiffin.engine.building.debugshell import open_shell

        open_shell(scene, command, engine.emit)
        raise scene.error from None


def _journal(engine: Engine, request: BuildRequest, inputs: Inputs, graph: Graph) -> Journal:
    """Return what remembers how the steps were, by the context and the Dockerfile that they are of."""
    name = f"{inputs.contexts[MAIN].name}\0{request.dockerfile or 'Dockerfile'}"
    return Journal(engine.db, name, graph, engine.settings.epoch, engine.emit, aloud=request.why)


def _fresh(engine: Engine, request: BuildRequest, dockerfile: Dockerfile, graph: Graph) -> tuple[int, ...]:
    """The steps that run again whatever is remembered."""
    if not (request.no_cache or request.no_cache_filter):
        return ()
    from tiffin.build.fresh import fresh_steps, unknown_stages

    for message in unknown_stages(dockerfile, request.no_cache_filter):
        engine.emit(Notice(message))
    return fresh_steps(graph, None if request.no_cache else request.no_cache_filter)
