"""The graph below a descriptor: what an index, a manifest and a config refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tiffin.content.verify import read_manifest
from tiffin.errors import CorruptError
from tiffin.oci.manifest import Index, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.content.protocol import Fetcher
    from tiffin.oci.descriptor import Descriptor


_DOCUMENTS: Final = 64 << 20  # all that describes the images of one index, and is held in memory


def links(document: Manifest | Index) -> tuple[Descriptor, ...]:
    """What a document refers to: the entries of an index, a manifest's config and then its layers.

    Its subject is left out: that is what the document is about, not what it is made of.
    """
    if isinstance(document, Index):
        return document.manifests
    return (document.config, *document.layers)


def check_documents(size: int, root: Descriptor) -> None:
    """Raise CorruptError if the documents of an image so far take more bytes than those of any real one."""
    if size > _DOCUMENTS:
        raise CorruptError(
            f"the manifests of {root.digest} take more than {_DOCUMENTS >> 20} MiB", code="too-many-manifests"
        )


def children(fetcher: Fetcher, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """What the content refers to; nothing for content that is no manifest and no index."""
    if not (descriptor.is_index or descriptor.is_manifest):
        return ()
    return links(read_manifest(fetcher, descriptor))


def walk(fetcher: Fetcher, root: Descriptor) -> Iterator[Descriptor]:
    """Every descriptor below and including `root`, once per digest, each before what it refers to.

    Content that one document calls a layer and another a manifest is given once as each,
    or what lies below the manifest would be missed.
    """
    seen: set[tuple[str, bool]] = set()
    size = 0
    pending = [root]
    while pending:
        descriptor = pending.pop()
        key = (descriptor.digest, descriptor.is_index or descriptor.is_manifest)
        if key in seen:
            continue
        seen.add(key)
        if key[1]:
            size += descriptor.size
            check_documents(size, root)
        yield descriptor
        pending.extend(reversed(children(fetcher, descriptor)))
