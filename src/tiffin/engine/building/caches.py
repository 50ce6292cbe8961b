"""The caches that a build reads and writes beside the store's own. Without any, nothing of it is loaded."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from tiffin.build.graph import CacheMount
    from tiffin.build.imported import ImportedCaches
    from tiffin.build.reading import Shown
    from tiffin.build.solve import Result
    from tiffin.engine.building.cacheflags import CacheSource, CacheTarget
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.digest import DiffID

_INLINE = "BUILDKIT_INLINE_CACHE"


class Solved(NamedTuple):
    """What a build came to, as far as its cache is concerned: all results, and the layers of the images.

    `digests` are those of what was read of layers, by chain and selector; `mounts` the cache mounts
    of its steps, with what fills new ones.
    """

    results: Mapping[int, Result]
    diff_ids: tuple[DiffID, ...]
    digests: Mapping[tuple[str, str], str]
    mounts: Sequence[tuple[CacheMount, Shown | None]] = ()
    imported: ImportedCaches | None = None


class Caches(NamedTuple):
    """Where the cache of a build comes from besides the store, and where it goes."""

    sources: tuple[CacheSource, ...] = ()
    targets: tuple[CacheTarget, ...] = ()
    inline: bool = False

    def imported(self, engine: Engine) -> AbstractContextManager[ImportedCaches | None]:
        """Give the caches to read, None without any, for the time of a `with` block."""
        if not self.sources:
            return nullcontext()
        from tiffin.engine.building.cacheimport import imported_caches

        return imported_caches(engine, self.sources)

    def carried(self, config: ImageConfig, solved: Solved) -> ImageConfig:
        """Return the config, with the cache in it if the image is to carry it."""
        if not self.inline:
            return config
        from tiffin.engine.building.cacheexport import with_cache

        return with_cache(config, solved)

    def export(self, engine: Engine, solved: Solved) -> None:
        """Write the cache to where it was asked for."""
        if self.targets:
            from tiffin.engine.building.cacheexport import export_caches

            export_caches(engine, self.targets, solved)


def plan_caches(request: BuildRequest) -> Caches:
    """Return what the request says of caches. Raises InvalidError or UnsupportedError."""
    asked = request.build_args.get(_INLINE) or ""
    if not (request.cache_from or request.cache_to or asked):
        return Caches()
    from tiffin.booleans import TRUE
    from tiffin.engine.building.cacheflags import parse_source, parse_target

    targets = tuple(parse_target(text) for text in request.cache_to)
    return Caches(
        tuple(parse_source(text) for text in request.cache_from),
        tuple(target for target in targets if not target.inline),
        asked in TRUE or any(target.inline for target in targets),
    )
