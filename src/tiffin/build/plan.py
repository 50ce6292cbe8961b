"""The build planner: a Dockerfile and the arguments of a build → the graph of what its target needs. Pure.

The images that stages begin from come from `resolve`, which the caller hands
in; everything else follows from the text. Stages that the target does not need
are looked at no further than their FROM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tiffin.build.draft import Draft
from tiffin.build.filesteps import Step, run_step, transfer_step, workdir_step
from tiffin.build.graph import MAIN, BaseImage, Copy, Graph, Local, Source, Vertex
from tiffin.build.metadata import Arguments, fold
from tiffin.build.mountplan import plan_mounts
from tiffin.build.needs import Folder, Places, Remote, needed
from tiffin.build.scans import find_scans
from tiffin.build.scope import Expander, global_arguments, platform_arguments, report_undeclared
from tiffin.build.stagerules import StageRules, report_starts
from tiffin.build.stages import SCRATCH, StageEntry, StageTable
from tiffin.build.stepnames import StepNames, shown
from tiffin.build.surroundings import surroundings
from tiffin.dockerfile import ast
from tiffin.dockerfile.lint.linter import Linter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiffin.build.addplan import Fetched
    from tiffin.build.graph import Git, Http, Mount, Op
    from tiffin.build.needs import Place, Planned, Resolve
    from tiffin.dockerfile.source import Span
    from tiffin.errors import Where
    from tiffin.oci.platform import Platform

_CHANGES_FILES = (ast.Run, ast.Copy, ast.Add, ast.Workdir)


class PlanRequest(NamedTuple):
    """What a build was asked for, as far as it shapes the graph.

    `platform` is the one built for, `host` the one built on, if that is another. A platform that was
    `chosen` is what the image says it is for, whatever its base says; one of `several` is in the names of
    the steps. `contexts` are the named contexts: `local`, `image:` and the name of an image that stands
    for this one, or what fetches them; `hosts` the names that steps find in /etc/hosts besides the usual
    ones. With `every`, stages that the target does not need are planned as well: a check looks at all.
    """

    platform: Platform
    host: Platform | None = None
    chosen: bool = False
    several: bool = False
    build_args: Mapping[str, str] = {}
    target: str | None = None
    contexts: Mapping[str, str | Git | Http] = {}
    labels: Mapping[str, str] = {}
    every: bool = False
    hosts: tuple[str, ...] = ()


class Watcher(Protocol):
    """Looks on while stages are planned."""

    def begin(self, planned: Planned) -> None:
        """See the next stage."""

    def see(self, draft: Draft, instruction: ast.Instruction, span: Span) -> None:
        """See the next instruction of it, at `span`, before it changes the stage's draft."""


def plan(
    dockerfile: ast.Dockerfile,
    request: PlanRequest,
    resolve: Resolve,
    linter: Linter | None = None,
    watchers: Sequence[Watcher] = (),
) -> Graph:
    """Return the graph of the target, and report to `linter` what is to be said of what was planned.

    `resolve` gives the image of a name. Raises InvalidError or UnsupportedError
    with the line that is to blame, NotFoundError for the target, and what `resolve` raises.
    """
    linter = linter or Linter()
    expander = Expander(dockerfile.directives.escape, linter)
    target_name = request.target or dockerfile.stages[-1].start.name or "default"
    built_in = platform_arguments(request.host or request.platform, request.platform, target_name)
    report_undeclared(dockerfile, request.build_args, built_in, linter)
    defaults = global_arguments(dockerfile.arguments, built_in, {}, expander)
    report_starts(dockerfile, defaults, linter)
    outer = global_arguments(dockerfile.arguments, built_in, request.build_args, expander)
    table = StageTable(dockerfile, outer, expander, request.platform)
    target = table.target(request.target)
    places = Places(table, request.contexts, resolve)
    arguments = Arguments(request.build_args, outer)
    watchers = (StageRules(dockerfile.directives.escape, linter), *watchers)
    planner = _Planner(arguments, expander, request, watchers, alone=len(table.entries) == 1)
    stages = needed(table, target, places, request.platform, every=request.every)
    for planned in stages:
        planner.add(planned)
    draft = planner.drafts[target.number]
    scans = find_scans(((each.entry, planner.drafts[each.entry.number]) for each in stages), outer, target)
    draft.change(labels=draft.config.labels | dict(request.labels))
    return Graph(
        vertices=tuple(planner.vertices),
        result=draft.vertex,
        config=draft.config,
        base=draft.base,
        steps=tuple(draft.steps),
        platform=_own_platform(draft, request),
        author=draft.author,
        scans=scans.stages,
        scans_context=scans.context,
    )


