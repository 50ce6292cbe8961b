"""Stores with images in them, for tests of the engine: no container is started, no network asked."""

import io
import os
import tarfile

from tiffin.build.emit import manifest
from tiffin.container.record import Record, Records
from tiffin.engine.engine import Engine
from tiffin.engine.settings import Settings
from tiffin.oci import codec
from tiffin.oci.config import ContainerConfig, History, ImageConfig, RootFS
from tiffin.oci.descriptor import MediaType
from tiffin.oci.reference import Reference
from tiffin.snapshot.export import layer_descriptor
from tiffin.store.home import Home


def open_engine(base, name="store", emit=lambda _event: None):
    """An engine over a store of its own below `base`."""
    home = Home(base / name, base / f"{name}-run")
    return Engine.open(Settings(home, "auto", 0, {"HOME": str(base), "PATH": "/usr/bin:/bin"}), emit=emit)


def make_layer(engine, files):
    """Commit a layer of `files` (name → text), and return its diff id."""
    with engine.layers.workspace() as place:
        tree = place / "tree"
        tree.mkdir(mode=0o755)
        for name, text in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            os.utime(path, (1, 1))
        for directory, _, _ in os.walk(tree):
            os.utime(directory, (1, 1))
        info = engine.layers.describe(tree)
        engine.layers.commit(tree, info)
    return info.diff_id


def make_image(engine, *names, layers=({"f": "content"},), history=(), created="", **config):
    """Store an image of canonical layers under `names`; return its descriptor and id."""
    diff_ids = tuple(make_layer(engine, files) for files in layers)
    value = ImageConfig(
        engine.platform.architecture,
        "linux",
        created=created,
        config=ContainerConfig(**config),
        rootfs=RootFS(diff_ids=diff_ids),
        history=tuple(History(**entry) for entry in history),
    )
    described = engine.blobs.write(codec.encode(value), MediaType.OCI_CONFIG)
    raw = codec.encode(manifest(described, [layer_descriptor(engine.layers, each) for each in diff_ids]))
    descriptor = engine.blobs.write(raw, MediaType.OCI_MANIFEST)
    engine.keep(descriptor, described.digest, [Reference.parse(name).tagged() for name in names])
    return descriptor, described.digest


def foreign_tar(**files):
    """A layer's tar as other tools write it: its diff id cannot be had from the directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            data = text.encode()
            info.size, info.uname, info.mtime = len(data), "someone", 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def add_container(engine, found, name="box", *, created=1, labels=None, number=1):
    """Record a container of the image `found`, as if it had been created and not started."""
    identity = f"{number:064x}"
    (engine.home.containers / identity).mkdir()
    record = Record(
        id=identity,
        name=name,
        image="image",
        image_id=found.image_id,
        created=created,
        command=("true",),
        layers=tuple(found.config.rootfs.diff_ids),
        keeps=(
            ("blob", found.descriptor.digest),
            ("blob", found.image_id),
            *(("layer", diff_id) for diff_id in found.config.rootfs.diff_ids),
        ),
        labels=labels or {},
    )
    Records(engine.db).add(record)
    return record
