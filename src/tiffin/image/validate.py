"""Every invariant of an image, checked against its bytes; all failures at once."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from tiffin.content.verify import VerifyingReader, fetch_bytes, read_manifest
from tiffin.errors import TiffinError
from tiffin.layer.compress import decompress
from tiffin.oci.codec import decode
from tiffin.oci.config import ImageConfig
from tiffin.oci.manifest import Index, Manifest

if TYPE_CHECKING:
    from tiffin.content.protocol import Fetcher
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import DiffID, Digest

_CHUNK: Final = 1 << 20
_MAGIC: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


class Problem(NamedTuple):
    """One thing that is wrong: in which content, and what."""

    digest: Digest
    message: str


def validate(fetcher: Fetcher, root: Descriptor) -> tuple[Problem, ...]:
    """All that is wrong with an image, or with every image of an index; nothing when it is sound.

    Content that cannot be had or does not parse is a problem too; what can be checked
    without it still is.
    """
    return tuple(_Validation(fetcher).document(root))


class _Validation:
    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._checked: dict[tuple[Digest, Digest | None], list[Problem]] = {}

    def document(self, descriptor: Descriptor, depth: int = 0) -> list[Problem]:
        try:
            document = read_manifest(self._fetcher, descriptor)
        except TiffinError as error:
            return [Problem(descriptor.digest, error.message)]
        if isinstance(document, Manifest):
            return self._image(descriptor, document)
        if depth > 4:
            return [Problem(descriptor.digest, "the index is nested too deeply")]
        return self._index(descriptor, document, depth)

    def _index(self, descriptor: Descriptor, index: Index, depth: int) -> list[Problem]:
        problems = [] if index.manifests else [Problem(descriptor.digest, "the index lists nothing")]
        for entry in index.manifests:
            if entry.is_manifest or entry.is_index:
                problems += self.document(entry, depth + 1)
        return problems

    def _image(self, descriptor: Descriptor, manifest: Manifest) -> list[Problem]:
        problems: list[Problem] = []
        diff_ids: tuple[DiffID | None, ...] = (None,) * len(manifest.layers)
        try:
            data = fetch_bytes(self._fetcher, manifest.config)
            config = decode(data, ImageConfig, f"config {manifest.config.digest}")
        except TiffinError as error:
            problems.append(Problem(manifest.config.digest, error.message))
        else:
            problems += _agree(descriptor, manifest, config)
            if len(config.rootfs.diff_ids) == len(manifest.layers):
                diff_ids = config.rootfs.diff_ids
        for layer, diff_id in zip(manifest.layers, diff_ids, strict=True):
            known = self._checked.get((layer.digest, diff_id))
            if known is None:
                known = self._checked[layer.digest, diff_id] = self._layer(layer, diff_id)
                problems += known
        return problems

    def _layer(self, layer: Descriptor, diff_id: DiffID | None) -> list[Problem]:
        if not layer.is_layer:
            return [Problem(layer.digest, f"type {layer.media_type} is no layer")]
        try:
            with closing(VerifyingReader(self._fetcher.open(layer), layer)) as reader:
                problems = _compression(layer, reader)
                state = hashlib.new("sha256" if diff_id is None else diff_id.algorithm)
                _drain(decompress(reader), state)
                _drain(reader, None)  # bytes after the compressed stream count for the digest
        except TiffinError as error:
            return [Problem(layer.digest, error.message)]
        if diff_id is not None and state.hexdigest() != diff_id.encoded:
            message = f"uncompressed it is {state.name}:{state.hexdigest()}, but the config says {diff_id}"
            problems.append(Problem(layer.digest, message))
        return problems


def _agree(descriptor: Descriptor, manifest: Manifest, config: ImageConfig) -> list[Problem]:
    """What manifest, config and the entry that led here say against each other."""
    found = []
    layers, diff_ids = len(manifest.layers), len(config.rootfs.diff_ids)
    if layers != diff_ids:
        found.append(f"the manifest has {layers} layers, the config {diff_ids} diff ids")
    noted = sum(not entry.empty_layer for entry in config.history)
    if config.history and noted != diff_ids:
        found.append(f"the history accounts for {noted} layers, and there are {diff_ids}")
    if not config.os or not config.architecture:
        found.append("the config names no platform")
    entry = descriptor.platform
    if entry is not None and entry.os != "unknown" and config.os:
        said, real = entry.normalised(), config.platform.normalised()
        if (said.os, said.architecture) != (real.os, real.architecture):
            found.append(f"the index says it is for {said}, the config says {real}")
    if config.rootfs.type != "layers":
        found.append(f"the root file system is of the unknown type {config.rootfs.type!r}")
    return [Problem(descriptor.digest, message) for message in found]


def _compression(layer: Descriptor, reader: VerifyingReader) -> list[Problem]:
    """Whether the bytes are compressed as the media type says."""
    head = reader.peek(4)[:4] if layer.size else b""
    found = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "not")
    name = layer.media_type.rpartition("tar")[2].lstrip("+.") or "not"
    if found == name:
        return []
    return [Problem(layer.digest, f"it is {found} compressed, but its type says {name}")]


def _drain(stream: BinaryIO, state: hashlib._Hash | None) -> None:
    while data := stream.read(_CHUNK):
        if state is not None:
            state.update(data)
