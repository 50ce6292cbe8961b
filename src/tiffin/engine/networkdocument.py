"""What `network inspect` says of a network, and `inspect` of a container's place in one (pure)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tiffin.container.logs import stamp
from tiffin.network.definitions import PREDEFINED
from tiffin.network.subnets import Net

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.container.record import EndpointRecord, Record
    from tiffin.network.definitions import Definition
    from tiffin.network.segmentleases import Lease

__all__ = ["PREDEFINED_IDS", "document", "endpoint_document", "predefined"]

PREDEFINED_IDS = {name: hashlib.sha256(f"tiffin network {name}".encode()).hexdigest() for name in PREDEFINED}


def document(network: Definition, leases: Sequence[Lease]) -> dict[str, Any]:
    """A network that a user has made, with the containers that are in it now."""
    pools = [
        {
            "Subnet": network.subnet,
            **({"IPRange": network.span} if network.span else {}),
            "Gateway": network.gateway,
        }
    ]
    if network.subnet6:
        pools.append({"Subnet": network.subnet6, "Gateway": network.gateway6})
    return _document(
        network.name,
        network.id,
        "bridge",
        {
            "Created": stamp(network.created),
            "EnableIPv6": bool(network.subnet6),
            "IPAM": {"Driver": "default", "Options": {}, "Config": pools},
            "Internal": network.internal,
            "Containers": {lease.container: _member(network, lease) for lease in leases},
            "Options": {"com.docker.network.bridge.name": network.bridge, **network.options},
            "Labels": dict(network.labels),
        },
    )


def predefined(name: str) -> dict[str, Any]:
    """One of the networks that are always there; its containers are not told."""
    return _document(name, PREDEFINED_IDS[name], "null" if name == "none" else name, {})


def endpoint_document(
    record: Record, place: EndpointRecord, network: Definition | None, lease: Lease | None
) -> dict[str, Any]:
    """A container's place in a network; addresses are empty while it does not run."""
    given = {"IPv4Address": place.ip, "IPv6Address": place.ip6}
    config = {key: value for key, value in given.items() if value}
    length = Net.parse(network.subnet).prefix if network and lease else 0
    length6 = Net.parse(network.subnet6).prefix if network and lease and lease.address6 else 0
    return {
        "IPAMConfig": config or None,
        "Links": None,
        "Aliases": list(place.aliases) or None,
        "MacAddress": lease.mac if lease else place.mac,
        "DriverOpts": None,
        "GwPriority": place.priority,
        "NetworkID": network.id if network else "",
        "EndpointID": _endpoint_id(network.id, record.id) if network and lease else "",
        "Gateway": network.gateway if network and lease and not network.internal else "",
        "IPAddress": lease.address if lease else "",
        "IPPrefixLen": length,
        "IPv6Gateway": network.gateway6 if network and length6 and not network.internal else "",
        "GlobalIPv6Address": lease.address6 if lease else "",
        "GlobalIPv6PrefixLen": length6,
        "DNSNames": [*dict.fromkeys((record.name, *place.aliases, record.short))],
    }


def _document(name: str, identity: str, driver: str, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "Name": name,
        "Id": identity,
        "Created": "0001-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    } | more


def _member(network: Definition, lease: Lease) -> dict[str, str]:
    length = Net.parse(network.subnet).prefix
    return {
        "Name": lease.name,
        "EndpointID": _endpoint_id(network.id, lease.container),
        "MacAddress": lease.mac,
        "IPv4Address": f"{lease.address}/{length}",
        "IPv6Address": f"{lease.address6}/{Net.parse(network.subnet6).prefix}" if lease.address6 else "",
    }


def _endpoint_id(network: str, container: str) -> str:
    return hashlib.sha256(f"{network} {container}".encode()).hexdigest()
