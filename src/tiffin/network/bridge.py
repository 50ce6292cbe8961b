"""A network for root: a veth pair into a bridge of ours, and the host masquerades.

The bridge and its rules belong to the host's network namespace: they appear with the first
container and go soon after the last. All changes happen under one lock; a lease is a file named after
the address, holding its container and the process that answers for it. What a dead process left
is taken away by the next that comes. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
from functools import partial

from tiffin.linux import files
from tiffin.linux.netlink import Netlink
from tiffin.linux.netns import ignore_routers, within
from tiffin.linux.nftables import standing_chains
from tiffin.linux.process import Identity
from tiffin.linux.record import NamedTuple
from tiffin.network import firewall
from tiffin.network.addresses import Subnet, choose_subnet, next_address
from tiffin.network.leases import DIRECTORY, leases
from tiffin.network.tool import linger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.linux.netlink import Link
    from tiffin.network.tool import Running

__all__ = ["NAME", "Connection", "connect", "delete_device", "disconnect", "mac_of", "mtu_of", "tidy"]

NAME = "tiffin0"
INSIDE = "eth0"
_LAST = "last"
_EXCEPTIONS = "exceptions"
"""Is there while the host's own rules have exceptions for us."""


class Connection(NamedTuple):
    """What a container has got."""

    address: str
    gateway: str
    device: str


def connect(state: Path, nft: str, container: str, namespace: int, mac: str = "") -> Connection:
    """Give the network namespace of the descriptor a device, an address and a way out.

    `mac` is its hardware address; without one it follows from the address.
    """
    (state / DIRECTORY).mkdir(parents=True, exist_ok=True)
    device = f"tf{container[:12]}"
    with files.lock(state / "lock"), Netlink() as host:
        taken = _living(state, host)
        bridge, subnet, rules = _bridge(host, nft)
        last = state / _LAST
        address = next_address(subnet, list(taken), last.read_text() if last.exists() else "")
        lease = {"container": container, "owner": Identity.own(), "device": device}
        files.atomic_write(state / DIRECTORY / address, json.dumps(lease).encode(), sync=False)
        files.atomic_write(last, address.encode(), sync=False)
        try:
            hardware = bytes.fromhex(mac.replace(":", "")) or mac_of(address)
            _join(host, bridge, device, namespace, hardware)
            within(namespace, partial(ignore_routers, INSIDE))
            _configure(namespace, address, subnet)
            if rules is not None and firewall.install(rules, NAME):
                (state / _EXCEPTIONS).touch()
        except BaseException:
            _release(state, nft, host, device)
            raise
    return Connection(address, subnet.gateway, device)


def disconnect(state: Path, nft: str, device: str) -> None:
    """Take the device and its lease away; the bridge and its rules go a moment after the last one."""
    with files.lock(state / "lock"), Netlink() as host:
        _release(state, nft, host, device)


def tidy(state: Path, nft: str) -> None:
    """Take away what processes that are dead have left."""
    if not (state / DIRECTORY).is_dir():
        return
    with files.lock(state / "lock"), Netlink() as host:
        _living(state, host)
        _remove_unused(state, nft, host)


def _living(state: Path, host: Netlink) -> dict[str, str]:
    """Addresses in use and their devices; the leases of the dead are dropped with their devices."""
    found = {}
    for path in leases(state):
        try:
            lease = json.loads(path.read_bytes())
            owner, device = Identity(*lease["owner"]), str(lease["device"])
        except (ValueError, KeyError, TypeError):
            path.unlink(missing_ok=True)
            continue
        if owner.alive:
            found[path.name] = device
        else:
            delete_device(host, device)
            path.unlink(missing_ok=True)
    return found


