"""The platforms that a build is for, and what each of them asks of the planner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.booleans import EITHER, TRUE
from tiffin.build.plan import PlanRequest
from tiffin.engine.building.inputs import context_kind
from tiffin.errors import InvalidError
from tiffin.oci.platform import Platform

if TYPE_CHECKING:
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine

_LOCAL = "local"
_EPOCH = "SOURCE_DATE_EPOCH"
_INDEX = "BUILDKIT_MULTI_PLATFORM"


def plan_requests(engine: Engine, request: BuildRequest) -> list[PlanRequest]:
    """Return what is asked of the planner, once for each platform, in the order of the request."""
    environ = engine.settings.environ
    given = {
        name: environ.get(name) if value is None else value for name, value in request.build_args.items()
    }
    build_args = {name: value for name, value in given.items() if value is not None}
    if epoch := environ.get(_EPOCH):
        build_args.setdefault(_EPOCH, epoch)
    chosen = _chosen(engine, request)
    one = PlanRequest(
        platform=engine.platform,
        host=engine.platform,
        chosen=bool(chosen),
        several=len(chosen) > 1 or _index_asked(build_args),
        build_args=build_args,
        target=request.target,
        contexts={name: context_kind(name, value) for name, value in request.build_contexts.items()},
        labels=dict(request.labels),
        hosts=tuple({line.name for line in request.steps.hosts}),
    )
    return [one._replace(platform=platform) for platform in chosen or (engine.platform,)]


def _chosen(engine: Engine, request: BuildRequest) -> tuple[Platform, ...]:
    """Return the platforms that were named, each once: by the request, else by the environment."""
    default = engine.settings.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    texts = request.platforms or ((default,) if default else ())
    parts = [part.strip() for text in texts for part in text.split(",")]
    found = (engine.platform if part == _LOCAL else Platform.parse(part) for part in parts)
    return tuple(dict.fromkeys(found))


def _index_asked(build_args: dict[str, str]) -> bool:
    """Whether the result shall be an index in any case."""
    value = build_args.get(_INDEX, "")
    if value and value not in EITHER:
        raise InvalidError(f"--build-arg {_INDEX}={value}: it must be 1 or 0")
    return value in TRUE
