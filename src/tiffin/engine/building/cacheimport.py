"""Caches of other machines: found in a registry, a folder or an image, and read when a step first misses."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tiffin.build.imported import Import, ImportedCaches, Opened
from tiffin.engine.policyfile import admit
from tiffin.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.build.cachedocument import Cache
    from tiffin.content.protocol import Fetcher
    from tiffin.engine.building.cacheflags import CacheSource
    from tiffin.engine.engine import Engine
    from tiffin.image.layout import Layout
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.reference import Reference


@contextmanager
def imported_caches(engine: Engine, sources: Sequence[CacheSource]) -> Iterator[ImportedCaches]:
    """Yield the caches `sources`; none is opened before it is asked, and all are closed at the end."""
    with ExitStack() as held:
        imports = [Import(each.name, partial(_open, engine, each, held)) for each in sources]
        yield ImportedCaches(imports, engine.layers, engine.emit)


def _open(engine: Engine, source: CacheSource, held: ExitStack) -> Opened:
    if source.reference is not None:
        place, root = _in_registry(engine, source.reference, held)
    else:
        place, root = _in_folder(source)
    return Opened(read_cache(place, root, engine, source.name), place, source.mounts)


def _in_registry(engine: Engine, reference: Reference, held: ExitStack) -> tuple[Fetcher, Descriptor]:
    """Where the cache is: in the registry; in the store if the registry has no such image, and it has."""
    from tiffin.engine.lookup import find_name

    registries = held.enter_context(engine.registries())
    repository = registries.to_pull(reference)
    try:
        root = repository.resolve(reference)
    except (NotFoundError, UnavailableError):
        here = find_name(engine, str(reference))
        if here is None:
            raise
        return engine.fetcher, here.descriptor
    admit(engine, reference, [root.digest], registries)
    return repository, root


def _in_folder(source: CacheSource) -> tuple[Layout, Descriptor]:
    from tiffin.image.layout import Layout

    assert source.folder is not None
    layout = Layout(source.folder)
    return layout, layout.find(source.tag, source.digest)


def read_cache(place: Fetcher, root: Descriptor, engine: Engine, what: str) -> Cache:
    """Return the cache that `root` points to: an artifact of ours, or an image that carries one.

    Raises NotFoundError for anything else, CorruptError for what contradicts itself.
    """
    from tiffin.build.cachedocument import CONFIG, no_cache, read_document
    from tiffin.content.verify import fetch_bytes, read_manifest
    from tiffin.image.view import open_image
    from tiffin.oci.codec import LIMIT
    from tiffin.oci.descriptor import CONFIGS
    from tiffin.oci.manifest import Manifest

    document = read_manifest(place, root)
    if isinstance(document, Manifest) and document.config.media_type not in CONFIGS:
        if document.config.media_type != CONFIG:
            raise no_cache(what, document.artifact_type or document.config.media_type)
        return read_document(fetch_bytes(place, document.config, LIMIT), document.layers, (), what)
    image = open_image(place, root, engine.platform, what=what)
    carried = bytes(image.config.cache)
    if not carried:
        raise no_cache(what, image.manifest.config.media_type)
    return read_document(carried, image.manifest.layers, image.config.rootfs.diff_ids, what)