def _bridge(host: Netlink, nft: str) -> tuple[Link, Subnet, Running | None]:
    """The bridge, made if need be; where its rules are missing they are on their way."""
    link = host.link(NAME)
    if link is not None:
        for found in host.addresses():
            if found.link == link.number:
                subnet = Subnet.parse(f"{found.address}/{found.prefix}")
                there = firewall.stands(standing_chains())
                return (
                    link,
                    subnet,
                    None if there else firewall.begin(nft, firewall.ruleset(NAME, str(subnet))),
                )
        host.delete_link(link.number)  # left half-made
    routes = host.routes()
    used = [Subnet.parse(f"{route.destination}/{route.prefix}") for route in routes if route.destination]
    used += [Subnet.parse(f"{found.address}/{found.prefix}") for found in host.addresses()]
    subnet = choose_subnet(used)
    firewall.allow_forwarding()
    rules = firewall.begin(nft, firewall.ruleset(NAME, str(subnet)))
    host.add_bridge(
        NAME, mac_of(subnet.gateway), mtu_of(host, [route.link for route in routes if not route.prefix])
    )
    link = host.link(NAME)
    if link is None:
        raise OSError(errno.ENODEV, f"bridge {NAME} disappeared while it was made")
    ignore_routers(NAME)
    host.set_up(link.number)
    host.add_address(link.number, subnet.gateway, subnet.prefix, subnet.broadcast)
    return link, subnet, rules


def mtu_of(host: Netlink, ways_out: list[int]) -> int:
    """The smallest of the links that lead out: larger packets would be lost beyond the bridge."""
    return min((link.mtu for link in host.links() if link.number in ways_out), default=1500)


def _join(host: Netlink, bridge: Link, device: str, namespace: int, hardware: bytes) -> None:
    delete_device(host, device)
    host.add_veth(device, INSIDE, namespace, bridge.mtu, hardware)
    link = host.link(device)
    if link is None:
        raise OSError(errno.ENODEV, f"device {device} disappeared while it was made")
    host.set_master(link.number, bridge.number)
    host.set_up(link.number)


def _configure(namespace: int, address: str, subnet: Subnet) -> None:
    with within(namespace, Netlink) as inside:
        for link in inside.links():
            if link.name == INSIDE:
                inside.add_address(link.number, address, subnet.prefix, subnet.broadcast)
                inside.set_up(link.number)
                inside.add_default_route(subnet.gateway, link.number)
            elif link.name == "lo":
                inside.set_up(link.number)


def _release(state: Path, nft: str, host: Netlink, device: str) -> None:
    """Free the lease. The device goes with the container's namespace, for which we need not wait."""
    for path in leases(state):
        if json.loads(path.read_bytes())["device"] == device:
            path.unlink(missing_ok=True)
    link = host.link(device)
    if link is not None:
        with contextlib.suppress(OSError):  # it is gone by now
            host.set_master(link.number, 0)
    if leases(state):
        _keep_guarded()
    else:
        linger("main", str(state), nft)


def _keep_guarded() -> None:
    """Let no loopback address pass any more if the rules are gone, and with this container perhaps its own.

    Without them a redirected connection from the loopback gets no answer anyway.
    """
    with contextlib.suppress(OSError):
        if not firewall.stands(standing_chains()):
            firewall.let_loopback_pass(NAME, allowed=False)


def _remove_unused(state: Path, nft: str, host: Netlink) -> None:
    links = host.links()
    bridge = next((link.number for link in links if link.name == NAME), None)
    if bridge is None or leases(state) or any(link.master == bridge for link in links):
        return
    host.delete_link(bridge)
    exceptions = state / _EXCEPTIONS
    firewall.uninstall(nft, NAME, exceptions=("iptables",) if exceptions.exists() else ())
    exceptions.unlink(missing_ok=True)


def delete_device(host: Netlink, device: str) -> None:
    """Delete the device, if it is there."""
    link = host.link(device)
    if link is not None:
        with contextlib.suppress(OSError):  # it goes by itself when its namespace ends
            host.delete_link(link.number)


def mac_of(address: str) -> bytes:
    """A locally administered address that follows from the IP address, so that no cache is ever stale."""
    return b"\x02\x74" + socket.inet_aton(address)
