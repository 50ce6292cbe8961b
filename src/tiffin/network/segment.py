"""A network that a user has made: a bridge of its own, rules of its own, and who is in it.

Its bridge lies at `Home`: with root in the host's network namespace, else in one that the user's networks
share. It appears with the first container and goes soon after the last. Who is in it is told by leases (see
`segmentleases`). Changes happen under the network's lock.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import json
from functools import partial

from tiffin.errors import ConflictError
from tiffin.linux import files
from tiffin.linux.netlink import Netlink
from tiffin.linux.netns import ignore_routers, within
from tiffin.linux.nftables import standing_chains
from tiffin.linux.record import NamedTuple
from tiffin.network import firewall, segmentrules
from tiffin.network.bridge import delete_device, mac_of, mtu_of
from tiffin.network.leases import DIRECTORY, NETWORKS, leases
from tiffin.network.segmentleases import LAST, lease_for, members, places_of
from tiffin.network.subnets import Net, family_of
from tiffin.network.tool import linger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    from tiffin.linux.netlink import Link
    from tiffin.network.plan import Endpoint
    from tiffin.network.segmentleases import Lease
    from tiffin.network.tool import Running

    Result = TypeVar("Result")

__all__ = [
    "Home",
    "Seat",
    "join",
    "lead_out",
    "leave_segment",
    "remove",
    "sweep",
]

_BRIDGE = "bridge"


class Home(NamedTuple):
    """Where bridges lie: `namespace` is a descriptor, or -1 for the network namespace we are in.

    `state` is a directory for what is known of them, `nft` the tool, without which there is no way out.
    """

    state: Path
    nft: str
    namespace: int = -1

    def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns when it runs there."""
        return work() if self.namespace < 0 else within(self.namespace, work)

    def place(self, network: str) -> Path:
        """The directory of a network."""
        return self.state / NETWORKS / network


class Seat(NamedTuple):
    """What a container has got in a network: addresses, and its device, as it is called inside."""

    endpoint: Endpoint
    lease: Lease
    inside: str


def join(home: Home, endpoint: Endpoint, container: str, namespace: int, *, way_out: bool) -> Seat:
    """Give the network namespace of the descriptor a device and addresses in the network.

    With `way_out` what has no other route goes through it, unless it is internal.
    """
    place = home.place(endpoint.network)
    (place / DIRECTORY).mkdir(parents=True, exist_ok=True)
    with files.lock(place / "lock"), home.run(Netlink) as outside:
        bridge, rules = _bridge(home, endpoint, place, outside)
        lease = lease_for(place, endpoint, container, members(place, outside), namespace=home.namespace)
        lease.write(place / DIRECTORY)
        files.atomic_write(place / LAST, lease.address.encode(), sync=False)
        try:
            with within(namespace, Netlink) as inside:
                name = _free_name(inside)
                _plug(outside, bridge, lease, name, namespace)
                within(namespace, partial(ignore_routers, name))
                _configure(inside, endpoint, lease, name, way_out=way_out and not endpoint.internal)
            if rules is not None:
                _install(home, rules, endpoint, place)
        except BaseException:
            _release(home, place, lease, outside)
            raise
    return Seat(endpoint, lease, name)


def leave_segment(home: Home, seat: Seat, *, ended: bool = False) -> None:
    """Take the device and the lease away; the bridge and its rules go a moment after the last one.

    Has the container `ended`, then its device goes with its namespace, for which we need not wait.
    """
    place = home.place(seat.endpoint.network)
    if place.is_dir():
        with files.lock(place / "lock"), home.run(Netlink) as outside:
            device = outside.link(seat.lease.device) if ended else None
            if device is not None:
                with contextlib.suppress(OSError):  # it is gone by now
                    outside.set_master(device.number, 0)
            _release(home, place, seat.lease, outside, unplug=not ended)


def remove(home: Home, network: str) -> None:
    """Take the bridge of a network and all that is known of it away. Raises ConflictError if it is in use."""
    place = home.place(network)
    if not place.is_dir():
        return
    with files.lock(place / "lock"), home.run(Netlink) as outside:
        if members(place, outside):
            raise ConflictError(f"the network {network[:12]} has active endpoints", code="network-in-use")
        _remove_bridge(home, network, outside)


def sweep(home: Home) -> None:
    """Take away what processes that are dead have left, and bridges that nobody uses any more."""
    for place in places_of(home.state):
        with files.lock(place / "lock"), home.run(Netlink) as outside:
            if not members(place, outside):
                _remove_bridge(home, place.name, outside)


def _sweep_others(home: Home, place: Path, outside: Netlink) -> None:
    """Take away bridges that nobody uses, where nobody lingers for them; who is busy there is let be."""
    for other in places_of(home.state):
        if other != place:
            with contextlib.suppress(BlockingIOError), files.lock(other / "lock", blocking=False):
                if not members(other, outside):
                    _remove_bridge(home, other.name, outside)


