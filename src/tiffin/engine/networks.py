"""Networks: one function for each verb, over an open engine."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tiffin.container import joining
from tiffin.container.record import EndpointRecord, Record, Records
from tiffin.engine import networkmaking
from tiffin.engine.networkdocument import PREDEFINED_IDS, document, endpoint_document, predefined
from tiffin.engine.networking import definitions_of, endpoint, go_home, names_of, state_of_networks
from tiffin.engine.running import state_of
from tiffin.engine.standing import control_of
from tiffin.errors import ConflictError, DeniedError, NotFoundError, UnsupportedError
from tiffin.linux.files import lock
from tiffin.linux.isolation import Rung
from tiffin.linux.remove import remove_tree
from tiffin.network import segment, segmentleases
from tiffin.network.leases import NETWORKS
from tiffin.network.tool import find

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.engine.engine import Engine
    from tiffin.engine.networkmaking import NetworkRequest
    from tiffin.network.definitions import Definition
    from tiffin.network.home import Inside
    from tiffin.network.segmentleases import Lease


class NetworkSummary(NamedTuple):
    """A row of `network ls`; `created` in seconds since 1970. `containers` run on it, or would."""

    id: str
    name: str
    driver: str
    created: float
    internal: bool
    ipv6: bool
    labels: tuple[tuple[str, str], ...]
    predefined: bool
    containers: tuple[str, ...]


def create(engine: Engine, request: NetworkRequest) -> str:
    """Make a network and return its id; bridge and rules come with its first container."""
    identity = os.urandom(32).hex()
    made = definitions_of(engine).add(
        request.name, lambda others: networkmaking.decide(request, identity, time.time_ns(), others)
    )
    _happened(engine, "create", made)
    return made.id


def list_networks(engine: Engine) -> list[NetworkSummary]:
    """Every network, by name; the three that are always there among them."""
    users = _users(engine)
    found = [
        NetworkSummary(
            one.id,
            one.name,
            "bridge",
            one.created / 1e9,
            one.internal,
            bool(one.subnet6),
            tuple(one.labels.items()),
            False,
            tuple(users.get(one.name, ())),
        )
        for one in definitions_of(engine).all()
    ]
    found += [
        NetworkSummary(identity, name, "null" if name == "none" else name, 0, False, False, (), True, ())
        for name, identity in PREDEFINED_IDS.items()
    ]
    return sorted(found, key=lambda one: one.name)


def inspect(engine: Engine, names: Sequence[str]) -> list[dict[str, Any]]:
    """Docker-shaped documents of networks."""
    found = []
    for name in names:
        if known := _predefined(engine, name):
            found.append(predefined(known))
        else:
            network = definitions_of(engine).need(name)
            found.append(document(network, _members(engine, network)))
    return found


def remove(engine: Engine, name: str) -> None:
    """Forget a network that no container runs on, and take its bridge away."""
    if known := _predefined(engine, name):
        raise DeniedError(
            f"{known} is a pre-defined network and cannot be removed", code="predefined-network"
        )
    network = definitions_of(engine).need(name)
    busy = _members(engine, network)
    if busy:
        names = sorted({lease.name for lease in busy})
        raise ConflictError(
            f"the network {network.name} has active endpoints: {', '.join(names)}",
            code="network-in-use",
            hint=f"stop them, or take them off it: tiffin network disconnect {network.name} {names[0]}",
        )
    _forget(engine, network)


def prune(engine: Engine, spares: Callable[[float, Mapping[str, str]], bool]) -> tuple[str, ...]:
    """Forget every network on which no container is, running or not; return their names.

    `spares` tells by time, in seconds, and labels which are to stay.
    """
    users, gone = _users(engine), []
    for network in definitions_of(engine).all():
        kept = network.name in users or spares(network.created / 1e9, network.labels)
        if kept or _members(engine, network):
            continue
        _forget(engine, network)
        gone.append(network.name)
    return tuple(gone)


def connect(engine: Engine, name: str, container: str, place: EndpointRecord) -> None:
    """Put a container on one more network, now if it runs, and whenever it is started."""
    records = Records(engine.db)
    record, network = records.need(container), definitions_of(engine).need(_joinable(engine, name))
    with lock(engine.home.locks / f"networks-{record.short}"):
        record = records.need(record.id)  # another command may have changed its networks while we waited
        _check_mode(engine, record)
        if any(one.name == network.name for one in record.networks):
            raise ConflictError(
                f"the container {record.name} is on the network {network.name} already",
                code="already-on-network",
            )
        place = place._replace(name=network.name)
        joined = endpoint(network, place, names_of(record, place))
        if state_of(engine, record).running:
            joining.ask(control_of(engine, record), {"connect": list(joined)})
        mode = network.name if record.network == "none" else record.network
        records.change(record.id, {"networks": (*record.networks, place), "network": mode})
    _happened(engine, "connect", network, container=record.id)


def disconnect(engine: Engine, name: str, container: str, *, force: bool = False) -> None:
    """Take a container off a network, now if it runs, and for whenever it is started."""
    records = Records(engine.db)
    record, network = records.need(container), definitions_of(engine).find(name)
    known = network.name if network is not None else name
    with lock(engine.home.locks / f"networks-{record.short}"):
        record = records.need(record.id)
        if not _leave(engine, record, network, known, force=force):
            return
    if network is not None:
        _happened(engine, "disconnect", network, container=record.id)


def _leave(engine: Engine, record: Record, network: Definition | None, known: str, *, force: bool) -> bool:
    """Take the container, whose lock is held, off the network; False if it is not there, by `force`."""
    if not any(one.name == known for one in record.networks):
        if force and network is not None:
            return False
        if network is None:
            _joinable(engine, known)
            definitions_of(engine).need(known)
        raise NotFoundError(
            f"the container {record.name} is not on the network {known}", code="not-on-network"
        )
    left = tuple(one for one in record.networks if one.name != known)
    if network is not None and state_of(engine, record).running:
        joining.ask(control_of(engine, record), {"disconnect": network.id})
    mode = record.network
    if mode == known:
        mode = left[0].name if left else "none"
    Records(engine.db).change(record.id, {"networks": left, "network": mode})
    return True


def renamed(engine: Engine, record: Record, new: str) -> None:
    """Let the others find a container that was renamed by its new name."""
    segmentleases.rename(state_of_networks(engine), record.id, record.name, new)


def endpoints_of(engine: Engine, record: Record) -> dict[str, dict[str, Any]]:
    """What `inspect` says of the networks of a container, by their names."""
    found = {}
    for place in record.networks:
        network = definitions_of(engine).find(place.name)
        leases = _members(engine, network) if network is not None else []
        lease = next((lease for lease in leases if lease.container == record.id), None)
        found[place.name] = endpoint_document(record, place, network, lease)
    return found


def _members(engine: Engine, network: Definition) -> list[Lease]:
    return segmentleases.members(state_of_networks(engine) / NETWORKS / network.id)


def _happened(engine: Engine, action: str, network: Definition, **more: str) -> None:
    engine.happened("network", action, network.id, name=network.name, type="bridge", **more)


def _forget(engine: Engine, network: Definition) -> None:
    """Delete the bridge of a network, where one may be left, and all that is known of it."""
    _take_away(engine, network)
    definitions_of(engine).remove(network.name)
    _happened(engine, "destroy", network)


def _take_away(engine: Engine, network: Definition) -> None:
    place = state_of_networks(engine) / NETWORKS / network.id
    if not place.is_dir():
        return
    if engine.rung is Rung.ROOT:
        segment.remove(segment.Home(place.parent.parent, find("nft")), network.id)
    elif (place.parent.parent / "holder.json").exists():
        if engine.footing.entered and engine.footing.networks is None:
            return  # from where we are it cannot be reached: the next bridge that is made takes its place
        go_home(engine)
        inside: Inside | None = engine.footing.networks
        assert inside is not None
        segment.remove(segment.Home(place.parent.parent, find("nft"), inside.network), network.id)
    remove_tree(place)


def _joinable(engine: Engine, name: str) -> str:
    known = _predefined(engine, name)
    if known:
        raise UnsupportedError(
            f"a container cannot be put on the network {known}, or taken off it, after it was made",
            code="predefined-network",
            hint=f"run it with --network {known}",
        )
    return name


def _check_mode(engine: Engine, record: Record) -> None:
    """Refuse a container whose network is somebody else's, or lies where bridges do not reach."""
    mode = record.network
    if mode == "host" or mode.startswith("container:"):
        whose = "this machine's" if mode == "host" else "that of another container"
        raise ConflictError(
            f"the network of the container {record.name} is {whose}: it cannot be put on others",
            code="shared-network",
            hint="run it with --network NAME",
        )
    if mode in ("loopback", "pasta", "private") or (not mode and engine.rung is not Rung.ROOT):
        raise ConflictError(
            f"the container {record.name} was made for the network {mode or 'default'}, "
            "and from there it cannot be put on others",
            code="no-bridge",
            hint="run it with --network NAME from the beginning",
        )


def _predefined(engine: Engine, name: str) -> str:
    """Which of the networks that are always there is meant, by name or the beginning of its id."""
    if name in PREDEFINED_IDS:
        return name
    if len(name) < 4 or definitions_of(engine).find(name) is not None:
        return ""
    return next((known for known, identity in PREDEFINED_IDS.items() if identity.startswith(name)), "")


def _users(engine: Engine) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in Records(engine.db).all():
        for place in record.networks:
            found.setdefault(place.name, []).append(record.name)
    return found