def _own_platform(draft: Draft, request: PlanRequest) -> Platform:
    """Return what the image says it is for: the base's own word, unless a platform was chosen."""
    base, asked = draft.platform, request.platform
    if not request.chosen:
        return base
    same = (base.os, base.architecture) == (asked.os, asked.architecture)
    return base if same and not asked.variant else asked


class _Planner:
    """Adds the vertices of one stage after the other."""

    def __init__(
        self,
        arguments: Arguments,
        expander: Expander,
        request: PlanRequest,
        watchers: Sequence[Watcher],
        *,
        alone: bool,
    ) -> None:
        self.vertices: list[Vertex] = []
        self.drafts: dict[int, Draft] = {}
        self._arguments = arguments
        self._expander = expander
        self._platform = request.platform
        self._several = request.several
        self._watchers = watchers
        self._alone = alone
        self._around = surroundings(arguments.given, request.hosts)
        self._shared: dict[str, int] = {}

    def add(self, planned: Planned) -> None:
        """Plan a stage; those that it needs have been added."""
        entry = planned.entry
        changing = [each for each, _ in planned.instructions if isinstance(each, _CHANGES_FILES)]
        total = len(changing) + isinstance(planned.start, BaseImage)
        names = self._names(entry, total)
        if isinstance(planned.start, StageEntry):
            draft = self.drafts[planned.start.number].child()
        elif isinstance(planned.start, Folder | Remote):
            draft = Draft(self._files(planned.start, entry), None, entry.platform)
            draft.record(f"FROM {planned.start.name}", draft.vertex)
        else:
            name = f"FROM {entry.base}"
            text = names.name(name) if planned.start else name
            vertex = self._source(planned.start, text, entry, entry.platform)
            draft = Draft(vertex, planned.start, entry.platform)
        self.drafts[entry.number] = draft
        for watcher in self._watchers:
            watcher.begin(planned)
        self._expander.certain = draft.known
        for instruction, triggered in planned.instructions:
            for watcher in self._watchers:
                watcher.see(draft, instruction, entry.stage.start.span if triggered else instruction.span)
            self._instruction(draft, instruction, planned, names, triggered=triggered)

    def _files(self, place: Folder | Remote, entry: StageEntry) -> int:
        """Return the vertex of a root filesystem with the files of a context, and nothing else."""
        if isinstance(place, Remote):
            return self._fetch(place.op, entry, entry.where)
        inputs = [self._source(None, "", entry, entry.platform), self._local(place.name, entry, entry.where)]
        op = Copy((".",), (), "/")
        return self._vertex(op, inputs, f"[internal] FROM {place.name}", entry, entry.where)

    def _names(self, entry: StageEntry, total: int) -> StepNames:
        labels = () if self._alone else (entry.label,)
        if not self._several:
            return StepNames(labels, total, None)
        return StepNames((str(entry.platform), *labels), total, self._platform)

    def _instruction(
        self,
        draft: Draft,
        instruction: ast.Instruction,
        planned: Planned,
        names: StepNames,
        *,
        triggered: bool,
    ) -> None:
        inputs = [draft.vertex]
        match instruction:
            case ast.Run():
                mounts = self._mounts(draft, instruction, planned, inputs)
                step: Step | None = run_step(draft, instruction, self._around, mounts)
            case ast.Workdir():
                step = workdir_step(draft, instruction, self._expander)
            case ast.Copy() | ast.Add():
                step = transfer_step(draft, instruction, self._expander)
                if step.fetched:
                    inputs += self._fetched(step.fetched, planned, instruction.span.where)
                elif instruction.transfer.sources:
                    inputs.append(self._from(instruction, planned))
            case _:
                fold(draft, instruction, self._arguments, self._expander)
                return
        if step is None:
            return
        text = ("ONBUILD " if triggered else "") + shown(instruction)
        where = planned.entry.where if triggered else instruction.span.where
        name = names.name(text, draft)
        draft.vertex = self._vertex(step.op, inputs, name, planned.entry, where, tuple(draft.declared))
        draft.record(step.history, draft.vertex)

    def _mounts(
        self, draft: Draft, instruction: ast.Run, planned: Planned, inputs: list[int]
    ) -> tuple[Mount, ...]:
        """Return the mounts of a RUN; what they read is added to its inputs."""

        def take(origin: str) -> int:
            place = planned.mounted[origin] if origin else Folder(MAIN)
            inputs.append(self._place(place, origin, planned.entry, instruction.span.where))
            return len(inputs) - 1

        return plan_mounts(draft, instruction, self._expander, take, self._around.caches)

    def _from(self, instruction: ast.Copy | ast.Add, planned: Planned) -> int:
        """Return the vertex that COPY or ADD takes its sources from."""
        where = instruction.span.where
        if isinstance(instruction, ast.Add) or instruction.origin is None:
            return self._local(MAIN, planned.entry, where)
        return self._place(planned.origins[instruction.origin], instruction.origin, planned.entry, where)

    def _fetched(self, fetched: Fetched, planned: Planned, where: Where) -> list[int]:
        """Return the vertices of what an ADD fetches, and of the context if it reads that too."""
        return [
            self._fetch(op, planned.entry, where) if op else self._local(MAIN, planned.entry, where)
            for op in fetched.inputs
        ]

    def _fetch(self, op: Git | Http, entry: StageEntry, where: Where) -> int:
        """Return the vertex that fetches `op`; one for all that use it."""
        from tiffin.build.remote import title

        return self._once(f"fetch {op}", op, f"[internal] {title(op)}", entry, where)

    def _place(self, place: Place, name: str, entry: StageEntry, where: Where) -> int:
        """Return the vertex of a stage, a context or an image that goes by `name`."""
        if isinstance(place, StageEntry):
            return self.drafts[place.number].vertex
        if isinstance(place, Folder):
            return self._local(place.name, entry, where)
        if isinstance(place, Remote):
            return self._fetch(place.op, entry, where)
        text = f"[{self._platform}] FROM {name}" if self._several else f"FROM {name}"
        return self._source(place, text, entry, self._platform, where)

    def _source(
        self,
        image: BaseImage | None,
        name: str,
        entry: StageEntry,
        platform: Platform,
        where: Where | None = None,
    ) -> int:
        """Return the vertex of an image, or of the empty root filesystem; one for all that use it."""
        op = Source(SCRATCH, ())
        if image is not None:
            op = Source(image.reference, image.diff_ids, platform, image.digest)
        return self._once(f"image {op.reference} {op.platform}", op, name, entry, where or entry.where)

    def _local(self, name: str, entry: StageEntry, where: Where) -> int:
        text = "load build context" if name == MAIN else f"load build context {name}"
        return self._once(f"local {name}", Local(name), f"[internal] {text}", entry, where)

    def _once(self, key: str, op: Op, name: str, entry: StageEntry, where: Where) -> int:
        if key not in self._shared:
            self._shared[key] = self._vertex(op, [], name, entry, where)
        return self._shared[key]

    def _vertex(
        self,
        op: Op,
        inputs: list[int],
        name: str,
        entry: StageEntry,
        where: Where,
        arguments: tuple[str, ...] = (),
    ) -> int:
        stage = entry.stage.start.name or str(entry.number)
        self.vertices.append(Vertex(op, tuple(inputs), name, stage, where, arguments))
        return len(self.vertices) - 1
