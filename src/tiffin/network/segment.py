"""A network that a user has made: a bridge of its own, rules of its own, and who is in it.

Its bridge lies at `Home`: with root in the host's network namespace, else in one that the user's networks
share. It appears with the first container and goes soon after the last. Who is in it is told by leases,
one file each, named after the address: all that is known of a container in it, so that its neighbours find
it by name; a lease whose owner is dead counts for nothing. Changes happen under the network's lock.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import zlib
from functools import partial

from tiffin.errors import ConflictError
from tiffin.linux import files
from tiffin.linux.netlink import Netlink
from tiffin.linux.netns import ignore_routers, within
from tiffin.linux.nftables import standing_chains
from tiffin.linux.process import Identity
from tiffin.linux.record import NamedTuple
from tiffin.network import firewall, segmentrules
from tiffin.network.bridge import delete_device, mac_of, mtu_of
from tiffin.network.leases import DIRECTORY, NETWORKS, leases
from tiffin.network.subnets import Net, family_of, free_address, given_address, number_of, text_of
from tiffin.network.tool import linger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, TypeVar

    from tiffin.linux.netlink import Link
    from tiffin.network.plan import Endpoint
    from tiffin.network.tool import Running

    Result = TypeVar("Result")

__all__ = [
    "Home",
    "Lease",
    "Seat",
    "join",
    "lead_out",
    "leave_segment",
    "members",
    "remove",
    "rename",
    "sweep",
]

_BRIDGE = "bridge"
_LAST = "last"


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


class Lease(NamedTuple):
    """Who has an address; `names` are in small letters, `fd` is where the owner has the home's namespace."""

    address: str
    address6: str
    container: str
    name: str
    names: tuple[str, ...]
    mac: str
    device: str
    owner: Identity
    fd: int = -1

    @classmethod
    def read(cls, path: Path) -> Lease | None:
        """The lease that a file holds; None if it is gone or holds none."""
        try:
            wire: dict[str, Any] = json.loads(path.read_bytes())
            owner, names = Identity(*wire.pop("owner")), tuple(wire.pop("names"))
            return cls(owner=owner, names=names, **wire)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, directory: Path) -> None:
        """Keep it in the directory."""
        files.atomic_write(directory / self.address, json.dumps(self._asdict()).encode(), sync=False)


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
        lease = _lease(home, endpoint, container, members(place, outside))
        lease.write(place / DIRECTORY)
        files.atomic_write(place / _LAST, lease.address.encode(), sync=False)
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


def members(place: Path, outside: Netlink | None = None) -> list[Lease]:
    """Who is in the network of that directory; with `outside` what the dead left is taken away."""
    found = []
    for path in leases(place):
        lease = Lease.read(path)
        if lease is not None and lease.owner.alive:
            found.append(lease)
        elif outside is not None:
            if lease is not None:
                delete_device(outside, lease.device)
            path.unlink(missing_ok=True)
    return found


def rename(state: Path, container: str, old: str, new: str) -> None:
    """Let a container be found by its new name in all networks that it is in."""
    for place in _places(state):
        with files.lock(place / "lock"):
            for lease in members(place):
                if lease.container == container:
                    names = tuple(new.lower() if name == old.lower() else name for name in lease.names)
                    lease._replace(name=new, names=names).write(place / DIRECTORY)


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
    for place in _places(home.state):
        with files.lock(place / "lock"), home.run(Netlink) as outside:
            if not members(place, outside):
                _remove_bridge(home, place.name, outside)


def _sweep_others(home: Home, place: Path, outside: Netlink) -> None:
    """Take away bridges that nobody uses, where nobody lingers for them; who is busy there is let be."""
    for other in _places(home.state):
        if other != place:
            with contextlib.suppress(BlockingIOError), files.lock(other / "lock", blocking=False):
                if not members(other, outside):
                    _remove_bridge(home, other.name, outside)


def _places(state: Path) -> list[Path]:
    try:
        return [place for place in (state / NETWORKS).iterdir() if (place / DIRECTORY).is_dir()]
    except FileNotFoundError:
        return []


def _lease(home: Home, endpoint: Endpoint, container: str, others: list[Lease]) -> Lease:
    net = Net.parse(endpoint.subnet)
    taken = {number_of(lease.address) for lease in others} | {number_of(endpoint.gateway)}
    who = f"--network {endpoint.name}"
    if endpoint.address:
        number = given_address(net, endpoint.address, taken, who)
    else:
        span = Net.parse(endpoint.span) if endpoint.span else net
        number = free_address(net, span, taken, _last(home.place(endpoint.network)))
    address = text_of(number, 32)
    mac = endpoint.mac or ":".join(f"{byte:02x}" for byte in mac_of(address))
    return Lease(
        address=address,
        address6=_address6(endpoint, number - net.base, others, who),
        container=container,
        name=endpoint.names[0] if endpoint.names else container[:12],
        names=tuple(name.lower() for name in endpoint.names),
        mac=mac,
        device=f"tv{zlib.crc32(container.encode()):08x}{endpoint.network[:5]}",
        owner=Identity.own(),
        fd=home.namespace,
    )


def _address6(endpoint: Endpoint, place: int, others: list[Lease], who: str) -> str:
    """The IPv6 address: where the network has room for it, it ends as the IPv4 address does."""
    if not endpoint.subnet6:
        return ""
    net = Net.parse(endpoint.subnet6)
    taken = {number_of(lease.address6) for lease in others if lease.address6} | {number_of(endpoint.gateway6)}
    if endpoint.address6:
        return text_of(given_address(net, endpoint.address6, taken, who), 128)
    wanted = net.base + place
    if wanted > net.last or wanted in taken:
        wanted = free_address(net, net, taken)
    return text_of(wanted, 128)


def _last(place: Path) -> int:
    try:
        return number_of((place / _LAST).read_text())
    except (OSError, ValueError):
        return 0


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
