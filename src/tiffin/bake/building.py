"""Building the targets of a selection, those that others use as contexts first.

One after another: each build uses all cores by itself, and what two of them have in
common is done once, since the second finds it in the cache. So a failure and Ctrl-C
stop everything at once.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tiffin.bake.requests import Inputs, build_request, for_context
from tiffin.bake.selection import links
from tiffin.errors import InvalidError
from tiffin.events import (
    Notice,
    StepDone,
    StepLog,
    StepProgress,
    StepStarted,
    StepUnreached,
    StepWhy,
    TerminalLent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiffin.bake.selection import Selection
    from tiffin.bake.target import Target
    from tiffin.engine.building.request import BuildRequest, BuildResult
    from tiffin.engine.engine import Engine
    from tiffin.events import Emit, Event
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest


@contextmanager
def inline_dockerfiles(selection: Selection) -> Iterator[dict[str, Path]]:
    """Give a file for each Dockerfile that a target holds itself."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="tiffin-bake-") as folder:
        found: dict[str, Path] = {}
        for name, target in selection.targets.items():
            if (text := target.text("dockerfile-inline")) is not None:
                path = Path(folder) / name / "Dockerfile"
                path.parent.mkdir()
                path.write_text(text)
                found[name] = path
        yield found


def check_requests(selection: Selection) -> None:
    """Raise what is wrong with any target, or with two of them, before the first is built."""
    writers: dict[str, str] = {}
    for name, target in selection.targets.items():
        for place in _files(build_request(target, Inputs())):
            other = writers.setdefault(place, name)
            if other != name:
                raise InvalidError(
                    f"the targets {other} and {name} both write {_shown(place)}",
                    code="bake-same-output",
                    hint="give each a file of its own, for example dest=NAME.tar",
                )


def _files(request: BuildRequest) -> Iterator[str]:
    """The files that its outputs write; of those of another nothing would be left. Folders are filled."""
    from tiffin.engine.building.outputspec import parse_output

    for output in map(parse_output, request.outputs):
        if output.dest is not None and (output.kind == "tar" or (output.holds_image and output.archive)):
            yield output.dest if output.dest == "-" else str(Path(output.dest).resolve())


def _shown(place: str) -> str:
    return "to standard output" if place == "-" else os.path.relpath(place)


def bake(
    engine: Engine,
    selection: Selection,
    built: Callable[[str, BuildResult], None],
    *,
    split: bool = False,
    why: bool = False,
) -> dict[str, BuildResult]:
    """Build all targets; `built` hears of each that was asked for. Return the results by target.

    With `split`, big layers become several; with `why`, events tell of each step why it hits or misses.
    """
    check_requests(selection)
    engine.enter()
    links_to = {link for target in selection.targets.values() for link in links(target).values()}
    several = len(selection.targets) > 1
    results: dict[str, BuildResult] = {}
    images: dict[str, Descriptor] = {}
    own = engine.emit
    with inline_dockerfiles(selection) as inline, _Held(engine) as held:
        try:
            for name in selection.order():
                target = selection.targets[name]
                engine.emit = _prefixed(own, name) if several else own
                request = build_request(target, Inputs(inline, images))._replace(split=split, why=why)
                result = None if target.linked else _build(engine, request)
                if result is not None:
                    results[name] = result
                    built(name, result)
                if name in links_to:
                    images[name] = held.image(target, request, result)
        finally:
            engine.emit = own
    return results


def _build(engine: Engine, request: BuildRequest) -> BuildResult:
    from tiffin.engine.builds import build

    return build(engine, request)


class _Held:
    """Images of targets while others are built on them; those that nobody else keeps go afterwards."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._made: list[Digest] = []

    def __enter__(self) -> Self:
        return self

    def image(self, target: Target, request: BuildRequest, result: BuildResult | None) -> Descriptor:
        """Return the digest of the image in the store that a target is."""
        if result is not None and not (request.outputs or request.annotations):
            return result.descriptor
        before = {image.descriptor.digest for image in self._engine.images.all()}
        wanted = for_context(request)
        if target.linked:  # it was not built yet
            wanted = wanted._replace(
                no_cache=request.no_cache,
                no_cache_filter=request.no_cache_filter,
                pull=request.pull,
                cache_to=request.cache_to,
            )
        descriptor = _build(self._engine, wanted).descriptor
        if descriptor.digest not in before:
            self._made.append(descriptor.digest)
        return descriptor

    def __exit__(self, *_: object) -> None:
        """Let go of what was made for others only; its steps stay in the cache."""
        named = {tag.descriptor.digest for tag in self._engine.tags.all()} if self._made else set()
        for digest in self._made:
            if digest not in named:
                self._engine.images.remove(digest)


def _prefixed(emit: Emit, target: str) -> Emit:
    """Return an `emit` that tells which target a step belongs to."""

    def forward(event: Event) -> None:
        match event:
            case StepStarted() | StepUnreached():
                emit(event._replace(step=f"{target}/{event.step}", name=f"[{target}] {event.name}"))
            case StepLog() | StepProgress() | StepDone() | StepWhy():
                emit(event._replace(step=f"{target}/{event.step}"))
            case Notice() | TerminalLent():
                emit(event)

    return forward
