"""What was asked for when a container was made, kept in the database under its id and its name."""

from __future__ import annotations

import json

from tiffin.errors import ConflictError, InvalidError, NotFoundError
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Literal

    from tiffin.store.db import Database

__all__ = ["EndpointRecord", "MountRecord", "Record", "Records"]

_NO_LABELS: Mapping[str, str] = {}


class MountRecord(NamedTuple):
    """A mount: a folder of the host, a volume (`name`), an image, or a file system in memory.

    `source` is a path, empty for a volume in memory, an image as it was given, or the options of a tmpfs.
    """

    kind: Literal["bind", "volume", "image", "tmpfs"]
    target: str
    source: str = ""
    name: str = ""
    read_only: bool = False
    anonymous: bool = False
    subpath: str = ""
    propagation: str = ""
    """As in `mounts.VolumeMount`."""
    recursion: str = ""
    """As in `mounts.VolumeMount`."""
    mode: str = ""
    """As Docker shows it: the words of `-v`, and z for other volumes with a name."""
    image_id: str = ""
    layers: tuple[str, ...] = ()
    """Of an image: diff ids, the lowest first."""
    options: tuple[str, ...] = ()
    """Of a volume with options: those of the mount."""
    asked: Literal["", "mount", "other"] = ""
    """By `-v` or `--tmpfs`, by `--mount`, or by another container or the image."""


class EndpointRecord(NamedTuple):
    """A place in a network that a user has made, as it was asked for."""

    name: str
    aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    mac: str = ""
    priority: int = 0


class Record(NamedTuple):
    """A container as asked for. `rename`, `update` and `network` change it; its state says how it stands."""

    id: str
    name: str
    image: str
    image_id: str
    created: int
    """Nanoseconds since 1970."""
    command: tuple[str, ...]
    layers: tuple[str, ...]
    """Diff ids, the lowest first."""
    keeps: tuple[tuple[str, str], ...] = ()
    """What the garbage collection must spare: kinds and keys, of blobs and layers."""
    labels: Mapping[str, str] = _NO_LABELS
    mounts: tuple[MountRecord, ...] = ()
    volumes_from: tuple[str, ...] = ()
    """As given with `--volumes-from`; what they mount is among `mounts`."""
    publish: tuple[str, ...] = ()
    """As given with `-p`; for `-P` one for each exposed port."""
    network: str = ""
    """As given with `--network`; empty for the default one."""
    networks: tuple[EndpointRecord, ...] = ()
    """Those that users have made; the first is `network` too, unless there is the default one beside them."""
    hostname: str = ""
    domainname: str = ""
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    mac_address: str = ""
    terminal: bool = False
    interactive: bool = False
    input_once: bool = False
    """Its standard input ends when the first that feeds it goes."""
    read_only: bool = False
    remove: bool = False
    stop_signal: str = ""
    stop_timeout: int | None = None
    security: tuple[tuple[str, str], ...] = ()
    """The options about what it may do and shares, by name, as given."""
    limits: tuple[tuple[str, str], ...] = ()
    """The options that limit it, by name, as given."""
    gpus: str = ""
    """As given with `--gpus`."""
    cdi_devices: tuple[str, ...] = ()
    """Devices by their CDI names; what they take is found out at each start."""
    devices: tuple[str, ...] = ()
    """Devices by their paths, as given."""
    first_id: int = 0
    """With `--userns auto`: the id of this machine that its root is, and its range begins with."""
    restart: str = ""
    """As given with `--restart`; empty for no."""
    health: tuple[Any, ...] = ()
    """As `health.Check`, if there is a check."""
    init: bool = False
    pidfile: str = ""
    log_driver: str = ""
    """Empty for json-file."""
    runtime: str = ""
    """The runtime that starts it, as it was named; empty for our own."""
    log_options: tuple[str, ...] = ()
    """As given with `--log-opt`."""
    entrypoint: tuple[str, ...] = ()
    """The first words of `command` that are the entrypoint."""
    user: str = ""
    """As given with `--user`, or by the image."""
    exposed: tuple[str, ...] = ()
    """Ports like 80/tcp, of the image and of `--expose`."""
    publish_all: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()

    @property
    def keeps_id(self) -> bool:
        """Whether the account is a user of its own in the container, and not its root."""
        return any(name == "userns" and text.startswith("keep-id") for name, text in self.security)

    @property
    def short(self) -> str:
        """The first twelve digits of the id."""
        return self.id[:12]

    def to_wire(self) -> dict[str, Any]:
        """The record as JSON-ready data, without what is as it is unless it is asked for."""
        defaults = self._field_defaults
        wire = {name: value for name, value in self._asdict().items() if defaults.get(name) != value}
        return wire | ({"mounts": [mount._asdict() for mount in self.mounts]} if self.mounts else {})

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Record:
        """The record that `to_wire` wrote, or a later tiffin, which may know more."""
        known = _known(wire, cls._fields)
        mounts = tuple(MountRecord(**_known(mount, MountRecord._fields)) for mount in wire.get("mounts", ()))
        networks = tuple(EndpointRecord(*map(_frozen, network)) for network in wire.get("networks", ()))
        return cls(**known | {"mounts": mounts, "networks": networks})


