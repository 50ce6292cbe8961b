"""A container on networks that users have made, on its way to its start: what it needs is found, or made.

Loaded for such containers only.
"""

from __future__ import annotations

import fcntl
import os

from tiffin.engine.networkflags import parse
from tiffin.engine.request import RunRequest
from tiffin.errors import ConflictError, InvalidError, UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.network import publish
from tiffin.network.attach import examine
from tiffin.network.definitions import Definitions
from tiffin.network.leases import state_directory
from tiffin.network.plan import Endpoint, NetworkPlan, parse_mac
from tiffin.network.seating import leading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.container.record import EndpointRecord, Record
    from tiffin.engine.engine import Engine
    from tiffin.network.definitions import Definition
    from tiffin.network.home import Inside

__all__ = [
    "come_home",
    "definitions_of",
    "endpoint",
    "go_home",
    "names_of",
    "network_plan",
    "places",
    "state_of_networks",
]

_LOWEST = 10
"""Descriptors that a supervisor inherits keep out of the way of those that have fixed numbers."""


def definitions_of(engine: Engine) -> Definitions:
    """The networks of the engine's store."""
    return Definitions(engine.home.root / "networks")


def state_of_networks(engine: Engine) -> Path:
    """Where all that is known of who is in them lies."""
    if engine.rung is Rung.ROOT:
        return state_directory(engine.home.run)
    from tiffin.network.home import state_of_home  # root has none

    return state_of_home(engine.home.run)


def go_home(engine: Engine) -> None:
    """Without root: enter the user namespace of all networks of this user, and make it if need be.

    To be called before the engine enters any other; root has no need of it.
    """
    footing = engine.footing
    if engine.rung is Rung.ROOT or footing.networks is not None:
        return
    if footing.entered:
        raise UnsupportedError(
            "this process has begun to work for containers without networks",
            code="entered",
            hint="start the container by a command of its own",
            exit_status=125,
        )
    from tiffin.network.home import Inside, Wanted, find_or_make

    facts, isolation = examine(root=False), footing.isolation
    pasta = facts.pasta if facts.tun else ""
    found = find_or_make(engine.home.run, Wanted(isolation.uids, isolation.gids, pasta))
    footing.enter(beside=found.pid)
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST) for fd in (found.network, found.hold)]
    for fd in (found.network, found.hold):
        os.close(fd)
    footing.networks = Inside(found.pid, moved[0], moved[1], found.notice)


def come_home(engine: Engine, wanted: Sequence[RunRequest | Record]) -> None:
    """Do so for containers that are to be started, once all their networks are known to be there."""
    for each in wanted:
        if isinstance(each, RunRequest):
            places(engine, each)
        else:
            for place in each.networks:
                definitions_of(engine).need(place.name)
    go_home(engine)


def network_plan(engine: Engine, record: Record) -> NetworkPlan:
    """The plan of a container that starts on networks. Raises NotFoundError for one that is gone."""
    from tiffin.engine.standing import say
    from tiffin.network.tool import find

    root = engine.rung is Rung.ROOT
    facts = examine(root=root)
    known = definitions_of(engine)
    endpoints = tuple(
        endpoint(known.need(place.name), place, names_of(record, place)) for place in record.networks
    )
    first = not record.network
    if first and not root:
        raise UnsupportedError(
            "the default network cannot be combined with others without root",
            code="default-and-others",
            hint="leave it out: networks lead out too, unless they are internal",
            exit_status=125,
        )
    if root and not facts.nft:
        raise UnsupportedError(
            "networks need nft, which is not installed", hint="install nftables", exit_status=125
        )
    ports = tuple(publish.parse_all(record.publish))
    inside: Inside | None = engine.footing.networks
    way = leading(endpoints)
    if way is None and not first:
        if ports:
            say(engine, "-p has no effect: all networks of the container are internal")
        ports = ()
    elif inside is not None and (why := inside.notice or ("" if find("nft") else "nft is not installed")):
        say(engine, f"the container cannot reach out, only published ports work: {why}")
    if not root and inside is None:
        raise ConflictError("the networks of this user are not at hand", code="not-at-home", exit_status=125)
    return NetworkPlan(
        mode="bridge" if first else "networks",
        identity=record.id,
        state=str(state_of_networks(engine)),
        ports=ports,
        nft=facts.nft or find("nft"),
        endpoints=endpoints,
        dns=record.dns,
        home=inside.network if inside else -1,
        hold=inside.hold if inside else -1,
        mac=parse_mac(record.mac_address, "bridge") if record.mac_address and first else "",
    )


def places(engine: Engine, request: RunRequest) -> tuple[str, tuple[EndpointRecord, ...]]:
    """The mode that a request asks for, and its networks by their names. Raises NotFoundError."""
    mode, asked = parse(request)
    found = []
    for place in asked:
        network = definitions_of(engine).need(place.name)
        endpoint(network, place)
        found.append(place._replace(name=network.name))
    return (found[0].name if mode else ""), tuple(found)


def names_of(record: Record, place: EndpointRecord) -> tuple[str, ...]:
    """By which names others find the container in a network."""
    return tuple(dict.fromkeys((record.name, *place.aliases, record.short)))


def endpoint(network: Definition, place: EndpointRecord, names: tuple[str, ...] = ()) -> Endpoint:
    """A place in the network. Raises InvalidError for an address that nobody may choose."""
    if (place.ip or place.ip6) and not network.given:
        raise InvalidError(
            f"--network {network.name}: addresses can be chosen where the subnet was chosen too",
            code="no-given-subnet",
            hint=f"make it anew: tiffin network create --subnet {network.subnet} {network.name}",
            exit_status=125,
        )
    if place.ip6 and not network.subnet6:
        raise InvalidError(
            f"--network {network.name} has no IPv6",
            hint="make it with --ipv6",
            code="no-ipv6",
            exit_status=125,
        )
    return Endpoint(
        network=network.id,
        name=network.name,
        bridge=network.bridge,
        subnet=network.subnet,
        gateway=network.gateway,
        span=network.span,
        subnet6=network.subnet6,
        gateway6=network.gateway6,
        internal=network.internal,
        masquerade=network.masquerade,
        mtu=network.mtu,
        names=names,
        address=place.ip,
        address6=place.ip6,
        mac=place.mac,
        priority=place.priority,
    )
