"""Images that a build starts from or copies from: found in the store, else pulled, and unpacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.graph import BaseImage
from tiffin.engine.lookup import find_image
from tiffin.errors import NotFoundError, TiffinError, UnsupportedError
from tiffin.snapshot.unpack import unpack_image

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine
    from tiffin.errors import Where
    from tiffin.store.leases import Lease


class BaseResolver:
    """Resolves each image once and holds it by `lease`; with `pull`, a registry is asked first."""

    def __init__(self, engine: Engine, lease: Lease, *, pull: bool) -> None:
        self._engine = engine
        self._lease = lease
        self._pull = pull
        self._known: dict[str, BaseImage] = {}

    def resolve(self, reference: str, where: Where | None) -> BaseImage:
        """Return the image that `reference` names, unpacked. Raises NotFoundError at `where`."""
        if reference not in self._known:
            try:
                self._known[reference] = self._load(reference)
            except TiffinError as error:
                error.where = error.where or where
                raise
        return self._known[reference]

    def _load(self, reference: str) -> BaseImage:
        engine = self._engine
        image = None
        if not self._pull:
            image = find_image(engine, reference)
        if image is None:
            from tiffin.engine.transfers import pull

            pull(engine, reference)
            image = find_image(engine, reference)
        if image is None:
            raise NotFoundError(f"the base image {reference} is not here and could not be pulled")
        if engine.platform.rank(image.config.platform) is None:
            raise UnsupportedError(
                f"the image {reference} is made for {image.config.platform}, "
                f"and this machine is {engine.platform}",
                code="foreign-platform",
                hint="use an image that is made for this machine",
            )
        self._lease.add_all([("layer", diff_id) for diff_id in image.config.rootfs.diff_ids])
        self._lease.add("blob", image.descriptor.digest)
        unpack_image(engine.fetcher, image.manifest, image.config, engine.layers)
        return BaseImage(reference, image.config, image.config.rootfs.diff_ids)
