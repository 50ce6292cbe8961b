"""Images in the store: list, tag, remove, inspect, history."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tiffin.engine.inspect import image_document
from tiffin.engine.lookup import Found, find_image, need_image, need_name, open_found
from tiffin.engine.reserve import spend
from tiffin.errors import ConflictError, CorruptError, NotFoundError
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tiffin.engine.engine import Engine
    from tiffin.oci.digest import DiffID, Digest
    from tiffin.oci.platform import Platform
    from tiffin.store.images import StoredImage

_NANO = 1_000_000_000


class ImageSummary(NamedTuple):
    """One image for lists: `created` is when it came to this store, in seconds; `size` that of its layers."""

    id: str
    references: tuple[str, ...]
    created: float
    size: int
    digest: str
    labels: Mapping[str, str]


class HistoryRow(NamedTuple):
    """One instruction of an image: `id` is the image's on the newest row, `created` in seconds."""

    id: str
    created: float | None
    created_by: str
    size: int
    comment: str


def list_images(engine: Engine, *, name: str | None = None, all_: bool = False) -> list[ImageSummary]:
    """Return the images, the newest first; those of one repository (and tag) with `name`.

    An image whose content is damaged is left out of lists, but not if it is asked for.
    """
    del all_  # what a build leaves between its steps are layers here, never images
    wanted = Reference.parse(name) if name else None
    references: dict[Digest, list[Reference]] = {}
    for tag in engine.tags.all():
        references.setdefault(tag.descriptor.digest, []).append(tag.reference)
    sizes = engine.layers.sizes()
    found = []
    for image in engine.images.all():
        own = references.get(image.descriptor.digest, [])
        if wanted is not None:
            own = [reference for reference in own if _matches(reference, wanted)]
            if not own:
                continue
        opened = open_whole(engine, image)
        if opened is None:
            continue
        found.append(
            ImageSummary(
                id=opened.image_id,
                references=tuple(sorted(reference.familiar for reference in own)),
                created=image.created / _NANO,
                size=_size(sizes, opened),
                digest=image.descriptor.digest,
                labels=opened.config.config.labels,
            )
        )
    return found


def open_whole(engine: Engine, image: StoredImage) -> Found | None:
    """Read manifest and config of the image; None if they are damaged or lost."""
    try:
        return open_found(engine, image.descriptor, None)
    except (CorruptError, NotFoundError):
        return None


def stack_of(engine: Engine, image: StoredImage) -> tuple[DiffID, ...] | None:
    """Return the layers of the image, of an index those of all its images; None if it is damaged."""
    try:
        if not image.descriptor.is_index:
            return open_found(engine, image.descriptor, None).config.rootfs.diff_ids
        from tiffin.image.platforms import open_platforms

        members = open_platforms(engine.fetcher, image.descriptor).images
    except (CorruptError, NotFoundError):
        return None
    return tuple(dict.fromkeys(each for member in members for each in member.image.config.rootfs.diff_ids))


def _matches(reference: Reference, wanted: Reference) -> bool:
    return reference.name == wanted.name and wanted.tag in (None, reference.tag)


def _size(sizes: Mapping[str, int], found: Found) -> int:
    """The bytes of the unpacked layers; of those that are not unpacked, what the manifest says."""
    layers = zip(found.manifest.layers, found.config.rootfs.diff_ids, strict=False)
    return sum(sizes.get(diff_id, descriptor.size) for descriptor, diff_id in layers)


def tag(engine: Engine, source: str, target: str) -> None:
    """Give the image `source` the name `target` too."""
    found = need_image(engine, source)
    reference = Reference.parse(target).tagged()
    engine.tags.set(reference, found.descriptor)
    engine.happened("image", "tag", found.image_id, name=reference.familiar)


def remove(engine: Engine, names: Sequence[str], *, force: bool = False) -> list[str]:
    """Remove names, and images that lose their last one; return a line for each, as Docker words them."""
    spend(engine.home)
    lines: list[str] = []
    for name in names:
        lines += _remove_one(engine, name, force=force)
    return lines