class Records:
    """The containers of a store."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, record: Record) -> None:
        """Keep the record. Raises ConflictError if the name is taken."""
        import sqlite3

        row = (record.id, record.name, json.dumps(record.to_wire()).encode(), record.created)
        try:
            with self._db.transaction(durable=not record.remove) as connection:
                connection.execute("INSERT INTO container (id, name, record, created) VALUES (?,?,?,?)", row)
                connection.executemany(
                    "INSERT INTO container_item (container, kind, key) VALUES (?,?,?)",
                    {(record.id, *item) for item in record.keeps},
                )
        except sqlite3.IntegrityError:
            raise self._taken(record.name, exit_status=125) from None

    def rename(self, record: Record, name: str) -> None:
        """Keep the record under another name. Raises ConflictError if that is taken."""
        import sqlite3

        renamed = json.dumps(record._replace(name=name).to_wire()).encode()
        try:
            with self._db.transaction(durable=True) as connection:
                connection.execute(
                    "UPDATE container SET name = ?, record = ? WHERE id = ?", (name, renamed, record.id)
                )
        except sqlite3.IntegrityError:
            raise self._taken(name) from None

    def change(self, identity: str, fields: Mapping[str, Any]) -> Record:
        """Keep the record with other fields, and return it. Raises NotFoundError if it is gone."""
        with self._db.transaction(durable=True) as connection:
            changed = self.need(identity)._replace(**fields)
            wire = json.dumps(changed.to_wire()).encode()
            connection.execute("UPDATE container SET record = ? WHERE id = ?", (wire, identity))
        return changed

    def remove(self, identity: str, *, durable: bool = False) -> None:
        """Forget the container."""
        with self._db.transaction(durable=durable) as connection:
            connection.execute("DELETE FROM container WHERE id = ?", (identity,))

    def all(self) -> list[Record]:
        """Every container, the newest first."""
        with self._db.read() as connection:
            rows = connection.execute("SELECT record FROM container ORDER BY created DESC").fetchall()
        return [Record.from_wire(json.loads(row[0])) for row in rows]

    def find(self, text: str) -> Record | None:
        """Return the container of that id or name, or whose id begins so; a name wins over a beginning."""
        bare = text.removeprefix("/")
        found = self._select("id = ?1 OR name = ?1", bare)
        if not found and bare and all(digit in "0123456789abcdef" for digit in bare):
            found = self._select("substr(id, 1, length(?1)) = ?1", bare)
        if len(found) > 1:
            raise InvalidError(
                f"{text} is the beginning of several container ids",
                code="ambiguous-id",
                hint="give more digits; `tiffin ps -a` lists them",
            )
        return found[0] if found else None

    def need(self, text: str) -> Record:
        """Return the container that `text` means. Raises NotFoundError with the nearest names."""
        record = self.find(text)
        if record is None:
            near = nearest(text, (record.name for record in self.all()))
            raise NotFoundError(
                f"there is no container {text}",
                code="no-such-container",
                hint=f"did you mean {' or '.join(near)}?" if near else "`tiffin ps -a` lists them",
            )
        return record

    def _taken(self, name: str, exit_status: int | None = None) -> ConflictError:
        owner = self.find(name)
        return ConflictError(
            f"the name {name!r} is taken by the container {owner.short if owner else name}",
            code="name-taken",
            hint=f"remove that one (tiffin rm {name}), or choose another name",
            exit_status=exit_status,
        )

    def _select(self, condition: str, value: str) -> list[Record]:
        with self._db.read() as connection:
            query = f"SELECT record FROM container WHERE {condition}"  # noqa: S608 - one of two constants
            rows = connection.execute(query, (value,)).fetchall()
        return [Record.from_wire(json.loads(row[0])) for row in rows]


def _known(wire: dict[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    return {name: _frozen(value) for name, value in wire.items() if name in fields}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def nearest(text: str, names: Iterable[str]) -> list[str]:
    """Return the names that are most like `text`."""
    from difflib import get_close_matches

    return get_close_matches(text, list(names), 2, 0.6)
