"""Builds: a Dockerfile and a context → an image in the store, under the names that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build import plan as planner
from tiffin.build.cache import BuildCache
from tiffin.build.emit import image_config
from tiffin.build.graph import Copy, MakeDirectory, Run
from tiffin.build.secrets import read_secrets
from tiffin.build.solve import Solver
from tiffin.build.workbench import Workbench
from tiffin.dockerfile.parser import parse
from tiffin.engine.bases import BaseResolver
from tiffin.engine.buildinputs import context_kind, read_contexts, read_dockerfile
from tiffin.engine.buildoutput import store_image
from tiffin.engine.buildrequest import BuildResult
from tiffin.events import Notice
from tiffin.linux.files import atomic_write
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.build.graph import Graph
    from tiffin.build.ops.run import StepRunner
    from tiffin.dockerfile.ast import Dockerfile
    from tiffin.engine.buildrequest import BuildRequest
    from tiffin.engine.engine import Engine


def build(engine: Engine, request: BuildRequest) -> BuildResult:
    """Build the image that `request` asks for. A failed build leaves nothing but its finished steps."""
    engine.enter()
    tags = tuple(Reference.parse(tag).tagged() for tag in request.tags)
    text, name, beside = read_dockerfile(request)
    dockerfile = parse(text, name)
    contexts = read_contexts(request, beside)
    secrets = read_secrets(request.secrets, engine.settings.environ)
    with engine.leases.hold("build") as lease:
        bases = BaseResolver(engine, lease, pull=request.pull)
        graph = planner.plan(dockerfile, _plan_request(request, engine), bases.resolve)
        _warn(engine, dockerfile, graph)
        bench = Workbench(
            layers=engine.layers,
            cache=BuildCache(engine.db, engine.layers),
            db=engine.db,
            lease=lease,
            contexts=contexts,
            runner=lambda: _runner(engine, request, secrets),
            epoch=engine.settings.epoch,
        )
        fresh = _steps(graph) if request.no_cache else ()
        try:
            results = Solver(graph, bench, engine.emit, fresh).solve()
        finally:
            bench.finish()
        config = image_config(graph, results, engine.platform, engine.settings.epoch)
        descriptor, image_id = store_image(engine, config)
        engine.layers.settle()
        engine.images.add(descriptor, image_id)
        for tag in tags:
            engine.tags.set(tag, descriptor)
    if request.iidfile is not None:
        atomic_write(request.iidfile, str(image_id).encode())
    return BuildResult(image_id, descriptor, tags)


def _runner(engine: Engine, request: BuildRequest, secrets: Mapping[str, bytes]) -> StepRunner:
    """Return what runs RUN steps; called when there is one to run, and loaded then."""
    from tiffin.engine.steprunner import make_runner

    return make_runner(engine, request.network, secrets)


def _plan_request(request: BuildRequest, engine: Engine) -> planner.PlanRequest:
    environ = engine.settings.environ
    given = {
        name: environ.get(name) if value is None else value for name, value in request.build_args.items()
    }
    platform = Platform.parse(request.platform) if request.platform else engine.platform
    return planner.PlanRequest(
        build_args={name: value for name, value in given.items() if value is not None},
        target=request.target,
        platform=platform,
        contexts={name: context_kind(name, value) for name, value in request.build_contexts.items()},
        labels=dict(request.labels),
    )


def _warn(engine: Engine, dockerfile: Dockerfile, graph: Graph) -> None:
    for message, where in (*dockerfile.warnings, *graph.warnings):
        engine.emit(Notice(message, where=where))


def _steps(graph: Graph) -> tuple[int, ...]:
    """The vertices that --no-cache makes run again: all that make something."""
    made = (Run, Copy, MakeDirectory)
    return tuple(index for index, vertex in enumerate(graph.vertices) if isinstance(vertex.op, made))
