"""The place in memory: the reference implementation of the content protocols."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from tiffin.content.verify import VerifyingReader
from tiffin.errors import NotFoundError
from tiffin.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference


class MemoryPlace:
    """Content and names in two maps; fetcher, pusher, resolver and tagger at once."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.tags: dict[Reference, Descriptor] = {}

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        try:
            return io.BytesIO(self.blobs[descriptor.digest])
        except KeyError:
            raise NotFoundError(f"content {descriptor.digest} is not in memory") from None

    def has(self, descriptor: Descriptor) -> bool:
        """The content is present, as `Pusher` says."""
        return descriptor.digest in self.blobs

    def push(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Take the content, as `Pusher` says."""
        if not self.has(descriptor):
            self.blobs[descriptor.digest] = VerifyingReader(stream, descriptor, owns=False).read()

    def resolve(self, reference: Reference) -> Descriptor:
        """What the name stands for, as `Resolver` says."""
        try:
            return self.tags[reference]
        except KeyError:
            raise NotFoundError(f"no image is named {reference.familiar} in memory") from None

    def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Name the content, as `Tagger` says."""
        self.tags[reference] = descriptor

    def write(self, data: bytes, media_type: str) -> Descriptor:
        """The descriptor of `data`, which is present from now on."""
        descriptor = Descriptor.of(data, media_type)
        self.blobs[descriptor.digest] = bytes(data)
        return descriptor
