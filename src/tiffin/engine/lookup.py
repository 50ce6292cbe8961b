"""Finds the image that a user means: by name, by digest, by id or the beginning of one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.errors import InvalidError, NotFoundError
from tiffin.image.view import open_image
from tiffin.linux.record import NamedTuple
from tiffin.oci.digest import DiffID
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine
    from tiffin.image.view import FetchedImage
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.manifest import Manifest
    from tiffin.oci.platform import Platform

_ID = r"(sha256:)?[0-9a-f]{4,64}"


class Meant(NamedTuple):
    """What a name stands for, unread; `reference` is None if it was an id."""

    reference: Reference | None
    descriptor: Descriptor


class Found(NamedTuple):
    """An image in the store. `descriptor` is what the name stands for, an index perhaps."""

    reference: Reference | None
    descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig

    @property
    def image_id(self) -> Digest:
        """The digest of the config."""
        return self.manifest.config.digest


def find_name(engine: Engine, name: str) -> Meant | None:
    """Return what `name` stands for, or None; a name wins over the beginning of an id."""
    reference = _reference(name)
    if reference is not None:
        descriptor = engine.tags.get(reference)
        if descriptor is not None:
            return Meant(reference, descriptor)
        if reference.digest is not None:
            return _pinned(engine, reference)
    if not re.fullmatch(_ID, name):
        return None
    images = engine.images.find(name)
    if len({image.image_id for image in images}) > 1:
        raise InvalidError(
            f"{name} is the beginning of several image ids",
            code="ambiguous-id",
            hint="give more digits; `tiffin images` lists them",
        )
    return Meant(None, images[0].descriptor) if images else None


def need_name(engine: Engine, name: str) -> Meant:
    """Return what `name` stands for. Raises NotFoundError with the nearest names."""
    meant = find_name(engine, name)
    if meant is None:
        near = engine.tags.nearest(name)
        raise NotFoundError(
            f"there is no image {name}",
            code="no-such-image",
            hint=f"did you mean {' or '.join(near)}?"
            if near
            else "`tiffin images` lists those that are here",
        )
    return meant


def find_image(engine: Engine, name: str) -> Found | None:
    """Return the image that `name` means, or None."""
    meant = find_name(engine, name)
    return None if meant is None else open_found(engine, meant.descriptor, meant.reference)


def need_image(engine: Engine, name: str, platform: Platform | None = None) -> Found:
    """Return the image that `name` means. Raises NotFoundError with the nearest names."""
    meant = need_name(engine, name)
    return open_found(engine, meant.descriptor, meant.reference, platform)


def find_complete(engine: Engine, name: str, platform: Platform) -> Found | None:
    """Return the image that `name` means for `platform`; None if the store has not all of its documents.

    An index may be here without the images of all its platforms. Raises NotFoundError if it
    has none for this one; the image of a plain manifest is returned whatever it is for.
    """
    meant = find_name(engine, name)
    if meant is None:
        return None
    try:
        return open_found(engine, meant.descriptor, meant.reference, platform)
    except NotFoundError as error:
        if error.code != "blob-not-found":
            raise
        return None


def open_found(
    engine: Engine, descriptor: Descriptor, reference: Reference | None, platform: Platform | None = None
) -> Found:
    """Read manifest and config of `descriptor`: of an index those that `open_best` gives."""
    image = open_best(engine, descriptor, platform, reference.familiar if reference else "")
    return Found(reference, descriptor, image.manifest, image.config)


def open_best(
    engine: Engine, descriptor: Descriptor, platform: Platform | None = None, what: str = ""
) -> FetchedImage:
    """Return the image of `descriptor`: of an index the one for `platform`.

    Without a platform that is this machine's, or the first that is here, if there is none for this machine.
    """
    try:
        return open_image(engine.fetcher, descriptor, platform or engine.platform, what=what)
    except NotFoundError:
        if platform is not None or not descriptor.is_index:
            raise
        from tiffin.image.platforms import open_platforms  # most images are for this machine

        others = open_platforms(engine.fetcher, descriptor).images
        if not others:
            raise
        return others[0].image


def of_platform(engine: Engine, found: Found, platform: Platform) -> Descriptor:
    """Return the manifest of the image for `platform`. Raises NotFoundError if there is none."""
    what = found.reference.familiar if found.reference else ""
    image = open_best(engine, found.descriptor, platform, what)
    if platform.rank(image.config.platform) is None:
        raise NotFoundError(
            f"{what} is not made for {platform}",
            code="no-such-platform",
            hint=f"it is made for {image.config.platform}",
        )
    return image.descriptor


def is_whole(engine: Engine, index: Descriptor) -> bool:
    """Whether every image of `index` is in the store, and all that stands beside them."""
    from tiffin.content.walk import walk  # only what gives an index away asks

    try:
        return all(
            engine.blobs.has(each) or (each.is_layer and engine.layers.is_canonical(DiffID(each.digest)))
            for each in walk(engine.fetcher, index)
        )
    except NotFoundError:
        return False


def _pinned(engine: Engine, reference: Reference) -> Meant | None:
    """What a name with a digest stands for, when only the name without it is known."""
    for tag in engine.tags.all():
        same = tag.reference.name == reference.name and reference.tag in (None, tag.reference.tag)
        if same and tag.descriptor.digest == reference.digest:
            return Meant(tag.reference, tag.descriptor)
    return None


def _reference(name: str) -> Reference | None:
    try:
        return Reference.parse(name).tagged()
    except InvalidError:
        if re.fullmatch(_ID, name):
            return None
        raise
