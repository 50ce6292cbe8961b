"""Whether the store holds what it says: `system fsck`, which reads all of it, and mends what can be mended.

What a killed process leaves is no damage: nothing believes it, and the garbage collection takes it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tiffin.build.relay.shelf import Shelf
from tiffin.container.record import Records
from tiffin.content.walk import children
from tiffin.engine.collection import collect
from tiffin.engine.standing import CONFIG, directory_of, spec_of
from tiffin.errors import CorruptError, TiffinError
from tiffin.oci.descriptor import FOREIGN_LAYERS
from tiffin.oci.digest import DiffID, Digest
from tiffin.snapshot.unpack import unpack_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.oci.descriptor import Descriptor
    from tiffin.store.tags import Tag

Part = TypeVar("Part", Digest, DiffID)


class Problem(NamedTuple):
    """One thing that is wrong, and how it was mended; `outcome` is empty for what was left as it is."""

    what: str
    outcome: str = ""


class Report(NamedTuple):
    """What was looked at, `size` bytes of blobs and layers among it, and all that is wrong."""

    blobs: int
    layers: int
    images: int
    containers: int
    size: int
    problems: tuple[Problem, ...]

    @property
    def left(self) -> int:
        """How many problems nobody mended."""
        return sum(not problem.outcome for problem in self.problems)


def fsck(engine: Engine, *, repair: bool = False) -> Report:
    """Read every blob and every layer, and follow every name, image and container to what it needs.

    With `repair` what is damaged goes; what can be had again from the rest of the store comes back,
    and images that cannot are forgotten, so that they are pulled or built anew.
    """
    engine.enter()
    damaged = [Problem(f"the database: {line}") for line in engine.db.problems()]
    if damaged:  # what it says of all else is not to be relied on
        return Report(0, 0, 0, 0, 0, tuple(damaged))
    check = _Check(engine, repair=repair)
    blobs, layers = list(engine.blobs.all()), engine.layers.all()
    images = {image.descriptor: None for image in engine.images.all()}
    images |= {tag.descriptor: None for tag in engine.tags.all()}
    records = Records(engine.db).all()
    size = sum(engine.blobs.size(digest) or 0 for digest in blobs) + sum(engine.layers.sizes().values())
    problems = [
        *check.blobs(blobs),
        *check.layers(layers),
        *check.images(images),
        *check.containers(records),
        *check.packages(),
    ]
    if repair:
        collect(engine)
    return Report(len(blobs), len(layers), len(images), len(records), size, tuple(problems))


class _Check:
    """One look at a store; `_lost` is what was found damaged, and counts as if it were not there."""

    def __init__(self, engine: Engine, *, repair: bool) -> None:
        self._engine = engine
        self._repair = repair
        self._lost: set[str] = set()

    def blobs(self, digests: Iterable[Digest]) -> Iterator[Problem]:
        """Find blobs that are not what they are called; nothing keeps them."""
        for digest, error in _each(self._engine.blobs.verify, digests):
            self._lost.add(digest)
            if self._repair:
                self._engine.blobs.delete(digest)
            yield Problem(error.message, "it was removed" if self._repair else "")

    def layers(self, diff_ids: Iterable[DiffID]) -> Iterator[Problem]:
        """Find layers whose files were changed; the blob that one came as brings it back."""
        store = self._engine.layers
        here = [diff_id for diff_id in diff_ids if store.path(diff_id).is_dir()]
        for diff_id, error in _each(store.verify, here):
            self._lost.add(f"layer {diff_id}")
            outcome = ""
            if self._repair:
                store.discard(diff_id)
                outcome = "it was unpacked again" if self._unpack(diff_id) else "it was removed"
            yield Problem(error.message, outcome)
        store.settle()

    def images(self, descriptors: Iterable[Descriptor]) -> Iterator[Problem]:
        """Find images of which something is missing. Only what nothing else can give counts."""
        for descriptor in descriptors:
            lack = self._lack(descriptor)
            if lack and self._is_known(descriptor):
                names = [tag.reference for tag in self._tags(descriptor)]
                name = ", ".join(each.familiar for each in names) or descriptor.digest.short
                if self._repair:
                    self._engine.images.remove(descriptor.digest)
                    for reference in names:
                        self._engine.tags.remove(reference)
                outcome = "it was forgotten: pull, load or build it again" if self._repair else ""
                yield Problem(f"the image {name} is not whole: {lack}", outcome)

    def containers(self, records: Iterable[Record]) -> Iterator[Problem]:
        """Find containers that cannot be started any more. They stay: they hold what they wrote."""
        for record in records:
            lack = self._lack_of_container(record)
            if lack and Records(self._engine.db).find(record.id):
                yield Problem(f"the container {record.name} cannot be started: {lack}")

    def packages(self) -> Iterator[Problem]:
        """Find files of the relay that were changed; they are fetched again when they are wanted."""
        for digest in Shelf(self._engine.home).damaged(repair=self._repair):
            text = f"the package sha256:{digest[:12]} that the relay keeps was changed on disk"
            yield Problem(text, "it was removed" if self._repair else "")

    def _unpack(self, diff_id: DiffID) -> bool:
        engine = self._engine
        for blob in engine.layers.blobs_of(diff_id):
            if engine.blobs.has(blob) and blob.digest not in self._lost:
                unpack_layer(engine.blobs, blob, diff_id, engine.layers)
                self._lost.discard(f"layer {diff_id}")
                return True
        return False

    def _is_known(self, descriptor: Descriptor) -> bool:
        """Whether the image was not removed while we looked."""
        kept = any(image.descriptor.digest == descriptor.digest for image in self._engine.images.all())
        return kept or any(True for _ in self._tags(descriptor))

    def _tags(self, descriptor: Descriptor) -> Iterator[Tag]:
        return (tag for tag in self._engine.tags.all() if tag.descriptor.digest == descriptor.digest)

    def _lack(self, descriptor: Descriptor) -> str:
        """Say what the image lacks, or nothing. Of an index, the images that are here have to be whole."""
        if not self._has(descriptor):
            return f"its content {descriptor.digest.short} ({descriptor.media_type}) is lost"
        try:
            parts = children(self._engine.blobs, descriptor)
        except TiffinError as error:
            return error.message
        if descriptor.is_index:
            here = [part for part in parts if self._engine.blobs.has(part)]
            if parts and not here:
                return "it is an index, and none of its images is here"
            parts = tuple(here)
        return next(filter(None, map(self._lack, parts)), "")

    def _has(self, descriptor: Descriptor) -> bool:
        """Whether the content is here, as a blob or as the directory that gives it."""
        digest = descriptor.digest
        if descriptor.data is not None or descriptor.media_type in FOREIGN_LAYERS:
            return True
        if self._engine.blobs.has(descriptor) and digest not in self._lost:
            return True
        return descriptor.is_layer and self._has_layer(DiffID(digest), canonical=True)

    def _has_layer(self, diff_id: DiffID, *, canonical: bool = False) -> bool:
        layers = self._engine.layers
        whole = f"layer {diff_id}" not in self._lost and layers.has(diff_id)
        return whole and (layers.is_canonical(diff_id) or not canonical)

    def _lack_of_container(self, record: Record) -> str:
        if not directory_of(self._engine, record).exists():
            return ""  # somebody died while removing it; the next command takes the rest
        try:
            spec_of(self._engine, record)
        except (TiffinError, OSError) as error:
            return f"its {CONFIG} is damaged, so remove it ({error})"
        lost = [diff_id for diff_id in map(DiffID, record.layers) if not self._has_layer(diff_id)]
        return f"the layer {lost[0].short} of its image is lost, so pull or build that again" if lost else ""


def _each(verify: Callable[[Part], None], parts: Iterable[Part]) -> list[tuple[Part, CorruptError]]:
    """Verify on all cores; return what is damaged, and how."""

    def damage(part: Part) -> tuple[Part, CorruptError] | None:
        try:
            verify(part)
        except CorruptError as error:
            return part, error
        return None

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [found for found in pool.map(damage, parts) if found]
