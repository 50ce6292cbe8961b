"""The runtime spec as a document for others: of a container, of what `run` would start, or a plain one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from tiffin.container.record import Records
from tiffin.engine.creation import create
from tiffin.engine.running import remove
from tiffin.engine.standing import FILES, spec_of, volumes_of
from tiffin.engine.starting import equipped
from tiffin.linux.namespace import IdMap
from tiffin.oci.codec import encode
from tiffin.oci.config import ContainerConfig
from tiffin.oci.runtimespec import IDMapping, Namespace
from tiffin.runtime.model import UserMap
from tiffin.runtime.portable import portable
from tiffin.runtime.spec import HOST, NEW, Options, make_spec
from tiffin.runtime.users import User

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine
    from tiffin.engine.request import RunRequest
    from tiffin.oci.runtimespec import Mount, RuntimeSpec

__all__ = ["of_container", "of_request", "plain", "text"]

_ALL = 1 << 32


def text(spec: RuntimeSpec) -> str:
    """The document, indented; the root filesystem belongs into `rootfs` beside it."""
    return msgspec.json.format(encode(portable(spec)), indent=2).decode() + "\n"


def of_container(engine: Engine, name: str) -> RuntimeSpec | None:
    """The spec of a container that there is."""
    record = Records(engine.db).find(name)
    return None if record is None else equipped(engine, record, spec_of(engine, record))


def of_request(engine: Engine, request: RunRequest) -> RuntimeSpec:
    """The spec of the container that `request` would start: it is made, looked at, and taken away again.

    Its files in /etc are written when a container starts, and so are not in it.
    """
    engine.enter()
    volumes = volumes_of(engine)
    before = {volume.name for volume in volumes.all()}
    record = create(engine, request)
    try:
        spec = equipped(engine, record, spec_of(engine, record))
    finally:
        remove(engine, record, volumes=True)
        for mount in record.mounts:
            if mount.name and mount.name not in before and not mount.anonymous:
                volumes.remove(mount.name)
    return _without_files(spec)


def _without_files(spec: RuntimeSpec) -> RuntimeSpec:
    made = {f"/etc/{name}" for name in FILES}
    mounts = tuple(entry for entry in spec.mounts if entry.destination not in made)
    return msgspec.structs.replace(spec, mounts=mounts)


def plain(engine: Engine, *, rootless: bool) -> RuntimeSpec:
    """A spec to begin with: a shell in a terminal; with `rootless` for a user who has no subordinate ids.

    As runc's, that one shares the network of this machine: a user could not connect another.
    """
    place = engine.footing.place()._replace(users=UserMap(), ids=(IdMap(0, 0, _ALL),), single_id=False)
    network = HOST if rootless else NEW
    options = Options(command=("sh",), terminal=True, hostname="tiffin", network=network)
    spec = make_spec(ContainerConfig(), User(0, 0, (), "/root"), options, place)
    return _rootless(spec) if rootless else spec


def _rootless(spec: RuntimeSpec) -> RuntimeSpec:
    """The same in a user namespace with one id; what takes more ids, or cgroups, is left out."""
    linux = msgspec.structs.replace(
        spec.linux,
        namespaces=(*spec.linux.namespaces, Namespace("user")),
        uid_mappings=(IDMapping(0, os.geteuid(), 1),),
        gid_mappings=(IDMapping(0, os.getegid(), 1),),
    )
    mounts = tuple(_for_one_id(entry) for entry in spec.mounts if entry.type != "cgroup2")
    user = msgspec.structs.replace(spec.process.user, additional_gids=())
    process = msgspec.structs.replace(spec.process, user=user)
    return msgspec.structs.replace(spec, linux=linux, mounts=mounts, process=process)


def _for_one_id(entry: Mount) -> Mount:
    options = tuple(word for word in entry.options if not word.startswith("gid="))
    return msgspec.structs.replace(entry, options=options)