def _remove_one(engine: Engine, name: str, *, force: bool) -> list[str]:
    # Nothing is read: what is damaged has to go, too.
    reference, descriptor = need_name(engine, name)
    stored = engine.images.all()
    ids = {image.descriptor.digest: image.image_id for image in stored}
    image_id = ids.get(descriptor.digest, descriptor.digest)
    gone = {descriptor.digest}
    if reference is None:  # an id may be that of several manifests
        gone |= {digest for digest, known in ids.items() if known == image_id}
    own = [tag.reference for tag in engine.tags.all() if tag.descriptor.digest in gone]
    if reference is not None and len(own) > 1:
        engine.tags.remove(reference)
        engine.happened("image", "untag", image_id, name=reference.familiar)
        return [f"Untagged: {reference.familiar}"]
    if len(own) > 1 and not force:
        raise ConflictError(
            f"the image {name} has several names: {', '.join(reference.familiar for reference in own)}",
            code="several-names",
            hint="remove it by name, or with --force",
        )
    from tiffin.container.state import RUNNING
    from tiffin.engine.collection import collect
    from tiffin.engine.containers import ps

    users = [container for container in ps(engine, all_=True) if image_id in container.images]
    running = [user.name for user in users if user.state in RUNNING]
    if running or (users and not force):
        names = ", ".join(running or [user.name for user in users])
        raise ConflictError(
            f"the image {name} is used by the container {names}",
            code="image-in-use",
            hint=f"remove it first: tiffin rm {'-f ' if running else ''}{names}",
        )
    forget(engine, image_id, gone, own)
    collect(engine)
    return [*(f"Untagged: {reference.familiar}" for reference in own), f"Deleted: {image_id}"]


def forget(engine: Engine, image_id: str, digests: Iterable[Digest], names: Sequence[Reference]) -> None:
    """Let these manifests of an image and these names go: all at once, and the disk is waited for once."""
    with engine.db.transaction():
        for name in names:
            engine.tags.remove(name)
        for digest in digests:
            engine.images.remove(digest)
    for name in names:
        engine.happened("image", "untag", image_id, name=name.familiar)
    engine.happened("image", "delete", image_id, name=image_id)


def inspect(engine: Engine, names: Sequence[str], platform: Platform | None = None) -> list[dict[str, Any]]:
    """Return Docker's document of each image, of an index that for `platform`."""
    created = {image.descriptor.digest: image.created / _NANO for image in engine.images.all()}
    sizes = engine.layers.sizes()
    documents = []
    for name in names:
        found = need_image(engine, name, platform)
        own = [tag.reference for tag in engine.tags.all() if tag.descriptor.digest == found.descriptor.digest]
        stored = created.get(found.descriptor.digest, 0.0)
        documents.append(image_document(found, own, _size(sizes, found), stored))
    return documents


def history(engine: Engine, name: str, platform: Platform | None = None) -> list[HistoryRow]:
    """Return what made the image, of an index that for `platform`, the newest instruction first."""
    found = need_image(engine, name, platform)
    diff_ids = iter(found.config.rootfs.diff_ids)
    sizes = engine.layers.sizes()
    rows = []
    for entry in found.config.history:
        diff_id = None if entry.empty_layer else next(diff_ids, None)
        size = sizes.get(diff_id, 0) if diff_id else 0
        rows.append(HistoryRow("<missing>", _seconds(entry.created), entry.created_by, size, entry.comment))
    # An image that came without a history still has layers to show.
    rows += [HistoryRow("<missing>", None, "", sizes.get(diff_id, 0), "") for diff_id in diff_ids]
    rows.reverse()
    if rows:
        rows[0] = rows[0]._replace(id=found.image_id)
    return rows


def _seconds(created: str) -> float | None:
    try:
        return datetime.fromisoformat(created).timestamp() if created else None
    except ValueError:
        return None


def exists(engine: Engine, name: str) -> bool:
    """Whether there is an image of this name or id."""
    return find_image(engine, name) is not None
