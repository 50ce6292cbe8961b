"""Edit images: every edit gives another value, and `build` gives the documents. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from tiffin.errors import InvalidError
from tiffin.image.mediatypes import oci_descriptor
from tiffin.oci.codec import encode
from tiffin.oci.config import ContainerConfig, History, ImageConfig, RootFS
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiffin.image.view import Image
    from tiffin.oci.digest import DiffID
    from tiffin.oci.platform import Platform


class Built(NamedTuple):
    """The documents of an image, and the descriptors that they are stored under."""

    config: bytes
    config_descriptor: Descriptor
    manifest: bytes
    descriptor: Descriptor


class Draft(msgspec.Struct, frozen=True):
    """An image that is being made: config and layers that agree in number, in every state."""

    config: ImageConfig
    layers: tuple[Descriptor, ...] = ()
    annotations: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Check that config and layers agree."""
        layers, diff_ids = len(self.layers), len(self.config.rootfs.diff_ids)
        if layers != diff_ids:
            raise InvalidError(f"an image cannot have {layers} layers and {diff_ids} diff ids")

    @classmethod
    def scratch(cls, platform: Platform) -> Self:
        """An image with nothing in it."""
        return cls(
            ImageConfig(
                platform.architecture,
                platform.os,
                platform.variant,
                os_version=platform.os_version,
                os_features=platform.os_features,
            )
        )

    @classmethod
    def of(cls, image: Image) -> Self:
        """A draft that begins as `image`; what its manifest was annotated with is not taken over."""
        return cls(image.config, tuple(oci_descriptor(layer) for layer in image.manifest.layers))

    def append(self, layer: Descriptor, diff_id: DiffID, history: History) -> Self:
        """The image with one more layer on top."""
        rootfs = RootFS((*self.config.rootfs.diff_ids, diff_id))
        noted = (*complete_history(self.config), msgspec.structs.replace(history, empty_layer=False))
        config = msgspec.structs.replace(self.config, rootfs=rootfs, history=noted)
        return msgspec.structs.replace(self, config=config, layers=(*self.layers, layer))

    def configure(self, container: ContainerConfig, history: History | None = None) -> Self:
        """The image with other defaults for its containers, noted in its history if that is given."""
        past = self.config.history
        if history is not None:
            past = (*complete_history(self.config), msgspec.structs.replace(history, empty_layer=True))
        config = msgspec.structs.replace(self.config, config=container, history=past)
        return msgspec.structs.replace(self, config=config)

    def stamp(self, created: str, *, author: str | None = None) -> Self:
        """The image with a time of creation (RFC 3339), and an author if one is given."""
        author = self.config.author if author is None else author
        config = msgspec.structs.replace(self.config, created=created, author=author)
        return msgspec.structs.replace(self, config=config)

    def annotate(self, annotations: dict[str, str]) -> Self:
        """The image with more annotations on its manifest."""
        return msgspec.structs.replace(self, annotations={**self.annotations, **annotations})

    def rebase(self, old: Draft, new: Draft) -> Self:
        """The image with its lowest layers, those of `old`, exchanged for those of `new`.

        The defaults for containers stay as they are. `InvalidError` when `old` is not what it stands on.
        """
        count = len(old.layers)
        own = self.config.rootfs.diff_ids
        if own[:count] != old.config.rootfs.diff_ids:
            raise InvalidError("the image does not stand on the base that is to be exchanged")
        past = complete_history(self.config)[len(complete_history(old.config)) :]
        config = msgspec.structs.replace(
            self.config,
            architecture=new.config.architecture,
            os=new.config.os,
            variant=new.config.variant,
            rootfs=RootFS((*new.config.rootfs.diff_ids, *own[count:])),
            history=(*complete_history(new.config), *past),
        )
        return msgspec.structs.replace(self, config=config, layers=(*new.layers, *self.layers[count:]))

    def build(self) -> Built:
        """The documents; the same draft gives the same bytes."""
        config = encode(self.config)
        config_descriptor = Descriptor.of(config, MediaType.OCI_CONFIG)
        manifest = encode(Manifest(config_descriptor, self.layers, self.annotations))
        return Built(config, config_descriptor, manifest, Descriptor.of(manifest, MediaType.OCI_MANIFEST))


def uncompressed_layer(diff_id: DiffID, size: int) -> Descriptor:
    """The descriptor of a layer that is stored as its plain tar of `size` bytes."""
    return Descriptor(MediaType.OCI_LAYER, diff_id, size)


def exchange_layers(config: ImageConfig, parts: Mapping[DiffID, Sequence[tuple[DiffID, str]]]) -> ImageConfig:
    """The config with layers exchanged for others that are the same together, each of which has a name.

    Each gets an entry in the history, as the whole had one.
    """
    if not parts:
        return config
    whole = iter(config.rootfs.diff_ids)
    diff_ids: list[DiffID] = []
    past: list[History] = []
    for entry in complete_history(config):
        if entry.empty_layer:
            past.append(entry)
            continue
        diff_id = next(whole)
        for part, name in parts.get(diff_id, ((diff_id, ""),)):
            diff_ids.append(part)
            past.append(msgspec.structs.replace(entry, comment=name) if name else entry)
    return msgspec.structs.replace(config, rootfs=RootFS(tuple(diff_ids)), history=tuple(past))


def complete_history(config: ImageConfig) -> tuple[History, ...]:
    """The history with an entry for each layer.

    Some tools write none; others, Docker first, take a history that does not count up for a broken image.
    """
    noted = sum(not entry.empty_layer for entry in config.history)
    missing = len(config.rootfs.diff_ids) - noted
    return (*(History(comment="not recorded") for _ in range(missing)), *config.history)
