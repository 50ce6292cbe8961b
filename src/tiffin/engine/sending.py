"""An image on its way to registries: under all its names, and sent again where a connection was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from tiffin.engine.lookup import is_whole
from tiffin.errors import TiffinError, UnavailableError
from tiffin.events import Notice
from tiffin.image.view import open_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tiffin.content.protocol import Fetcher, Pusher
    from tiffin.engine.engine import Engine
    from tiffin.engine.outgoing import Outgoing
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference
    from tiffin.registry.access import Registries
    from tiffin.registry.client import Repository

    BeforeTag = Callable[[Engine, Registries, Reference, Fetcher, Descriptor], None]

_ATTEMPTS: Final = 4
_TAGS: Final = 64
_THREADS: Final = 6


def send(
    engine: Engine,
    references: Sequence[Reference],
    make: Callable[[Pusher | None], Outgoing],
    *,
    by_digest: bool = False,
    before_tag: BeforeTag | None = None,
) -> Descriptor:
    """Send what `make` gives to the registries of `references`; return its descriptor there.

    It gets the tags of the references, or none at all with `by_digest`. `make` is told of the only
    registry, if there is but one: what that has need not be packed for it again. `before_tag` is called once
    all is there and has no name yet: who signs does it now, so that nobody ever sees the name unsigned.
    """
    with engine.registries() as registries:
        places = {each.name: registries.to_push(each, _mounts(engine, each)) for each in references}
        outgoing = make(next(iter(places.values())) if len(places) == 1 else None)
        descriptor = outgoing.descriptor.bare()
        for reference in references:
            repository = places[reference.name]
            deliver(engine, outgoing, descriptor, repository)
            if before_tag is not None:
                before_tag(engine, registries, reference, outgoing, descriptor)
            name = str(reference.tag)
            if by_digest:
                name = reference.name
            else:
                repository.tag(reference, descriptor)
            engine.emit(Notice(f"{name}: digest: {descriptor.digest} size: {descriptor.size}", "info"))
    return outgoing.descriptor


def to_send(engine: Engine, root: Descriptor, what: str) -> Descriptor:
    """Return what of `root` can be sent: all of it, or this machine's image if an index is not all here."""
    if not root.is_index or is_whole(engine, root):
        return root
    image = open_image(engine.fetcher, root, engine.platform, what=what)
    message = (
        f"only the image for {image.config.platform} is pushed, not the whole index: the rest is not here"
    )
    engine.emit(Notice(message, "info"))
    return image.descriptor


def deliver(engine: Engine, source: Fetcher, root: Descriptor, repository: Repository) -> None:
    """Send what `source` has of `root`, all that it is made of first; it has no tag there yet."""
    from tiffin.content.copy import copy_graph

    copy_graph(source, Persistent(source, repository), root, emit=engine.emit, threads=_THREADS)


class Persistent:
    """A Pusher to a registry that sends a blob again when the connection was cut off."""

    def __init__(self, source: Fetcher, repository: Repository) -> None:
        self._source = source
        self._repository = repository

    def has(self, descriptor: Descriptor) -> bool:
        """The registry has the content."""
        return self._repository.has(descriptor)

    def push(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Send the content: first from `stream`, and from its source for another attempt."""
        for attempt in range(_ATTEMPTS):
            try:
                if attempt == 0:
                    self._repository.push(descriptor, stream)
                else:
                    with self._source.open(descriptor) as again:
                        self._repository.push(descriptor, again)
            except UnavailableError as error:
                if attempt == _ATTEMPTS - 1 or error.code not in ("cut-off", "registry-status", "in-pieces"):
                    raise
                if error.code != "in-pieces":
                    self._repository.pause(attempt)
            else:
                return


def _mounts(engine: Engine, reference: Reference) -> dict[Digest, str]:
    """Blobs that other repositories of the same registry may have, going by the names in the store."""
    found: dict[Digest, str] = {}
    others = [
        tag
        for tag in engine.tags.all()
        if tag.reference.registry == reference.registry and tag.reference.repository != reference.repository
    ]
    for tag in others[:_TAGS]:
        try:
            image = open_image(engine.fetcher, tag.descriptor, engine.platform)
        except TiffinError:
            continue
        for layer in image.layers:
            digest = layer.descriptor.digest
            known = engine.layers.blobs_of(layer.diff_id) if digest == layer.diff_id else []
            for blob in (*(each.digest for each in known), digest):
                found.setdefault(blob, tag.reference.repository)
    return found
