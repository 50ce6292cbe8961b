"""Containers that begin like one before: what was found out then is not found out again.

Record, runtime spec and plan of a container follow from the request, the image and the facts of
this machine; nothing in them but the id tells two containers apart. So they are kept, and
the next container for which all of that is the same gets them with its own id in the place of the
first one's. The image is looked up each time: when its name stands for something else, or a layer is
not there, or anything in the request or here has changed, the container is made from the beginning.

What is kept can be had again: it lies in the cache, and the oldest goes when there is much of it.
"""

from __future__ import annotations

import json
import marshal
import os
import sys
import time
import zlib
from pathlib import Path

from tiffin.container import names
from tiffin.container.record import Record, Records
from tiffin.container.removal import put_away
from tiffin.engine.standing import Made, Top, furnish, hold, lock_of, name_of
from tiffin.engine.starting import shares
from tiffin.linux.files import atomic_write, remove_lock
from tiffin.linux.record import NamedTuple
from tiffin.store.ready import is_ready
from tiffin.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tiffin.engine.engine import Engine
    from tiffin.engine.request import RunRequest

__all__ = ["Prepared", "keep", "make_again"]

_MOST = 100
_CHECK = 4
_PACKAGE = Path(__file__).parents[1]
_MAKERS = (
    *("engine/creation.py", "engine/starting.py", "engine/networkflags.py"),
    *("engine/variables.py", "oci/runtimespec.py", "container/environment.py"),
)


class Prepared(NamedTuple):
    """What the first container was: the canonical name of its image, what that stood for, and what it got."""

    name: str
    digest: str
    record: Record
    config: bytes
    plan: bytes
    top: Top


def keep(engine: Engine, request: RunRequest, prepared: Prepared) -> None:
    """Remember what the request led to, if it leads to the same each time."""
    key = _key(engine, request)
    if key is None or prepared.record.mounts:
        return
    record = prepared.record.to_wire()
    value = (
        prepared.name,
        prepared.digest,
        json.dumps(record),
        prepared.config,
        prepared.plan,
        *prepared.top,
    )
    data = marshal.dumps((key, value))
    place = _place(engine, key)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    _make_room(place.parent)
    atomic_write(place, zlib.crc32(data).to_bytes(_CHECK, "little") + data, sync=False)


def make_again(engine: Engine, request: RunRequest) -> Made | None:
    """Make a container from what is known of one before; None where that cannot be."""
    key = _key(engine, request)
    found = None if key is None else _read(_place(engine, key), key)
    if found is None:
        return None
    engine.enter()
    records = Records(engine.db)
    identity = names.new_id(os.urandom)
    name, digest, record_text, config, plan, *top = found
    old = json.loads(record_text)["id"]
    wire = json.loads(record_text.replace(old, identity).replace(old[:12], identity[:12]))
    wire |= {"name": name_of(records, request), "created": time.time_ns()}
    record = Record.from_wire(wire)
    directory, held = engine.home.containers / identity, hold(engine, record)
    try:
        spec = _renamed(config, old, identity)
        furnish(engine, directory, Top(*top), spec, stays=not record.remove)
        with engine.db.transaction() as connection:
            ready = is_ready(connection, engine.home, name, digest, record.layers)
            if ready:
                records.add(record)
    except BaseException:
        os.close(held)
        put_away(directory)
        raise
    if ready:
        return Made(record, _renamed(plan, old, identity), held)
    os.close(held)
    remove_lock(lock_of(engine, record))
    put_away(directory)
    return None


def _renamed(data: bytes, old: str, new: str) -> bytes:
    """The same with another id, and its short form; both are as long as before."""
    whole = data.replace(old.encode(), new.encode())
    return whole.replace(old[:12].encode(), new[:12].encode())


def _key(engine: Engine, request: RunRequest) -> Any:
    """All that record, spec and plan follow from, but the image; None if they follow from more than that.

    Volumes are made and filled, files are read, other containers and drivers come and go: those begin anew.
    """
    if (
        request.volumes
        or request.mounts
        or request.volumes_from
        or request.env_files
        or request.label_files
        or request.platform
        or request.pull == "always"
    ):
        return None
    if shares(request.network, request.security) or request.gpus or request.cdi_devices or request.devices:
        return None
    if any(name == "userns" or text.startswith("seccomp") for name, text in request.security):
        return None
    wanted = request._replace(name=None, detach=False, pull="")._asdict()
    wanted["client"] = request.input_once  # of how we are attached, that alone matters to the container
    lent = tuple(engine.settings.environ.get(item) for item in request.env if "=" not in item)
    here = (str(engine.home.root), os.uname().nodename, engine.settings.runtime, *engine.footing.key())
    return (VERSION, sys.version, _stamps(), here, tuple(wanted.values()), lent)


def _stamps() -> tuple[tuple[str, int, int], ...]:
    """What tells the code that makes specs and plans from another edition of it."""
    places = [str(_PACKAGE / name) for name in _MAKERS]
    with os.scandir(_PACKAGE / "runtime") as entries:
        places += sorted(entry.path for entry in entries if entry.is_file())
    found = ((place, os.stat(place)) for place in places)  # noqa: PTH116 - two dozen, each time
    return tuple((place, status.st_mtime_ns, status.st_size) for place, status in found)


def _place(engine: Engine, key: Any) -> Path:
    return engine.home.cache / "starts" / f"{zlib.crc32(repr(key).encode()):08x}"


def _make_room(directory: Path) -> None:
    there = list(directory.iterdir())
    if len(there) >= _MOST:
        for path in sorted(there, key=_age)[: _MOST // 2]:
            path.unlink(missing_ok=True)


def _age(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0  # another command makes room too


def _read(place: Path, key: Any) -> Any:
    """What is kept there for this very key, or None."""
    try:
        data = place.read_bytes()
    except OSError:
        return None
    if len(data) <= _CHECK or zlib.crc32(data[_CHECK:]).to_bytes(_CHECK, "little") != data[:_CHECK]:
        return None
    found, value = marshal.loads(data[_CHECK:])  # noqa: S302 - we wrote it, for ourselves alone, and it is whole
    return value if found == key else None