def _bridge(home: Home, endpoint: Endpoint, place: Path, outside: Netlink) -> tuple[Link, Running | None]:
    """The bridge, made if need be; where its rules are missing they are on their way."""
    found = outside.link(endpoint.bridge)
    known = place / _BRIDGE
    if found is not None and not known.exists():
        raise ConflictError(
            f"the network {endpoint.name}: the device {endpoint.bridge} is somebody else's",
            code="bridge-taken",
            hint="make the network with another name of its bridge",
            exit_status=125,
        )
    if found is None:
        if home.namespace >= 0:
            _sweep_others(home, place, outside)
        _check_routes(endpoint, outside)
        files.atomic_write(known, json.dumps([endpoint.bridge, []]).encode(), sync=False)
        routes = outside.routes()
        mtu = endpoint.mtu or mtu_of(outside, [route.link for route in routes if not route.prefix])
        outside.add_bridge(endpoint.bridge, mac_of(endpoint.gateway), mtu)
        found = _need(outside, endpoint.bridge)
    there = {address.address for address in outside.addresses() if address.link == found.number}
    if endpoint.gateway not in there:
        home.run(partial(ignore_routers, endpoint.bridge))
        outside.set_up(found.number)
        net = Net.parse(endpoint.subnet)
        if endpoint.subnet6:
            with contextlib.suppress(FileExistsError):  # who made it was killed between the two
                outside.add_address(found.number, endpoint.gateway6, Net.parse(endpoint.subnet6).prefix)
        outside.add_address(found.number, endpoint.gateway, net.prefix, net.broadcast)
    return found, _rules(home, endpoint)


def _rules(home: Home, endpoint: Endpoint) -> Running | None:
    if not home.nft:
        return None
    table = segmentrules.table_of(endpoint.network)

    def begin() -> Running | None:
        if firewall.stands(standing_chains(), table):
            return None
        segmentrules.allow_forwarding(ipv6=bool(endpoint.subnet6))
        return firewall.begin(home.nft, segmentrules.ruleset(endpoint))

    return home.run(begin)


def _install(home: Home, rules: Running, endpoint: Endpoint, place: Path) -> None:
    """Wait for the rules; on the host itself its own may need exceptions, which are written down."""
    tools = () if home.namespace >= 0 else ("iptables", *(("ip6tables",) if endpoint.subnet6 else ()))
    needed = firewall.install(rules, endpoint.bridge, tools)
    if needed:
        files.atomic_write(place / _BRIDGE, json.dumps([endpoint.bridge, tools]).encode(), sync=False)


def _check_routes(endpoint: Endpoint, outside: Netlink) -> None:
    """Refuse to make a bridge whose network this machine reaches by another way."""
    for subnet in filter(None, (endpoint.subnet, endpoint.subnet6)):
        net = Net.parse(subnet)
        for route in outside.routes(family_of(net.bits)):
            if route.destination and net.overlaps(Net.parse(f"{route.destination}/{route.prefix}")):
                raise ConflictError(
                    f"the network {endpoint.name}: its subnet {subnet} overlaps"
                    f" {route.destination}/{route.prefix}, which this machine has a route to",
                    code="subnet-in-use",
                    hint="make the network anew with another --subnet",
                    exit_status=125,
                )


def _plug(outside: Netlink, bridge: Link, lease: Lease, name: str, namespace: int) -> None:
    delete_device(outside, lease.device)
    outside.add_veth(lease.device, name, namespace, bridge.mtu, bytes.fromhex(lease.mac.replace(":", "")))
    device = _need(outside, lease.device)
    outside.set_master(device.number, bridge.number)
    outside.set_up(device.number)


def _configure(inside: Netlink, endpoint: Endpoint, lease: Lease, name: str, *, way_out: bool) -> None:
    loopback, device = _need(inside, "lo"), _need(inside, name)
    inside.set_up(loopback.number)
    net = Net.parse(endpoint.subnet)
    inside.set_up(device.number)
    inside.add_address(device.number, lease.address, net.prefix, net.broadcast)
    if lease.address6:
        inside.add_address(device.number, lease.address6, Net.parse(endpoint.subnet6).prefix)
    if way_out:
        lead_out(inside, endpoint, device.number)


def lead_out(inside: Netlink, endpoint: Endpoint, device: int) -> None:
    """Send what has no other route through this network."""
    for gateway in filter(None, (endpoint.gateway, endpoint.gateway6)):
        with contextlib.suppress(FileExistsError):
            inside.add_default_route(gateway, device)


def _free_name(inside: Netlink) -> str:
    taken = {link.name for link in inside.links()}
    return next(name for name in (f"eth{number}" for number in range(1000)) if name not in taken)


def _need(there: Netlink, name: str) -> Link:
    link = there.link(name)
    if link is None:
        raise OSError(errno.ENODEV, f"the device {name} disappeared while it was made")
    return link


def _release(home: Home, place: Path, lease: Lease, outside: Netlink, *, unplug: bool = True) -> None:
    (place / DIRECTORY / lease.address).unlink(missing_ok=True)
    if unplug:
        delete_device(outside, lease.device)
    if home.namespace < 0 and not leases(place):
        linger("segments", str(home.state), home.nft)
    elif home.namespace < 0:
        _keep_guarded(place)


def _keep_guarded(place: Path) -> None:
    """Let no loopback address pass any more if the rules are gone, with this container perhaps its own."""
    with contextlib.suppress(OSError, ValueError):
        bridge, _ = json.loads((place / _BRIDGE).read_bytes())
        if not firewall.stands(standing_chains(), segmentrules.table_of(place.name)):
            firewall.let_loopback_pass(bridge, allowed=False)


def _remove_bridge(home: Home, network: str, outside: Netlink) -> None:
    place = home.place(network)
    try:
        bridge, tools = json.loads((place / _BRIDGE).read_bytes())
    except (OSError, ValueError):
        return
    delete_device(outside, bridge)
    if home.nft:
        table = f"inet {segmentrules.table_of(network)}"
        home.run(lambda: firewall.uninstall(home.nft, bridge, table=table, exceptions=tuple(tools)))
    (place / _BRIDGE).unlink(missing_ok=True)
