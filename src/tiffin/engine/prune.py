"""What takes space, and how to get it back: `system df` and the `prune` commands."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from tiffin.build.ops.cachemounts import CacheMounts
from tiffin.build.relay.shelf import Shelf
from tiffin.container.record import Records
from tiffin.container.state import RUNNING
from tiffin.engine import containers, images, volumes
from tiffin.engine.cachelimit import Bounds, Remembered, least_used, taken
from tiffin.engine.collection import collect
from tiffin.engine.reserve import lay_up, spend
from tiffin.engine.room import free_bytes
from tiffin.engine.running import state_of
from tiffin.engine.standing import lock_of
from tiffin.errors import NotFoundError
from tiffin.events import Notice
from tiffin.linux.files import lock, remove_lock
from tiffin.oci.digest import Digest
from tiffin.store.partials import Partials

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tiffin.engine.containers import ContainerSummary
    from tiffin.engine.engine import Engine
    from tiffin.engine.images import ImageSummary

_NANO = 1_000_000_000


class ImageUsage(NamedTuple):
    """An image, the bytes that it shares with others, and how many containers use it."""

    id: str
    references: tuple[str, ...]
    created: float
    size: int
    shared_size: int
    containers: int


class VolumeUsage(NamedTuple):
    """A volume, its bytes, and how many containers use it."""

    name: str
    size: int
    links: int


class CacheUsage(NamedTuple):
    """A remembered step, a cache mount, or what the relay keeps of an address (`package`): its bytes.

    `shared` says whether an image has them too.
    """

    id: str
    kind: str
    size: int
    created: float
    used: float
    uses: int
    in_use: bool
    shared: bool


class DiskUsage(NamedTuple):
    """All that takes space. `layers_size` counts each layer of the images once, in bytes."""

    layers_size: int
    images: tuple[ImageUsage, ...]
    containers: tuple[ContainerSummary, ...]
    volumes: tuple[VolumeUsage, ...]
    cache: tuple[CacheUsage, ...]


class PruneRequest(NamedTuple):
    """What may go. `until` (seconds) spares what is younger; labels are `KEY` or `KEY=VALUE`.

    Cache mounts, and what the relay keeps, go with `cache="all"` only: they cannot be made again from layers.
    With `bounds` only so much of the cache goes as they demand, what was used least recently first, and
    nothing of those.
    """

    containers: bool = False
    networks: bool = False
    images: Literal["none", "dangling", "all"] = "none"
    volumes: Literal["none", "anonymous", "all"] = "none"
    cache: Literal["none", "unused", "all"] = "none"
    bounds: Bounds | None = None
    until: float | None = None
    labels: tuple[str, ...] = ()
    not_labels: tuple[str, ...] = ()


class PruneReport(NamedTuple):
    """What went, and the bytes that this gave back."""

    containers: tuple[str, ...]
    images: tuple[str, ...]
    volumes: tuple[str, ...]
    cache: tuple[str, ...]
    reclaimed: int
    networks: tuple[str, ...] = ()


def disk_usage(engine: Engine) -> DiskUsage:
    """Return what images, containers, volumes and build cache take."""
    engine.enter()
    sizes = _layer_sizes(engine)
    stacks = _stacks(engine)
    uses: dict[str, int] = {}
    for stack in stacks.values():
        for diff_id in set(stack):
            uses[diff_id] = uses.get(diff_id, 0) + 1
    everything = containers.ps(engine, all_=True, sizes=True)
    found = [
        ImageUsage(
            image.id,
            image.references,
            image.created,
            max(image.size, sum(sizes.get(diff_id, 0) for diff_id in stacks[image.digest])),
            sum(sizes.get(diff_id, 0) for diff_id in stacks[image.digest] if uses[diff_id] > 1),
            sum(container.image_id == image.id for container in everything),
        )
        for image in images.list_images(engine)
        if image.digest in stacks
    ]
    return DiskUsage(
        sum(sizes.get(diff_id, 0) for diff_id in uses),
        tuple(found),
        tuple(everything),
        tuple(
            VolumeUsage(volume.name, volumes.size(engine, volume.name), len(volume.containers))
            for volume in volumes.list_volumes(engine)
        ),
        tuple(_cache(engine, uses)),
    )


def cache_usage(engine: Engine) -> list[CacheUsage]:
    """Return what the build cache takes, what was used last first."""
    engine.enter()
    return list(_cache(engine, {diff_id: 1 for stack in _stacks(engine).values() for diff_id in stack}))


def prune(engine: Engine, request: PruneRequest) -> PruneReport:
    """Remove what the request names and nothing uses, then what nothing keeps any more."""
    spend(engine.home)
    engine.enter()
    gone = _prune_containers(engine, request) if request.containers else ()
    networks = _prune_networks(engine, request) if request.networks else ()
    removed = _prune_images(engine, request) if request.images != "none" else ()
    dropped, volume_bytes = _prune_volumes(engine, request) if request.volumes != "none" else ((), 0)
    if request.cache != "none" and (request.labels or request.not_labels):
        # Docker removes it all the same, whatever the labels say.
        engine.emit(
            Notice("the build cache stays: nothing in it has labels, and a filter asks for some", "info")
        )
        request = request._replace(cache="none")
    forgotten = _prune_cache(engine, request) if request.cache != "none" else ()
    mounts = request.cache == "all" and request.bounds is None
    emptied, cache_bytes = _prune_cache_mounts(engine, request) if mounts else ((), 0)
    packages, package_bytes = Shelf(engine.home).trim(0, before=request.until) if mounts else ([], 0)
    written = sum(size for _, size in gone)
    # Who asks for all that is unused gives up what was cut off, too; else it is kept to be gone on with.
    begun = sum(Partials(engine.home).sweep(0)) if request.images == "all" else 0
    reclaimed = collect(engine).size + begun + written + volume_bytes + cache_bytes + package_bytes
    lay_up(engine.home)
    caches = (*forgotten, *emptied, *(name[:12] for name in packages))
    return PruneReport(tuple(name for name, _ in gone), removed, dropped, caches, reclaimed, networks)


def _layer_sizes(engine: Engine) -> dict[str, int]:
    with engine.db.read() as connection:
        return {
            row["diff_id"]: row["usage"] for row in connection.execute("SELECT diff_id, usage FROM layer")
        }


def _stacks(engine: Engine) -> dict[str, tuple[str, ...]]:
    """The layers of each image that is not damaged, by the digest of its manifest or index."""
    stacks = ((image.descriptor.digest, images.stack_of(engine, image)) for image in engine.images.all())
    return {str(digest): stack for digest, stack in stacks if stack is not None}


def _cache(engine: Engine, uses: Mapping[str, int]) -> Iterable[CacheUsage]:
    sizes = _layer_sizes(engine)
    with engine.db.read() as connection:
        rows = connection.execute(
            "SELECT cache.*, COALESCE(LENGTH(record), 0) AS told FROM cache LEFT JOIN step_record USING (key)"
            " ORDER BY used DESC"
        ).fetchall()
    for row in rows:
        shared = row["diff_id"] in uses
        size = row["told"] + (sizes.get(row["diff_id"], 0) if row["diff_id"] else 0)
        times = row["created"] / _NANO, row["used"] / _NANO
        yield CacheUsage(row["key"][:12], "regular", size, *times, 1, in_use=shared, shared=shared)
    for folder in _cache_mounts(engine).all():
        yield CacheUsage(
            folder.key[:12],
            "exec.cachemount",
            folder.size,
            folder.created,
            folder.used,
            1,
            in_use=False,
            shared=False,
        )
    for kept in Shelf(engine.home).all():
        times = kept.created, kept.used
        yield CacheUsage(kept.id[:12], "package", kept.size, *times, 1, in_use=False, shared=False)


def _cache_mounts(engine: Engine) -> CacheMounts:
    return CacheMounts(engine.layers, engine.settings.epoch)


def _spared(created: float, labels: Mapping[str, str], request: PruneRequest) -> bool:
    if request.until is not None and created >= request.until:
        return True
    return not all(_has(labels, label) for label in request.labels) or any(
        _has(labels, label) for label in request.not_labels
    )


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def _prune_containers(engine: Engine, request: PruneRequest) -> tuple[tuple[str, int], ...]:
    gone = [
        container
        for container in containers.ps(engine, all_=True, sizes=True)
        if container.state not in RUNNING and not _spared(container.created, dict(container.labels), request)
    ]
    return tuple(
        (container.id, container.size) for container in gone if _remove_stopped(engine, container.id)
    )


def _remove_stopped(engine: Engine, identity: str) -> bool:
    """Remove a container, unless it is just being started, or somebody else was faster."""
    record = Records(engine.db).find(identity)
    if record is None:
        return False
    place = lock_of(engine, record)
    try:
        with lock(place, blocking=False):
            if state_of(engine, record).running:
                return False
            containers.rm(engine, [record.id])
    except (BlockingIOError, NotFoundError):
        return False
    remove_lock(place)
    return True


def _prune_networks(engine: Engine, request: PruneRequest) -> tuple[str, ...]:
    from tiffin.engine.networks import prune as prune_networks

    return prune_networks(engine, lambda created, labels: _spared(created, labels, request))


def _prune_images(engine: Engine, request: PruneRequest) -> tuple[str, ...]:
    used = {image for container in containers.ps(engine, all_=True) for image in container.images}
    lines: list[str] = []
    for image in images.list_images(engine):
        unwanted = request.images == "all" or not image.references
        if unwanted and image.id not in used and not _spared(image.created, image.labels, request):
            lines += _forget_image(engine, image)
    return tuple(lines)


def _forget_image(engine: Engine, image: ImageSummary) -> list[str]:
    names = [tag.reference for tag in engine.tags.all() if tag.descriptor.digest == image.digest]
    images.forget(engine, image.id, [Digest(image.digest)], names)
    return [*(f"untagged: {name.familiar}" for name in names), f"deleted: {image.id}"]


def _prune_volumes(engine: Engine, request: PruneRequest) -> tuple[tuple[str, ...], int]:
    gone = [
        volume
        for volume in volumes.list_volumes(engine)
        if not volume.containers
        and (request.volumes == "all" or volume.anonymous)
        and not _spared(volume.created, dict(volume.labels), request)
    ]
    freed = sum(volumes.size(engine, volume.name) for volume in gone)
    for volume in gone:
        with suppress(NotFoundError):  # another prune was faster
            volumes.remove(engine, [volume.name])
    return tuple(volume.name for volume in gone), freed


def _prune_cache(engine: Engine, request: PruneRequest) -> tuple[str, ...]:
    """Forget results: all, or those whose layer no image has; of these as many as the bounds demand."""
    kept = {diff_id for stack in _stacks(engine).values() for diff_id in stack}
    sizes = _layer_sizes(engine) if request.bounds else {}
    with engine.db.transaction() as connection:
        rows = connection.execute(
            "SELECT key, diff_id, used, COALESCE(LENGTH(record), 0) AS told"
            " FROM cache LEFT JOIN step_record USING (key)"
        )
        found = [
            Remembered(row["key"], row["diff_id"] or "", row["told"], row["used"])
            for row in rows
            if (request.cache == "all" or row["diff_id"] not in kept)
            and (request.until is None or row["used"] / _NANO < request.until)
        ]
        gone = [entry.key for entry in found]
        if request.bounds is not None:
            goal = request.bounds.goal(taken(found, sizes, kept), free_bytes(engine.home.root))
            gone = least_used(found, sizes, kept, goal)
        for table in ("cache", "step_record"):
            connection.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in gone])  # noqa: S608
    return tuple(key[:12] for key in gone)


def _prune_cache_mounts(engine: Engine, request: PruneRequest) -> tuple[tuple[str, ...], int]:
    """Remove the cache mounts that no step uses now."""
    caches = _cache_mounts(engine)
    gone = [
        folder
        for folder in caches.all()
        if (request.until is None or folder.used < request.until) and caches.remove(folder)
    ]
    return tuple(folder.key[:12] for folder in gone), sum(folder.size for folder in gone)
