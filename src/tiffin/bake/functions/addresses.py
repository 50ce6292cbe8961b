"""Functions on addresses and networks in CIDR notation.

Pure.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from tiffin.bake.functions.texts import whole
from tiffin.bake.language.values import BadValueError, Value

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        if "/" in text:
            return ip_network(text, strict=False)
    except ValueError:
        pass
    raise BadValueError(f"{text[:60]!r} is not a network like 10.1.0.0/16")


def _host(prefix: str, number: Decimal) -> str:
    network, at = _network(prefix), whole(number)
    if not -network.num_addresses <= at < network.num_addresses:
        raise BadValueError(f"{prefix} has no host {at}")
    return str(network[at])


def _netmask(prefix: str) -> str:
    network = _network(prefix)
    if not isinstance(network, IPv4Network):
        raise BadValueError("only networks of IPv4 have a netmask")
    return str(network.netmask)


def _subnet(prefix: str, bits: Decimal, number: Decimal) -> str:
    network, more, at = _network(prefix), whole(bits), whole(number)
    length = network.prefixlen + more
    if more < 0 or length > network.max_prefixlen or not 0 <= at < 1 << more:
        raise BadValueError(f"{prefix} has no subnet {at} with {more} bits more")
    address = int(network.network_address) | at << (network.max_prefixlen - length)
    return str(type(network)((address, length)))


def _subnets(prefix: str, *bits: Decimal) -> Value:
    network = _network(prefix)
    place, last, found = int(network.network_address), int(network.broadcast_address), []
    for count in bits:
        length = network.prefixlen + whole(count)
        if whole(count) < 1 or length > network.max_prefixlen:
            raise BadValueError(f"{prefix} cannot have {count} bits more")
        size = 1 << (network.max_prefixlen - length)
        place = -(-place // size) * size
        if place + size - 1 > last:
            raise BadValueError(f"{prefix} is too small for all these subnets")
        found.append(str(type(network)((place, length))))
        place += size
    return tuple(found)


FUNCTIONS: dict[str, tuple[str, Callable[..., Value]]] = {
    "cidrhost": ("sn", _host),
    "cidrnetmask": ("s", _netmask),
    "cidrsubnet": ("snn", _subnet),
    "cidrsubnets": ("sn*", _subnets),
}
