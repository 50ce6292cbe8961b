"""`tiffin base` over an open store: the base becomes an image, its packages stay beside it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from tiffin.base.bootstrap import bootstrap
from tiffin.base.dpkg import Dpkg
from tiffin.base.lock import decode_lock
from tiffin.base.machine import Machine
from tiffin.base.request import BaseRequest, NewLayer
from tiffin.image.edit import Draft, uncompressed_layer
from tiffin.layer.describe import describe
from tiffin.linux.files import atomic_write
from tiffin.oci.reference import Reference
from tiffin.offline import is_offline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.base.request import BaseResult, Flavour
    from tiffin.engine.engine import Engine
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.store.leases import Lease

LOCK_TYPE = "application/vnd.tiffin.base.lock.v1+json"


class BaseOrder(NamedTuple):
    """What `tiffin base` was asked for; an empty `suite` is the machine's own."""

    suite: str = ""
    tags: tuple[str, ...] = ()
    flavour: Flavour = "runtime"
    python: bool = False
    include: tuple[str, ...] = ()
    lock: Path | None = None
    mirrors: tuple[str, ...] = ()
    keyring: Path | None = None
    offline: bool = False


class MadeBase(NamedTuple):
    """The image that was made."""

    image_id: Digest
    descriptor: Descriptor


def make_base(engine: Engine, order: BaseOrder) -> MadeBase:
    """Make the base, store it as an image under the names of the order, and write the lock if asked to."""
    engine.enter()
    tags = tuple(Reference.parse(tag).tagged() for tag in order.tags)
    request = _request(engine, order)
    with engine.leases.hold("base") as lease, engine.layers.workspace() as place:
        result = bootstrap(
            request,
            blobs=engine.blobs,
            make_layer=lambda: _new_layer(engine, place),
            run_in=Dpkg(engine, place).run,
            emit=engine.emit,
        )
        made = _store(engine, result, lease, tags)
    if order.lock is not None and not order.lock.exists():
        atomic_write(order.lock, result.lock.encode())
    return made


def _request(engine: Engine, order: BaseOrder) -> BaseRequest:
    lock = None
    if order.lock is not None and order.lock.exists():
        lock = decode_lock(order.lock.read_bytes(), os.fspath(order.lock))
    return BaseRequest(
        machine=Machine.load(engine.settings.environ),
        now=time.time(),
        suite=order.suite,
        flavour=order.flavour,
        python=order.python,
        include=order.include,
        mirrors=order.mirrors,
        keyring=order.keyring,
        lock=lock,
        offline=order.offline or is_offline(engine.settings.environ),
    )


def _new_layer(engine: Engine, place: Path) -> NewLayer:
    tree = place / "upper"
    tree.mkdir()
    tree.chmod(0o755)
    return NewLayer(tree, engine.layers.owners)


def _store(engine: Engine, result: BaseResult, lease: Lease, tags: Sequence[Reference]) -> MadeBase:
    """Commit the layer; write config, manifest and lock. A label of the config leads to the lock."""
    info = describe(result.layer.path, engine.layers.owners)
    lease.add("layer", info.diff_id)
    engine.layers.commit(result.layer.path, info)
    engine.blobs.write(result.lock.encode(), LOCK_TYPE)
    config = result.config
    draft = Draft.scratch(config.platform).append(
        uncompressed_layer(info.diff_id, info.size), info.diff_id, config.history[0]
    )
    draft = draft.configure(config.config).stamp(config.created)
    built = draft.build()
    engine.blobs.write(built.config, built.config_descriptor.media_type)
    descriptor = engine.blobs.write(built.manifest, built.descriptor.media_type)
    engine.layers.settle()
    engine.keep(descriptor, built.config_descriptor.digest, tags)
    return MadeBase(built.config_descriptor.digest, descriptor)
