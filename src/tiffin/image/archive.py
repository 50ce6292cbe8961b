"""Archives of images as a place: what `docker save` writes, old and new, and tars of OCI layouts.

Old Docker (to 24) and its imitators write `manifest.json`, a config and one tar per layer; Docker 25
and later write an OCI layout with a `manifest.json` beside it. Nothing is unpacked: the members
are read where they lie, and an archive that comes through a pipe or is compressed goes to
one temporary file first.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import msgspec

from tiffin.content.verify import read_manifest
from tiffin.errors import CorruptError, InvalidError, NotFoundError, TiffinError, UnsupportedError
from tiffin.image.layout import INDEX, MARKER, blob_name, check_marker
from tiffin.image.members import Members
from tiffin.image.naming import find, name_of, named, unnamed
from tiffin.layer.compress import decompress
from tiffin.oci.codec import decode, encode
from tiffin.oci.config import ImageConfig
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.oci.manifest import LIMIT, Index, Manifest
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tiffin.image.members import Member

DOCKER_MANIFEST: Final = "manifest.json"
_CHUNK: Final = 1 << 20
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_COMPRESSED: Final = {
    b"\x1f\x8b": MediaType.OCI_LAYER_GZIP,
    b"\x28\xb5\x2f\xfd": MediaType.OCI_LAYER_ZSTD,
    b"BZh": "",
    b"\xfd7zXZ\0": "",
}


class DockerItem(msgspec.Struct, frozen=True, rename="pascal"):
    """One image in `manifest.json`: where its config and layers lie, and its names."""

    config: str
    repo_tags: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


class ArchivedImage(NamedTuple):
    """One image of an archive (or an index of several), and all names it has there."""

    descriptor: Descriptor
    references: tuple[Reference, ...]


class Archive:
    """An opened archive: fetcher and resolver over its members."""

    def __init__(self, file: BinaryIO, what: str) -> None:
        """Read what the archive says of itself; `file` stays open as long as the archive is used."""
        self._members = Members(file, what)
        self._what = what
        self._layers: dict[Digest, Member] = {}
        self._documents: dict[Digest, bytes] = {}
        self._entries = self._read_layout() if MARKER in self._members or INDEX in self._members else ()
        if DOCKER_MANIFEST in self._members:
            self._entries = self._read_docker(self._entries)
        elif not self._entries:
            raise self._not_an_image()

    @property
    def images(self) -> tuple[ArchivedImage, ...]:
        """The images, in the archive's order; one that has several names comes once."""
        names: dict[Descriptor, dict[Reference, None]] = {}
        for entry in self._entries:
            name = name_of(entry)
            names.setdefault(unnamed(entry), {}).update({} if name is None else {name: None})
        return tuple(ArchivedImage(descriptor, tuple(references)) for descriptor, references in names.items())

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        document = self._documents.get(descriptor.digest)
        if document is not None:
            return io.BytesIO(document)
        member = self._layers.get(descriptor.digest)
        if member is None and blob_name(descriptor.digest) in self._members:
            member = self._members.find(blob_name(descriptor.digest))
        if member is None:
            raise NotFoundError(f"{self._what} has no content {descriptor.digest}")
        return self._members.open(member)

    def resolve(self, reference: Reference) -> Descriptor:
        """What the name stands for, as `Resolver` says."""
        return find(self._entries, reference, self._what)

    def _read_layout(self) -> tuple[Descriptor, ...]:
        if MARKER in self._members:
            check_marker(self._members.read(MARKER, LIMIT), self._what)
        data = self._members.read(INDEX, LIMIT)
        index = decode(data, Index, f"{INDEX} of {self._what}", limit=LIMIT)
        return tuple(entry for entry in index.manifests if entry.is_manifest or entry.is_index)

    def _read_docker(self, entries: tuple[Descriptor, ...]) -> tuple[Descriptor, ...]:
        """The entries that `manifest.json` adds: names that the layout lacks, or all in an old archive."""
        data = self._members.read(DOCKER_MANIFEST, LIMIT)
        where = f"{DOCKER_MANIFEST} of {self._what}"
        items = decode(data, list[DockerItem], where, limit=LIMIT)
        if not entries and not items:
            raise CorruptError(f"{self._what} holds no image")
        known = {self._config_of(entry): entry for entry in entries if entry.is_manifest}
        added: list[Descriptor] = []
        for item in items:
            entry = known.get(self._config_digest(item))
            if entry is None and entries:
                continue  # of an index of several platforms, which the layout describes better
            if entry is None:
                entry = self._old_image(item)
                added.append(entry)
            elif name_of(entry) is not None:
                continue
            added += [named(entry, self._reference(tag)) for tag in item.repo_tags]
        return (*entries, *added)

    def _config_of(self, entry: Descriptor) -> Digest | None:
        try:
            manifest = read_manifest(self, entry)
        except NotFoundError:
            return None  # one platform of several that was not saved
        return manifest.config.digest if isinstance(manifest, Manifest) else None

    def _config_digest(self, item: DockerItem) -> Digest:
        return Digest.of(self._config_bytes(item))

    def _config_bytes(self, item: DockerItem) -> bytes:
        return self._members.read(item.config, LIMIT)

    def _old_image(self, item: DockerItem) -> Descriptor:
        """The image of an old archive, with the manifest that it would have had."""
        raw = self._config_bytes(item)
        digest = Digest.of(raw)
        claimed = item.config.rpartition("/")[2].removesuffix(".json")
        if _HEX.fullmatch(claimed) and claimed != digest.encoded:
            raise CorruptError(
                f"{self._what}: the config {item.config!r} does not match its digest; it is {digest}"
            )
        config = decode(raw, ImageConfig, f"the config of {self._what}")
        diff_ids = config.rootfs.diff_ids
        if len(diff_ids) != len(item.layers):
            raise CorruptError(
                f"{self._what} contradicts itself: {DOCKER_MANIFEST} lists {len(item.layers)} layers,"
                f" the config {len(diff_ids)}"
            )
        layers = [self._old_layer(name, diff_id) for name, diff_id in zip(item.layers, diff_ids, strict=True)]
        config_descriptor = Descriptor(MediaType.OCI_CONFIG, digest, len(raw))
        manifest = encode(Manifest(config_descriptor, tuple(layers)))
        descriptor = Descriptor.of(manifest, MediaType.OCI_MANIFEST)
        self._documents |= {digest: raw, descriptor.digest: manifest}
        return descriptor

    def _old_layer(self, name: str, diff_id: Digest) -> Descriptor:
        """The layer of that name: most are plain tars, and then the config knows their digest."""
        member = self._members.find(name)
        with self._members.open(member) as stream:
            magic = stream.read(6)
        media_type = next((kind for mark, kind in _COMPRESSED.items() if magic.startswith(mark)), None)
        if media_type == "":
            raise UnsupportedError(f"{self._what}: the layer {name!r} is compressed, but not by gzip or zstd")
        if media_type is None:
            descriptor = Descriptor(MediaType.OCI_LAYER, Digest(diff_id), member.size)
        else:
            descriptor = Descriptor(media_type, self._digest(member), member.size)
        self._layers[descriptor.digest] = member
        return descriptor

    def _digest(self, member: Member) -> Digest:
        state = Digest.of(b"").hasher()
        with self._members.open(member) as stream:
            while data := stream.read(_CHUNK):
                state.update(data)
        return Digest.from_hash(state)

    def _reference(self, text: str) -> Reference:
        try:
            return Reference.parse(text).tagged()
        except InvalidError as error:
            raise CorruptError(f"{self._what}: {error.message}", hint=error.hint) from None

    def _not_an_image(self) -> TiffinError:
        if "repositories" in self._members:
            return UnsupportedError(
                f"{self._what} is in the format of Docker before 1.10",
                hint="save the image again with a current tool",
            )
        return CorruptError(
            f"{self._what} holds no image: it has neither {DOCKER_MANIFEST} nor {INDEX}",
            code="not-an-image-archive",
            hint="an archive of a root file system is no image; ADD it in a Dockerfile FROM scratch",
        )


@contextmanager
def open_archive(
    stream: BinaryIO, spool: Path | None = None, *, what: str = "the archive"
) -> Iterator[Archive]:
    """The archive that `stream` gives, good within the context; the caller closes the stream.

    A plain file is read in place. What is compressed or comes through a pipe is written to one
    nameless file in `spool` first (the system's place for such files, if none is given).
    """
    from tempfile import TemporaryFile

    with ExitStack() as stack:
        if _readable_in_place(stream):
            file = stream
        else:
            file = stack.enter_context(TemporaryFile(dir=spool))
            _spool(stream, file)
        yield Archive(file, what)


def _readable_in_place(stream: BinaryIO) -> bool:
    """It is a plain file, at its beginning, and not compressed."""
    try:
        fd = stream.fileno()
        plain = stat.S_ISREG(os.fstat(fd).st_mode) and stream.tell() == 0
    except (OSError, AttributeError):
        return False
    return plain and not os.pread(fd, 6, 0).startswith(tuple(_COMPRESSED))


def _spool(stream: BinaryIO, file: BinaryIO) -> None:
    shutil.copyfileobj(decompress(stream), file, _CHUNK)
    file.flush()
