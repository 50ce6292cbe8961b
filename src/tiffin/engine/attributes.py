"""What is asked of a container, or changed in it, without touching its processes or files: name and ports."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tiffin.container import control
from tiffin.container.names import check_name
from tiffin.container.record import Records
from tiffin.engine.running import state_of
from tiffin.engine.standing import control_of, tell
from tiffin.errors import InvalidError, NotFoundError
from tiffin.linux.record import NamedTuple
from tiffin.network.publish import Published

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine

__all__ = ["Binding", "ports", "rename"]


class Binding(NamedTuple):
    """A port of a container, as `8000/tcp`, and where on this machine it is offered, as `0.0.0.0:8000`."""

    container: str
    host: str


def rename(engine: Engine, name: str, wanted: str) -> None:
    """Give the container another name. Raises ConflictError if that is taken, by itself too."""
    records = Records(engine.db)
    record = records.need(name)
    bare = check_name(wanted)
    if bare == record.name:
        raise InvalidError(f"the container is called {bare} already", code="same-name")
    records.rename(record, bare)
    control.ask(control_of(engine, record), {"verb": "change", "name": bare})
    tell(engine, record._replace(name=bare), "rename", oldName=f"/{record.name}")
    if record.networks:
        from tiffin.engine.networks import renamed

        renamed(engine, record, bare)


def ports(engine: Engine, name: str, wanted: str = "") -> list[Binding]:
    """Where the ports of a container are offered; of `wanted`, like 8000 or 53/udp, alone.

    Raises NotFoundError if `wanted` is published nowhere.
    """
    record = Records(engine.db).need(name)
    published = [Published(*port[:4]) for port in state_of(engine, record).ports]
    found = [binding for port in published for binding in _bindings(port)]
    if not wanted:
        return sorted(found, key=lambda binding: _place(binding.container))
    port, _, protocol = wanted.partition("/")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise InvalidError(
            f"{wanted!r} is no port", code="invalid-port", hint="write 8000, 8000/tcp or 53/udp"
        )
    key = f"{int(port)}/{protocol or 'tcp'}"
    chosen = [binding for binding in found if binding.container == key]
    if not chosen:
        raise NotFoundError(
            f"no public port {key!r} is published for {record.name}",
            code="no-such-port",
            hint=f"`tiffin port {record.name}` lists those that are",
        )
    return chosen


def _bindings(port: Published) -> list[Binding]:
    """A port without an address is offered on all, of IPv4 and IPv6."""
    addresses = [port.address] if port.address else ["0.0.0.0", *(["::"] if socket.has_ipv6 else [])]  # noqa: S104
    key = f"{port.container}/{port.protocol}"
    return [Binding(key, f"[{one}]:{port.host}" if ":" in one else f"{one}:{port.host}") for one in addresses]


def _place(key: str) -> tuple[int, str]:
    port, _, protocol = key.partition("/")
    return int(port), protocol
