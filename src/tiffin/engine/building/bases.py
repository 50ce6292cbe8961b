"""Images that a build starts from or copies from: found in the store, else pulled, and unpacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.graph import BaseImage
from tiffin.engine.building.inputs import is_context_image
from tiffin.engine.lookup import find_complete
from tiffin.engine.settings import real_name
from tiffin.errors import NotFoundError, TiffinError
from tiffin.oci.config import ImageConfig
from tiffin.snapshot.unpack import unpack_image

if TYPE_CHECKING:
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine
    from tiffin.engine.lookup import Found
    from tiffin.errors import Where
    from tiffin.oci.platform import Platform
    from tiffin.store.leases import Lease


class BaseResolver:
    """Resolves the images of `request`, each once a platform, and holds them by `lease`."""

    def __init__(self, engine: Engine, lease: Lease, request: BuildRequest) -> None:
        self._engine = engine
        self._lease = lease
        self._request = request
        self._known: dict[tuple[str, Platform], BaseImage] = {}
        self.absent: dict[str, Where | None] = {}
        """What is not here and must not be fetched, and where it is asked for: a build cannot go on."""
        self.aliases: dict[str, str] = {}
        """The names in place of which another image was taken, and its name."""

    def resolve(self, reference: str, platform: Platform, where: Where | None) -> BaseImage:
        """Return the image that `reference` names for `platform`, unpacked.

        What is no index is taken whatever it is for. Raises NotFoundError at `where`.
        """
        key = reference, platform
        if key not in self._known:
            try:
                self._known[key] = self._load(reference, platform)
            except TiffinError as error:
                if error.code == "offline":  # what else is missing shall be said as well
                    self.absent[reference] = where
                    return BaseImage(reference, _nothing(platform), (), known=False)
                error.where = error.where or where
                raise
        return self._known[key]

    def _find(self, reference: str, platform: Platform) -> Found:
        """Find the image: where it is said to be, in the store, or in a registry, which `pull` asks first."""
        if is_context_image(reference):
            from tiffin.engine.building.contextimages import find_context_image

            return find_context_image(self._engine, reference, self._request, platform)
        pull = self._request.pull
        reference = real_name(self._engine, reference, self.aliases)
        found = None if pull else find_complete(self._engine, reference, platform)
        if found is None:
            from tiffin.engine.transfers import pull_base

            pull_base(self._engine, reference, platform, renew=pull)
            found = find_complete(self._engine, reference, platform)
        if found is None:
            raise NotFoundError(f"the base image {reference} is not here and could not be pulled")
        return found

    def _load(self, reference: str, platform: Platform) -> BaseImage:
        engine = self._engine
        image = self._find(reference, platform)
        if image.reference is not None and reference in self.aliases:
            reference = image.reference.familiar
        self._lease.add_all([("layer", diff_id) for diff_id in image.config.rootfs.diff_ids])
        self._lease.add("blob", image.descriptor.digest)
        unpack_image(engine.fetcher, image.manifest, image.config, engine.layers)
        return BaseImage(reference, image.config, image.config.rootfs.diff_ids, image.descriptor.digest)


def _nothing(platform: Platform) -> ImageConfig:
    return ImageConfig(platform.architecture, platform.os, variant=platform.variant)
