"""What can be asked of a Dockerfile without building it: a check, an outline, its targets."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.build.cache import BuildCache
from tiffin.build.contextrules import Inspector, local_sources
from tiffin.build.fetching import Fetching
from tiffin.build.graph import BaseImage, Copy
from tiffin.build.outline import OutlineWatcher
from tiffin.build.plan import plan
from tiffin.build.reading import select_for
from tiffin.build.scope import platform_arguments
from tiffin.dockerfile.lint.linter import Linter
from tiffin.dockerfile.lint.syntax import check_syntax
from tiffin.dockerfile.parser import parse
from tiffin.dockerfile.source import Source
from tiffin.engine.building.inputs import BUILT, is_context_image, read_inputs, read_lent
from tiffin.engine.building.lint import report_copies, violation
from tiffin.engine.building.platforms import plan_requests
from tiffin.engine.lookup import find_complete
from tiffin.engine.settings import real_name
from tiffin.errors import InvalidError, NotFoundError, TiffinError
from tiffin.events import Notice
from tiffin.image.view import open_image
from tiffin.oci.config import ImageConfig
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tiffin.build.context import Context
    from tiffin.build.graph import Graph
    from tiffin.build.ops.fetch import RemoteFetcher
    from tiffin.build.outline import Outline
    from tiffin.build.selection import Selected
    from tiffin.dockerfile.ast import Dockerfile
    from tiffin.dockerfile.lint.rule import Finding
    from tiffin.engine.building.inputs import Inputs
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine
    from tiffin.errors import Where
    from tiffin.oci.platform import Platform


class Checked(NamedTuple):
    """What a check came to: its findings in order, and why the build would fail, if it would."""

    source: Source
    findings: tuple[Finding, ...]
    error: TiffinError | None = None


class Outlined(NamedTuple):
    """The outline of a target, and the text that it is of."""

    source: Source
    outline: Outline


class Target(NamedTuple):
    """A stage that can be built, as its FROM has it."""

    name: str
    description: str
    default: bool
    base: str
    platform: str
    line: int
    end_line: int


class Targets(NamedTuple):
    """The stages of a Dockerfile, and the text that they are of."""

    source: Source
    targets: tuple[Target, ...]


def check(engine: Engine, request: BuildRequest) -> Checked:
    """Look at the Dockerfile of `request` by all rules, at all its stages or at those of its target.

    What is wrong with the build is part of the result; only what keeps it from being looked at is raised.
    """
    with _inputs(engine, request) as inputs:
        return _check(engine, request, inputs)


def _check(engine: Engine, request: BuildRequest, inputs: Inputs) -> Checked:
    text, name = inputs.text, inputs.name
    wanted = [each._replace(every=request.target is None) for each in plan_requests(engine, request)]
    source = Source.of(text, name)
    try:
        dockerfile = parse(text, name)
    except InvalidError as error:
        return Checked(source, (), error)
    linter = Linter.of(dockerfile, wanted[0].build_args, checking=True)
    check_syntax(dockerfile, linter)
    configs = _Configs(engine, request)
    failure: TiffinError | None = None
    try:
        for each in wanted:
            graph = plan(dockerfile, each, configs.resolve, linter)
            _look(graph, dockerfile, inputs.contexts, linter)
    except TiffinError as error:
        failure = error
    return Checked(source, tuple(linter.findings), failure or violation(linter))


def _look(graph: Graph, dockerfile: Dockerfile, contexts: Mapping[str, Context], linter: Linter) -> None:
    """Look at what the copies would take. What is missing is for a build to say: there may be no context."""
    report_copies(graph, dockerfile, contexts, linter)
    inspector = Inspector(graph, [graph.result], dockerfile, linter, lambda _finding: None)
    for index, vertex in enumerate(graph.vertices):
        if not isinstance(vertex.op, Copy):
            continue
        taken: dict[str, list[Selected]] = {}
        for name, source in local_sources(graph, vertex):
            with suppress(NotFoundError):
                one = msgspec.structs.replace(vertex.op, sources=(source,))
                taken.setdefault(name, []).extend(select_for(contexts[name].tree, one))
        for name, selection in taken.items():
            inspector.copied(index, contexts[name], selection)


def outline(engine: Engine, request: BuildRequest) -> Outlined:
    """Return what a build of the target can be given. Raises what planning it does."""
    dockerfile = _dockerfile(engine, request)
    wanted = plan_requests(engine, request)[0]
    built_in = platform_arguments(engine.platform, wanted.platform, "")
    watcher = OutlineWatcher(dockerfile, wanted.build_args, built_in)
    plan(dockerfile, wanted, _Configs(engine, request).resolve, watchers=(watcher,))
    return Outlined(dockerfile.source, watcher.outline())


def targets(engine: Engine, request: BuildRequest) -> Targets:
    """Return the stages of the Dockerfile."""
    dockerfile = _dockerfile(engine, request)
    found = []
    for stage in dockerfile.stages:
        start = stage.start
        found.append(
            Target(
                start.name or "",
                dockerfile.description(start.span.line, start.name) if start.name else "",
                stage is dockerfile.stages[-1],
                start.base,
                start.platform or "",
                start.span.line,
                start.span.end_line,
            )
        )
    return Targets(dockerfile.source, tuple(found))


@contextmanager
def _inputs(engine: Engine, request: BuildRequest) -> Iterator[Inputs]:
    """Give what a build would read; a context from elsewhere is fetched for it."""

    def make() -> RemoteFetcher:
        from tiffin.engine.building.fetching import make_fetcher

        engine.enter()
        lent = read_lent(request, engine.settings.environ)
        return make_fetcher(engine, BuildCache(engine.db, engine.layers), lease, lent)

    with (
        engine.leases.hold("call") as lease,
        Fetching(make) as fetching,
        read_inputs(engine, request, fetching) as inputs,
    ):
        yield inputs


def _dockerfile(engine: Engine, request: BuildRequest) -> Dockerfile:
    with _inputs(engine, request) as inputs:
        return parse(inputs.text, inputs.name)


class _Configs:
    """Reads of base images no more than their configs, from the store or a registry; nothing is kept."""

    def __init__(self, engine: Engine, request: BuildRequest) -> None:
        self._engine = engine
        self._request = request
        self._known: dict[tuple[str, Platform], BaseImage] = {}

    def resolve(self, name: str, platform: Platform, where: Where | None) -> BaseImage:
        """Return the image, or a stand-in of which nothing is known if no registry answers.

        Raises NotFoundError at `where` for one that its registry does not have.
        """
        key = name, platform
        if key not in self._known:
            try:
                config = self._config(name, platform)
                known = config is not None
                config = config or _nothing(platform)
                self._known[key] = BaseImage(name, config, config.rootfs.diff_ids, known=known)
            except NotFoundError as error:
                error.where = error.where or where
                raise
            except TiffinError as error:
                message = f"{name} cannot be read, so nothing is said of variables that it may set: "
                self._engine.emit(Notice(message + error.message, where=where))
                self._known[key] = BaseImage(name, _nothing(platform), (), known=False)
        return self._known[key]

    def _config(self, name: str, platform: Platform) -> ImageConfig | None:
        """Return the config, None of an image that is not built yet."""
        if is_context_image(name):
            from tiffin.engine.building.contextimages import find_context_image
            from tiffin.engine.building.unbuilt import UNBUILT

            if self._request.build_contexts.get(name.removeprefix(BUILT)) == UNBUILT:
                return None

            self._engine.enter()
            return find_context_image(self._engine, name, self._request, platform).config
        name = real_name(self._engine, name)
        found = find_complete(self._engine, name, platform)
        if found is not None:
            return found.config
        reference = Reference.parse(name).tagged()
        with self._engine.registries() as registries:
            repository = registries.to_pull(reference)
            root = repository.resolve(reference)
            return open_image(repository, root, platform, what=reference.familiar).config


def _nothing(platform: Platform) -> ImageConfig:
    return ImageConfig(platform.architecture, platform.os, variant=platform.variant)
