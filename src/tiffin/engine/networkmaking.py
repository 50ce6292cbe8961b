"""What `network create` asks for → a network: its subnets, its bridge, its options."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import ConflictError, InvalidError, UnsupportedError
from tiffin.linux.netlink import Netlink
from tiffin.network.definitions import Definition, check_name
from tiffin.network.subnets import Net, choose, private_ipv6, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NetworkRequest", "decide"]

_BRIDGE = "com.docker.network.bridge.name"
_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
_MTU = ("com.docker.network.driver.mtu", "mtu")
_KNOWN = (_BRIDGE, _MASQUERADE, *_MTU)
_LONGEST = 15  # of a device's name


class NetworkRequest(NamedTuple):
    """What was asked for, in the user's words; the lists belong together as Docker has it."""

    name: str
    driver: str = "bridge"
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    internal: bool = False
    ipv6: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()


class _Part(NamedTuple):
    net: Net
    gateway: str
    span: str


def decide(request: NetworkRequest, identity: str, now: int, others: Sequence[Definition]) -> Definition:
    """Return the network that is asked for, beside the others and the routes of this machine."""
    check_name(request.name)
    if request.driver != "bridge":
        raise UnsupportedError(
            f"--driver {request.driver}: networks are bridges of this machine",
            code="network-driver",
            hint="leave --driver away; for the machine's own network use 'tiffin run --network host'",
        )
    options = dict(request.options)
    unknown = [name for name in options if name not in _KNOWN]
    if unknown:
        raise UnsupportedError(
            f"--opt {unknown[0]} is not supported",
            code="network-option",
            hint=f"there are: {', '.join(_KNOWN)}",
        )
    parts = _parts(request)
    _check_overlaps(parts, others)
    used = [*_of_others(others), *_of_machine()]
    four = parts.get(32) or _whole(choose(used))
    six = parts.get(128) or (_whole(private_ipv6(os.urandom(8))) if request.ipv6 else None)
    return Definition(
        id=identity,
        name=request.name,
        created=now,
        bridge=_bridge(options.get(_BRIDGE, ""), identity, others),
        subnet=str(four.net),
        gateway=four.gateway,
        span=four.span,
        subnet6=str(six.net) if six else "",
        gateway6=six.gateway if six else "",
        internal=request.internal,
        masquerade=_yes(options.get(_MASQUERADE, "true"), _MASQUERADE),
        mtu=_mtu(next((options[name] for name in _MTU if name in options), "0")),
        given=bool(parts),
        labels=dict(request.labels),
        options=options,
    )


def _whole(net: Net, gateway: str = "", span: str = "") -> _Part:
    return _Part(net, gateway or text_of(net.base + 1, net.bits), span)


def _parts(request: NetworkRequest) -> dict[int, _Part]:
    """The subnets that were given, by the bits of their addresses, with their gateways and ranges."""
    parts: dict[int, _Part] = {}
    for text in request.subnets:
        net = _net(text, "--subnet")
        if net.bits in parts:
            raise _invalid(
                f"--subnet {text}: there is another of its kind", "a network has one for IPv4, one for IPv6"
            )
        if net.bits - net.prefix < 2:
            raise _invalid(
                f"--subnet {text} has no room for a gateway and a container", "take a shorter prefix"
            )
        parts[net.bits] = _whole(net)
    for gateway in request.gateways:
        part = _part_of(parts, f"{gateway}/{128 if ':' in gateway else 32}", "--gateway", gateway)
        parts[part.net.bits] = part._replace(gateway=gateway)
    for text in request.ranges:
        part = _part_of(parts, text, "--ip-range", text)
        if part.net.bits == 128:
            raise UnsupportedError(f"--ip-range {text}: ranges are for IPv4", code="network-option")
        parts[32] = part._replace(span=str(_net(text, "--ip-range")))
    return parts


def _part_of(parts: dict[int, _Part], text: str, flag: str, shown: str) -> _Part:
    net = _net(text, flag)
    part = parts.get(net.bits)
    if part is None or not part.net.contains(net):
        raise _invalid(f"{flag} {shown}: no --subnet holds it", "give the subnet too: --subnet 172.30.0.0/16")
    return part


def _net(text: str, flag: str) -> Net:
    try:
        return Net.parse(text)
    except ValueError as error:
        raise _invalid(f"{flag}: {error}", "for example 172.30.0.0/16") from None


def _of_others(others: Sequence[Definition]) -> list[Net]:
    return [Net.parse(text) for one in others for text in (one.subnet, one.subnet6) if text]


def _of_machine() -> list[Net]:
    """The networks that this machine reaches by routes of their own."""
    with Netlink() as host:
        routes = [*host.routes(), *host.routes(socket.AF_INET6)]
    return [Net.parse(f"{route.destination}/{route.prefix}") for route in routes if route.destination]


def _check_overlaps(parts: dict[int, _Part], others: Sequence[Definition]) -> None:
    known = [(net, "another network's") for net in _of_others(others)]
    known += [(net, "reached by a route of this machine") for net in _of_machine()]
    for part in parts.values():
        for net, whose in known:
            if part.net.overlaps(net) and net.prefix > 0:
                raise ConflictError(
                    f"--subnet {part.net} overlaps {net}, which is {whose}",
                    code="subnet-in-use",
                    hint="choose another, or leave --subnet away",
                )


def _bridge(name: str, identity: str, others: Sequence[Definition]) -> str:
    if not name:
        return f"tn-{identity[:12]}"
    plain = name.isascii() and name.isprintable() and not set(name) & set("/ :") and name not in (".", "..")
    if not plain or len(name) > _LONGEST:
        raise _invalid(
            f"{name!r} cannot be the name of a bridge", f"at most {_LONGEST} letters, without / and :"
        )
    if any(one.bridge == name for one in others):
        raise ConflictError(f"another network's bridge is called {name}", code="bridge-taken")
    return name


def _mtu(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not (text == "0" or 68 <= int(text) <= 65535):
        raise _invalid(f"an mtu of {text!r} cannot be", "from 68 to 65535, for example 1400")
    return int(text)


def _yes(text: str, name: str) -> bool:
    from tiffin.booleans import EITHER, TRUE

    if text not in EITHER:
        raise _invalid(f"--opt {name}={text}: it takes true or false", "leave it away for true")
    return text in TRUE


def _invalid(message: str, hint: str) -> InvalidError:
    return InvalidError(message, code="network-options", hint=hint)
