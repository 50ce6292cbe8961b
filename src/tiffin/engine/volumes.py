"""Volumes: one function for each verb, over an open engine."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tiffin.container.lending import place_of
from tiffin.container.logs import stamp
from tiffin.container.record import Records
from tiffin.container.volumeoptions import parse_options
from tiffin.engine.standing import directory_of, volumes_of
from tiffin.errors import ConflictError
from tiffin.linux.files import tree_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.container.volumes import Volume, Volumes
    from tiffin.engine.engine import Engine

ANONYMOUS = "com.docker.volume.anonymous"


class VolumeSummary(NamedTuple):
    """A volume and the names of the containers that mount it; `created` in seconds since 1970."""

    name: str
    mountpoint: Path
    labels: tuple[tuple[str, str], ...]
    containers: tuple[str, ...]
    created: float
    anonymous: bool


def create(
    engine: Engine,
    name: str | None = None,
    labels: Sequence[tuple[str, str]] = (),
    options: Sequence[tuple[str, str]] = (),
) -> str:
    """Make a volume, if there is none of the name yet, and return its name.

    Raises ConflictError if there is one of the name with other options.
    """
    given = dict(options)
    parse_options(given)
    engine.enter()
    chosen, volumes = name or os.urandom(32).hex(), volumes_of(engine)
    made = volumes.create(chosen, time.time_ns(), labels=dict(labels), anonymous=name is None, options=given)
    if not made and given and volumes.find(chosen).options != given:
        raise ConflictError(
            f"the volume {chosen} exists with other options",
            code="volume-exists",
            hint="take another name, or remove that volume first",
        )
    if made:
        engine.happened("volume", "create", chosen, driver="local")
    return chosen


def list_volumes(engine: Engine) -> list[VolumeSummary]:
    """Every volume, by name."""
    volumes, users = volumes_of(engine), _users(engine)
    return [
        VolumeSummary(
            volume.name,
            _mountpoint(volumes, volume),
            tuple(_labels(volume).items()),
            tuple(users.get(volume.name, ())),
            volume.created / 1e9,
            volume.anonymous,
        )
        for volume in volumes.all()
    ]


def remove(engine: Engine, names: Sequence[str]) -> None:
    """Delete volumes that no container mounts, running or not."""
    engine.enter()
    users = _users(engine)
    for name in names:
        if name in users:
            raise ConflictError(
                f"the volume {name} is in use: it is used by the container {', '.join(users[name])}",
                code="volume-in-use",
                hint=f"remove it first: tiffin rm {' '.join(users[name])}",
            )
        volumes_of(engine).remove(name)
        engine.happened("volume", "destroy", name, driver="local")


def inspect(engine: Engine, names: Sequence[str]) -> list[dict[str, Any]]:
    """Docker-shaped documents of volumes."""
    volumes = volumes_of(engine)
    return [
        {
            "CreatedAt": stamp(volume.created),
            "Driver": "local",
            "Labels": _labels(volume) or None,
            "Mountpoint": str(_mountpoint(volumes, volume)),
            "Name": volume.name,
            "Options": dict(sorted(volume.options.items())) or None,
            "Scope": "local",
        }
        for volume in (volumes.find(name) for name in names)
    ]


def _mountpoint(volumes: Volumes, volume: Volume) -> Path:
    """Where the files lie: behind a volume may be another folder."""
    device = parse_options(volume.options)
    return Path(device.source) if device and device.source else place_of(volumes.path(volume.name))


def size(engine: Engine, name: str) -> int:
    """The bytes of what is in the volume itself, and would go with it."""
    return tree_size(place_of(volumes_of(engine).path(name)))


def _labels(volume: Volume) -> dict[str, str]:
    """The labels; Docker gives anonymous volumes one by which it knows them."""
    return {**({ANONYMOUS: ""} if volume.anonymous else {}), **volume.labels}


def _users(engine: Engine) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in Records(engine.db).all():
        if not directory_of(engine, record).exists():
            continue  # it was --rm, and has gone
        for mount in record.mounts:
            if mount.name:
                found.setdefault(mount.name, []).append(record.name)
    return found
