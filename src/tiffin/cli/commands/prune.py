"""tiffin system prune, image prune, container prune, volume prune and builder prune."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from tiffin.cli.buildflags import OTHER_BUILDER
from tiffin.cli.command import Command
from tiffin.cli.options import flag, usage, value, values
from tiffin.ui.columns import human_size

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.cachelimit import Bounds

FILTERS = ("label", "label!", "until")
_FORCE = flag("-f, --force", "Do not ask")
_FILTER = values("--filter", "NAME=VALUE", "Remove only some: until=24h, label=KEY[=VALUE]")
_SUMMARY = "Total reclaimed space"


class What(NamedTuple):
    """The kinds of things that a command removes."""

    containers: bool = False
    networks: bool = False
    images: Literal["none", "dangling", "all"] = "none"
    volumes: Literal["none", "anonymous", "all"] = "none"
    cache: Literal["none", "unused", "all"] = "none"
    bounds: Bounds | None = None


def run_system(session: Session, arguments: Arguments) -> int:
    """Remove stopped containers, unused networks, images and cache, and volumes if asked."""
    everything, volumes = arguments.flag("all"), arguments.flag("volumes")
    by_label = {"label", "label!"} & _filters(arguments).keys()
    losses = [
        "all stopped containers",
        "all networks not used by at least one container",
        *(["all anonymous volumes not used by at least one container"] if volumes else []),
        "all images without at least one container associated to them"
        if everything
        else "all dangling images",
        *([] if by_label else ["all build cache" if everything else "unused build cache"]),
        "whatever an ended process has left behind",
    ]
    warning = "WARNING! This will remove:\n" + "".join(f"  - {loss}\n" for loss in losses)
    what = What(
        containers=True,
        networks=True,
        images="all" if everything else "dangling",
        volumes="anonymous" if volumes else "none",
        cache="all" if everything else "unused",
    )
    return _prune(session, arguments, warning, what)


def run_images(session: Session, arguments: Arguments) -> int:
    """Remove images without a name, or all that no container uses."""
    if arguments.flag("all"):
        warning = "WARNING! This will remove all images without at least one container associated to them."
        return _prune(session, arguments, warning, What(images="all"))
    return _prune(
        session, arguments, "WARNING! This will remove all dangling images.", What(images="dangling")
    )


def run_containers(session: Session, arguments: Arguments) -> int:
    """Remove stopped containers."""
    return _prune(
        session, arguments, "WARNING! This will remove all stopped containers.", What(containers=True)
    )


def run_volumes(session: Session, arguments: Arguments) -> int:
    """Remove volumes that no container uses: those without a name, or all."""
    from tiffin.cli.units import parse_truth

    filters = _filters(arguments, (*FILTERS, "all"))
    asked = parse_truth("all", filters.get("all", ["false"])[-1])
    everything = arguments.flag("all") or asked
    which = "all local volumes" if everything else "anonymous local volumes"
    warning = f"WARNING! This will remove {which} not used by at least one container."
    return _prune(session, arguments, warning, What(volumes="all" if everything else "anonymous"), filters)


def run_builder(session: Session, arguments: Arguments) -> int:
    """Remove build cache that nothing uses, or all of it."""
    everything = arguments.flag("all")
    which = "all build cache" if everything else "all dangling build cache"
    return _prune(
        session,
        arguments,
        f"WARNING! This will remove {which}.",
        What(cache="all" if everything else "unused", bounds=_bounds(arguments)),
        _filters(arguments, ("until",)),
    )


def _bounds(arguments: Arguments) -> Bounds | None:
    """Read the options that say how much of the cache goes; None if all may go."""
    names = ("max-used-space", "reserved-space", "keep-storage", "min-free-space")
    if arguments.given.isdisjoint(names):
        return None
    from tiffin.cli.units import parse_size
    from tiffin.engine.cachelimit import Bounds

    most, reserved, kept, free = (
        None if (text := arguments.text(name)) is None else parse_size(text, f"--{name}") for name in names
    )
    return Bounds(most, kept if reserved is None else reserved, free)


def _prune(
    session: Session,
    arguments: Arguments,
    warning: str,
    what: What,
    filters: dict[str, list[str]] | None = None,
) -> int:
    from tiffin.engine.prune import PruneRequest, prune

    wanted = _filters(arguments) if filters is None else filters
    if len(wanted.get("until", [])) > 1:
        raise usage("the filter until can be given once", session.path)
    request = PruneRequest(
        containers=what.containers,
        networks=what.networks,
        images=what.images,
        volumes=what.volumes,
        cache=what.cache,
        bounds=what.bounds,
        until=_until(wanted),
        labels=tuple(wanted.get("label", [])),
        not_labels=tuple(wanted.get("label!", [])),
    )
    if not arguments.flag("force") and not session.confirm(warning):
        return 0
    with session.engine() as engine:
        report = prune(engine, request)
    for title, lines in (
        ("Deleted Containers:", report.containers),
        ("Deleted Networks:", report.networks),
        ("Deleted Volumes:", report.volumes),
        ("Deleted Images:", report.images),
        ("Deleted build cache objects:", report.cache),
    ):
        if lines:
            session.print("\n".join([title, *lines, ""]))
    session.print(f"{_SUMMARY}: {human_size(report.reclaimed, 4)}")
    return 0


def _filters(arguments: Arguments, known: tuple[str, ...] = FILTERS) -> dict[str, list[str]]:
    from tiffin.cli.units import parse_filters

    return parse_filters(arguments.texts("filter"), known)


def _until(wanted: dict[str, list[str]]) -> float | None:
    from tiffin.cli.units import parse_moment

    moments = [parse_moment(text, time.time(), "--filter until") for text in wanted.get("until", [])]
    return moments[0] if moments else None


SYSTEM = Command(
    "prune [OPTIONS]",
    run_system,
    options=(
        flag("-a, --all", "Remove all images that no container uses, and all build cache"),
        _FILTER,
        _FORCE,
        flag("--volumes", "Remove anonymous volumes too"),
    ),
    examples=("tiffin system prune -f", "tiffin system prune -a --volumes --filter until=168h"),
)
IMAGES = Command(
    "prune [OPTIONS]",
    run_images,
    options=(flag("-a, --all", "Remove all images that no container uses"), _FILTER, _FORCE),
    examples=("tiffin image prune -f",),
)
CONTAINERS = Command(
    "prune [OPTIONS]", run_containers, options=(_FILTER, _FORCE), examples=("tiffin container prune -f",)
)
VOLUMES = Command(
    "prune [OPTIONS]",
    run_volumes,
    options=(flag("-a, --all", "Remove volumes with a name too"), _FILTER, _FORCE),
    examples=("tiffin volume prune -f",),
)
BUILDER = Command(
    "prune [OPTIONS]",
    run_builder,
    options=(
        flag("-a, --all", "Remove all build cache"),
        values("--filter", "NAME=VALUE", "Remove only some: until=24h"),
        _FORCE,
        value("--keep-storage", "SIZE", "The same as --reserved-space"),
        value("--max-used-space", "SIZE", "Let the cache take so much"),
        value("--min-free-space", "SIZE", "Make so much of the disk free"),
        value("--reserved-space", "SIZE", "Let so much of the cache stay"),
        *OTHER_BUILDER,
    ),
    examples=("tiffin builder prune -f --filter until=24h",),
)
