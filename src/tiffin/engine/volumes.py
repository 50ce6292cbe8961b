"""Volumes: one function for each verb, over an open engine."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tiffin.container.logs import stamp
from tiffin.container.record import Records
from tiffin.engine.standing import volumes_of
from tiffin.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.engine.engine import Engine


class VolumeSummary(NamedTuple):
    """A volume and the names of the containers that mount it; `created` in seconds since 1970."""

    name: str
    mountpoint: Path
    labels: tuple[tuple[str, str], ...]
    containers: tuple[str, ...]
    created: float
    anonymous: bool


def create(engine: Engine, name: str | None = None, labels: Sequence[tuple[str, str]] = ()) -> str:
    """Make a volume, if there is none of the name yet, and return its name."""
    engine.enter()
    chosen = name or os.urandom(32).hex()
    volumes_of(engine).create(chosen, time.time_ns(), labels=dict(labels), anonymous=name is None)
    return chosen


def list_volumes(engine: Engine) -> list[VolumeSummary]:
    """Every volume, by name."""
    volumes, users = volumes_of(engine), _users(engine)
    return [
        VolumeSummary(
            volume.name,
            volumes.path(volume.name),
            tuple(volume.labels.items()),
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
                f"the volume {name} is used by the container {', '.join(users[name])}",
                code="volume-in-use",
                hint=f"remove it first: tiffin rm {' '.join(users[name])}",
            )
        volumes_of(engine).remove(name)


def inspect(engine: Engine, names: Sequence[str]) -> list[dict[str, Any]]:
    """Docker-shaped documents of volumes."""
    volumes = volumes_of(engine)
    return [
        {
            "CreatedAt": stamp(volume.created),
            "Driver": "local",
            "Labels": volume.labels,
            "Mountpoint": str(volumes.path(volume.name)),
            "Name": volume.name,
            "Options": None,
            "Scope": "local",
        }
        for volume in (volumes.find(name) for name in names)
    ]


def _users(engine: Engine) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in Records(engine.db).all():
        for mount in record.mounts:
            if mount.name:
                found.setdefault(mount.name, []).append(record.name)
    return found
