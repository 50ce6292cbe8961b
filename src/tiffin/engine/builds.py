"""Builds: a Dockerfile and a context → an image in the store, under the names that were asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build import plan as planner
from tiffin.build.cache import BuildCache
from tiffin.build.context import Context
from tiffin.build.emit import image_config, manifest
from tiffin.build.graph import Copy, MakeDirectory, Run
from tiffin.build.secrets import read_secrets
from tiffin.build.solve import Solver
from tiffin.build.workbench import Workbench
from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.dockerfile.parser import parse
from tiffin.engine.bases import BaseResolver
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.events import Notice
from tiffin.linux.files import atomic_write
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference
from tiffin.snapshot.export import layer_descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.build.graph import Graph
    from tiffin.build.ops.run import StepRunner
    from tiffin.dockerfile.ast import Dockerfile
    from tiffin.engine.engine import Engine
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.digest import Digest

_MAIN = "context"


class BuildRequest(NamedTuple):
    """What `tiffin build` was asked for.

    `dockerfile` is None for the one in the context, `-` for standard input;
    a build argument whose value is None comes from the environment;
    `build_contexts` are the values of `--build-context`, by name; `secrets` those of `--secret`.
    """

    context: Path
    dockerfile: Path | str | None = None
    tags: tuple[str, ...] = ()
    build_args: Mapping[str, str | None] = {}
    target: str | None = None
    no_cache: bool = False
    build_contexts: Mapping[str, str] = {}
    platform: str | None = None
    network: str = "default"
    labels: Mapping[str, str] = {}
    pull: bool = False
    iidfile: Path | None = None
    secrets: tuple[str, ...] = ()


class BuildResult(NamedTuple):
    """The image that was built: the digest of its config, how to find it, and its names."""

    image_id: Digest
    descriptor: Descriptor
    tags: tuple[Reference, ...]


def build(engine: Engine, request: BuildRequest) -> BuildResult:
    """Build the image that `request` asks for. A failed build leaves nothing but its finished steps."""
    engine.enter()
    tags = tuple(Reference.parse(tag).tagged() for tag in request.tags)
    text, name, beside = _read_dockerfile(request)
    dockerfile = parse(text, name)
    contexts = _contexts(request, beside)
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
        descriptor, image_id = _store(engine, config)
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


def _read_dockerfile(request: BuildRequest) -> tuple[bytes, str, Path | None]:
    """Return the text, how to speak of it, and the ignore file that belongs to it alone, if any."""
    if not request.context.is_dir():
        raise NotFoundError(
            f"the build context {request.context} is no directory",
            code="context-not-found",
            hint="the last argument of `tiffin build` is the folder to build from, often `.`",
        )
    if request.dockerfile == "-":
        return sys.stdin.buffer.read(), "Dockerfile (standard input)", None
    path = Path(request.dockerfile) if request.dockerfile else request.context / "Dockerfile"
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        found = (
            sorted(entry.name for entry in path.parent.glob("*ockerfile*")) if path.parent.is_dir() else []
        )
        raise NotFoundError(
            f"there is no {path}",
            code="dockerfile-not-found",
            hint=f"name the file with -f; here are: {', '.join(found)}" if found else "name the file with -f",
        ) from error
    except IsADirectoryError as error:
        raise InvalidError(
            f"{path} is a directory, not a Dockerfile", hint="name the file with -f"
        ) from error
    return text, path.name, path.with_name(f"{path.name}.dockerignore")


def _contexts(request: BuildRequest, beside: Path | None) -> dict[str, Context]:
    """Return the build contexts by the names that the graph has for them."""
    rules = IgnoreRules.parse("")
    for candidate in (beside, request.context / ".dockerignore"):
        if candidate is not None and candidate.is_file():
            rules = IgnoreRules.parse(candidate.read_text(errors="surrogateescape"), candidate.name)
            break
    contexts = {_MAIN: Context(request.context.resolve(), rules)}
    for name, value in request.build_contexts.items():
        if "://" not in value:
            folder = Path(value)
            if not folder.is_dir():
                raise NotFoundError(f"--build-context {name}={value}: {folder} is no directory")
            contexts[name] = Context(folder.resolve(), IgnoreRules.parse(""))
    return contexts


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
        contexts={name: _context_kind(name, value) for name, value in request.build_contexts.items()},
        labels=dict(request.labels),
    )


def _context_kind(name: str, value: str) -> str:
    """Say to the planner what a named context is: a folder, or an image under another name."""
    scheme, found, rest = value.partition("://")
    if not found:
        return "local"
    if scheme == "docker-image":
        return f"image:{rest}"
    raise UnsupportedError(
        f"--build-context {name}={value}: contexts of the kind {scheme}:// cannot be used yet",
        hint="use a folder, or docker-image:// and the name of an image",
    )


def _warn(engine: Engine, dockerfile: Dockerfile, graph: Graph) -> None:
    for message, where in (*dockerfile.warnings, *graph.warnings):
        engine.emit(Notice(message, where=where))


def _steps(graph: Graph) -> tuple[int, ...]:
    """The vertices that --no-cache makes run again: all that make something."""
    made = (Run, Copy, MakeDirectory)
    return tuple(index for index, vertex in enumerate(graph.vertices) if isinstance(vertex.op, made))


def _store(engine: Engine, config: ImageConfig) -> tuple[Descriptor, Digest]:
    """Write config and manifest; return the manifest's descriptor and the image id."""
    described = engine.blobs.write(codec.encode(config), MediaType.OCI_CONFIG)
    layers = [layer_descriptor(engine.layers, diff_id) for diff_id in config.rootfs.diff_ids]
    written = engine.blobs.write(codec.encode(manifest(described, layers)), MediaType.OCI_MANIFEST)
    return written, described.digest
