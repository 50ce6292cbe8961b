"""Images that no build has made: of what a container has written, or of the files in a tar."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec

from tiffin.build.ops.stubs import remove_points
from tiffin.build.owner import find_user
from tiffin.container.record import Records
from tiffin.engine.building.results import store_image
from tiffin.engine.configchanges import changed
from tiffin.engine.pausing import still
from tiffin.engine.standing import UPPER, directory_of, settle, spec_of, tell
from tiffin.engine.written import lower_of, stubs_of
from tiffin.image.edit import complete_history
from tiffin.layer.apply import apply
from tiffin.layer.compress import decompress
from tiffin.layer.diff import normalise
from tiffin.layer.tar import open_tar
from tiffin.network import publish
from tiffin.oci.codec import decode
from tiffin.oci.config import ContainerConfig, History, ImageConfig, KeySet, RootFS
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.layer.describe import LayerInfo
    from tiffin.oci.platform import Platform

__all__ = ["Committed", "commit", "import_"]

_OURS = ("HOME", "HOSTNAME", "TERM")
"""Variables of this container, and not of the next one, unless the image says so."""


class Committed(NamedTuple):
    """What is to be said of an image: its name if it gets one, and how its config and history read.

    With `pause` a running container stands still while its files are read.
    """

    name: str | None = None
    changes: tuple[str, ...] = ()
    message: str = ""
    author: str = ""
    pause: bool = True


def commit(engine: Engine, name: str, wanted: Committed) -> Digest:
    """Make an image of a container: its own image, and a layer of what it has written. Returns the id.

    The same files in the same container give the same layer. What a running container that is not
    paused writes meanwhile is in the image or is not.
    """
    engine.enter()
    reference = None if wanted.name is None else Reference.parse(wanted.name).tagged()
    record = Records(engine.db).need(name)
    if record.keeps_id:
        from tiffin.engine.keepid import refuse

        refuse(engine, record, "committed")
    base = _base(engine, record)
    config = changed(_config(engine, record, base.config), wanted.changes, base.platform)
    with engine.leases.hold("commit") as lease:
        lease.add_all(record.keeps)
        with _layer_of(engine, record, pause=wanted.pause) as info:
            lease.add("layer", str(info.diff_id))
            image = ImageConfig(
                base.architecture,
                base.os,
                base.variant,
                author=base.author,
                config=config,
                rootfs=RootFS((*base.rootfs.diff_ids, info.diff_id)),
                history=complete_history(base),
                os_version=base.os_version,
                os_features=base.os_features,
            )
            image_id = _store(engine, image, wanted, " ".join(record.command), reference)
    engine.happened("image", "create", image_id, name=image_id)
    tell(engine, record, "commit", imageID=image_id, imageRef=reference.familiar if reference else "")
    return image_id


def import_(engine: Engine, source: BinaryIO, wanted: Committed, platform: Platform) -> Digest:
    """Make an image with one layer: the files of the tar `source`, compressed or not. Returns its id."""
    engine.enter()
    reference = None if wanted.name is None else Reference.parse(wanted.name).tagged()
    config = changed(ContainerConfig(), wanted.changes, platform)
    with engine.leases.hold("import") as lease, engine.layers.workspace() as place:
        tree = place / "tree"
        tree.mkdir()
        apply(decompress(source), tree, engine.owners, whiteouts=False)
        info = engine.layers.describe(tree)
        lease.add("layer", str(info.diff_id))
        engine.layers.commit(tree, info)
        image = ImageConfig(
            platform.architecture,
            platform.os,
            platform.variant,
            config=config,
            rootfs=RootFS((info.diff_id,)),
        )
        image_id = _store(engine, image, wanted, "", reference)
    engine.happened("image", "import", image_id, name=reference.familiar if reference else image_id)
    return image_id


def _base(engine: Engine, record: Record) -> ImageConfig:
    """The config of the container's image, which the container keeps even if nothing else does."""
    digest = Digest(record.image_id)
    descriptor = Descriptor(MediaType.OCI_CONFIG, digest, engine.blobs.size(digest) or 0)
    return decode(engine.blobs.read(descriptor), ImageConfig, f"the config of {record.image}")


@contextmanager
def _layer_of(engine: Engine, record: Record, *, pause: bool) -> Iterator[LayerInfo]:
    """What the container has written, copied, made canonical, and committed."""
    lower = lower_of(engine, record)
    with engine.layers.workspace() as place:
        tree = place / "tree"
        tree.mkdir()
        with still(engine, record) if pause else nullcontext():
            settle(engine, record)
            with open_tar(directory_of(engine, record) / UPPER, engine.owners) as stream:
                apply(stream, tree, engine.owners)
        remove_points(tree, stubs_of(engine, record, lower))
        normalise(tree, lower.status, engine.settings.epoch, engine.owners, place=lower.host)
        info = engine.layers.describe(tree)
        engine.layers.commit(tree, info)
        yield info


def _store(
    engine: Engine, image: ImageConfig, wanted: Committed, created_by: str, reference: Reference | None
) -> Digest:
    created = datetime.fromtimestamp(engine.settings.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = History(created, created_by, wanted.message, wanted.author)
    image = msgspec.structs.replace(image, created=created, history=(*image.history, entry))
    if wanted.author:
        image = msgspec.structs.replace(image, author=wanted.author)
    descriptor, image_id = store_image(engine, image)
    engine.layers.settle()
    engine.keep(descriptor, image_id, [] if reference is None else [reference])
    if reference is not None:
        engine.happened("image", "tag", image_id, name=reference.familiar)
    return image_id


def _config(engine: Engine, record: Record, image: ContainerConfig) -> ContainerConfig:
    """The defaults of an image that runs as the container did: its image's, and what `run` was told."""
    process = spec_of(engine, record).process
    own = image.environment()
    env = tuple(line for line in process.env if (name := line.partition("=")[0]) not in _OURS or name in own)
    entrypoint, command = image.entrypoint or (), record.command
    keeps_entrypoint = command[: len(entrypoint)] == entrypoint
    user = find_user(image.user, lower_of(engine, record))
    same_user = (user.uid, user.gid) == (process.user.uid, process.user.gid)
    published: KeySet = {
        f"{port.container}/{port.protocol}": {} for port in publish.parse_all(record.publish)
    }
    volumes: KeySet = {mount.target: {} for mount in record.mounts if mount.anonymous}
    return msgspec.structs.replace(
        image,
        env=env,
        entrypoint=entrypoint if keeps_entrypoint else None,
        cmd=command[len(entrypoint) :] if keeps_entrypoint else command,
        user=image.user if same_user else f"{process.user.uid}:{process.user.gid}",
        working_dir=image.working_dir if process.cwd == (image.working_dir or "/") else process.cwd,
        labels=dict(record.labels),
        exposed_ports={**image.exposed_ports, **published},
        volumes={**image.volumes, **volumes},
        stop_signal=record.stop_signal or image.stop_signal,
        on_build=(),
    )
