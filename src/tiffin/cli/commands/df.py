"""tiffin system df."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, usage
from tiffin.cli.output import format_option, print_rows
from tiffin.ui.columns import ago, human_size, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.engine.prune import DiskUsage

HEADINGS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}


def run(session: Session, arguments: Arguments) -> int:
    """Show how much images, containers, volumes and build cache take, and how much could be freed."""
    from tiffin.engine.prune import disk_usage

    verbose, form = arguments.flag("verbose"), arguments.text("format")
    if verbose and form is not None:
        raise usage("--verbose and --format cannot both be given", session.path)
    with session.engine() as engine:
        usage_ = disk_usage(engine)
    if verbose:
        for line in details(usage_, time.time()):
            session.print(line)
    else:
        print_rows(session, summary(usage_), HEADINGS, list(HEADINGS), form)
    return 0


def summary(usage_: DiskUsage) -> list[Row]:
    """A row for each kind of thing."""
    from tiffin.container.state import RUNNING

    used = [image for image in usage_.images if image.containers]
    images_free = usage_.layers_size - _used_by(usage_)
    stopped = sum(one.size for one in usage_.containers if one.state not in RUNNING)
    volumes = sum(volume.size for volume in usage_.volumes)
    volumes_free = sum(volume.size for volume in usage_.volumes if not volume.links)
    cache = sum(entry.size for entry in usage_.cache if not entry.shared)
    cache_free = sum(entry.size for entry in usage_.cache if not (entry.in_use or entry.shared))
    running = sum(one.state in RUNNING for one in usage_.containers)
    written = sum(one.size for one in usage_.containers)
    linked = sum(bool(volume.links) for volume in usage_.volumes)
    active = sum(entry.in_use for entry in usage_.cache)
    return [
        _row(
            "Images",
            len(usage_.images),
            len(used),
            usage_.layers_size,
            _share(images_free, usage_.layers_size),
        ),
        _row("Containers", len(usage_.containers), running, written, _share(stopped, written)),
        _row("Local Volumes", len(usage_.volumes), linked, volumes, _share(volumes_free, volumes)),
        _row("Build Cache", len(usage_.cache), active, cache, human_size(cache_free, 4)),
    ]


def details(usage_: DiskUsage, now: float) -> list[str]:
    """Four tables, as `--verbose` shows them."""
    from tiffin.cli.commands.images import names
    from tiffin.cli.commands.ps import container_row

    images = [
        [
            repository,
            tag,
            image.id.partition(":")[2][:12],
            ago(image.created, now),
            human_size(image.size),
            human_size(image.shared_size, 4),
            human_size(image.size - image.shared_size, 4),
            str(image.containers),
        ]
        for image in usage_.images
        for repository, tag in names(image.references)[:1]
    ]
    fields = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
    rows = [container_row(container, now) for container in usage_.containers]
    containers = [[str(row[field]) for field in fields] for row in rows]
    volumes = [[volume.name, str(volume.links), human_size(volume.size, 4)] for volume in usage_.volumes]
    cache = [
        [
            entry.id + ("*" if entry.in_use else ""),
            entry.kind,
            human_size(entry.size),
            ago(entry.created, now),
            ago(entry.used, now),
            str(entry.uses),
            "true" if entry.shared else "false",
        ]
        for entry in usage_.cache
    ]
    total = human_size(sum(entry.size for entry in usage_.cache if not entry.shared), 4)
    heads = (
        "REPOSITORY|TAG|IMAGE ID|CREATED|SIZE|SHARED SIZE|UNIQUE SIZE|CONTAINERS",
        "CONTAINER ID|IMAGE|COMMAND|LOCAL VOLUMES|SIZE|CREATED|STATUS|NAMES",
        "VOLUME NAME|LINKS|SIZE",
        "CACHE ID|CACHE TYPE|SIZE|CREATED|LAST USED|USAGE|SHARED",
    )
    return [
        *_titled("Images space usage:", heads[0], images),
        *_titled("Containers space usage:", heads[1], containers),
        *_titled("Local Volumes space usage:", heads[2], volumes),
        *_titled(f"Build cache usage: {total}", heads[3], cache)[:-1],
    ]


def _titled(title: str, heads: str, rows: Sequence[Sequence[str]]) -> list[str]:
    return [title, "", *table([heads.split("|"), *rows]), ""]


def _used_by(usage_: DiskUsage) -> int:
    """Bytes of images that containers use, a shared part counted once, as Docker counts."""
    used = [image for image in usage_.images if image.containers]
    return min(usage_.layers_size, sum(image.size - image.shared_size for image in used))


def _row(kind: str, total: int, active: int, size: int, reclaimable: str) -> Row:
    return {
        "Type": kind,
        "TotalCount": str(total),
        "Active": str(active),
        "Size": human_size(size, 4),
        "Reclaimable": reclaimable,
    }


def _share(part: int, whole: int) -> str:
    return f"{human_size(part, 4)} ({part * 100 // whole}%)" if whole > 0 else human_size(part, 4)


COMMAND = Command(
    "df [OPTIONS]",
    run,
    options=(format_option(), flag("-v, --verbose", "Show every image, container, volume and cache entry")),
    examples=("tiffin system df", "tiffin system df -v"),
)
