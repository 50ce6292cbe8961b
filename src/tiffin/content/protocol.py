"""What every place that holds images can do, in four small protocols.

A place (the store, a registry, an OCI layout, an archive, memory) implements those
that fit: one that only gives is a Fetcher, perhaps a Resolver; one that takes is a Pusher, perhaps a
Tagger. Nobody who uses them knows where the bytes lie.

States of a blob in a place: absent, then present, by one atomic step. A push that fails, for whatever
reason, leaves it absent; a push of what is present changes nothing. All methods may be called from
several threads at once, also for the same blob.

    with closing(source.open(descriptor)) as stream:
        sink.push(descriptor, stream)
    sink.tag(reference, descriptor)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.reference import Reference


class Fetcher(Protocol):
    """Gives content by descriptor."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the bytes, from their beginning; the caller closes it.

        The bytes are as the place has them: whoever acts on them reads through
        `content.verify`, for a place may lie. `NotFoundError` when it has none.
        """
        ...


class Pusher(Protocol):
    """Takes content."""

    def has(self, descriptor: Descriptor) -> bool:
        """The content of this digest is present."""
        ...

    def push(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Take the content, read from `stream` up to its end; the caller closes the stream.

        `CorruptError` when size or digest is not the descriptor's, and then nothing is kept. When the
        content is present already, the stream may stay unread. A manifest may be
        refused while what it refers to is absent.
        """
        ...


class Resolver(Protocol):
    """Knows content by name."""

    def resolve(self, reference: Reference) -> Descriptor:
        """The descriptor that the name stands for now; `NotFoundError` when it stands for nothing."""
        ...


class Tagger(Protocol):
    """Gives names to content."""

    def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Let the name stand for `descriptor` from now on, whatever it stood for before."""
        ...


class Source(Fetcher, Resolver, Protocol):
    """A place that images come from."""


class Sink(Pusher, Tagger, Protocol):
    """A place that images go to."""
