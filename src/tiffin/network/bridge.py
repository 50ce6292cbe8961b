"""A network for root: a veth pair into a bridge of ours, and the host masquerades.

The bridge and its rules belong to the host's network namespace: they appear with the first
container and go with the last. All changes happen under one lock; a lease is a file named after
the address, holding its container and the process that answers for it. What a dead process left
is taken away by the next that comes. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.linux import files
from tiffin.linux.netlink import Netlink, within
from tiffin.linux.process import Identity
from tiffin.network import firewall
from tiffin.network.addresses import Subnet, choose_subnet, next_address

if TYPE_CHECKING:
    from tiffin.linux.netlink import Link

__all__ = ["NAME", "Connection", "connect", "disconnect", "state_directory", "tidy"]

NAME = "tiffin0"
INSIDE = "eth0"
_LEASES = "leases"
_LAST = "last"


class Connection(NamedTuple):
    """What a container has got."""

    address: str
    gateway: str
    device: str


def connect(state: Path, nft: str, container: str, namespace: int) -> Connection:
    """Give the network namespace of the descriptor a device, an address and a way out."""
    (state / _LEASES).mkdir(parents=True, exist_ok=True)
    device = f"tf{container[:12]}"
    with files.lock(state / "lock"), Netlink() as host:
        leases = _living(state, host)
        bridge, subnet = _bridge(host, nft)
        last = state / _LAST
        address = next_address(subnet, list(leases), last.read_text() if last.exists() else "")
        lease = {"container": container, "owner": Identity.own(), "device": device}
        files.atomic_write(state / _LEASES / address, json.dumps(lease).encode(), sync=False)
        files.atomic_write(last, address.encode(), sync=False)
        try:
            _join(host, bridge, device, namespace, address)
            _configure(namespace, address, subnet)
        except BaseException:
            _release(state, nft, host, device)
            raise
    return Connection(address, subnet.gateway, device)


def disconnect(state: Path, nft: str, device: str) -> None:
    """Take the device and its lease away, and the bridge and its rules with the last one."""
    with files.lock(state / "lock"), Netlink() as host:
        _release(state, nft, host, device)


def tidy(state: Path, nft: str) -> None:
    """Take away what processes that are dead have left."""
    if not (state / _LEASES).is_dir():
        return
    with files.lock(state / "lock"), Netlink() as host:
        _living(state, host)
        _remove_unused(state, nft, host)


def _living(state: Path, host: Netlink) -> dict[str, str]:
    """Addresses in use and their devices; the leases of the dead are dropped with their devices."""
    found = {}
    for path in (state / _LEASES).iterdir():
        if path.name.startswith("."):
            continue
        try:
            lease = json.loads(path.read_bytes())
            owner, device = Identity(*lease["owner"]), str(lease["device"])
        except (ValueError, KeyError, TypeError):
            path.unlink(missing_ok=True)
            continue
        if owner.alive:
            found[path.name] = device
        else:
            _delete(host, device)
            path.unlink(missing_ok=True)
    return found


def _bridge(host: Netlink, nft: str) -> tuple[Link, Subnet]:
    link = host.link(NAME)
    if link is not None:
        for found in host.addresses():
            if found.link == link.number:
                return link, Subnet.parse(f"{found.address}/{found.prefix}")
        host.delete_link(link.number)  # left half-made
    routes = host.routes()
    used = [Subnet.parse(f"{route.destination}/{route.prefix}") for route in routes if route.destination]
    used += [Subnet.parse(f"{found.address}/{found.prefix}") for found in host.addresses()]
    subnet = choose_subnet(used)
    firewall.allow_forwarding()
    firewall.install(nft, NAME, str(subnet))
    host.add_bridge(
        NAME, _mac(subnet.gateway), _mtu(host, [route.link for route in routes if not route.prefix])
    )
    link = host.link(NAME)
    if link is None:
        raise OSError(errno.ENODEV, f"bridge {NAME} disappeared while it was made")
    host.set_up(link.number)
    host.add_address(link.number, subnet.gateway, subnet.prefix, subnet.broadcast)
    return link, subnet


def _mtu(host: Netlink, ways_out: list[int]) -> int:
    """The smallest of the links that lead out: larger packets would be lost beyond the bridge."""
    return min((link.mtu for link in host.links() if link.number in ways_out), default=1500)


def _join(host: Netlink, bridge: Link, device: str, namespace: int, address: str) -> None:
    _delete(host, device)
    host.add_veth(device, INSIDE, namespace, bridge.mtu, _mac(address))
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
    for address, found in _living(state, host).items():
        if found == device:
            (state / _LEASES / address).unlink(missing_ok=True)
    _delete(host, device)
    _remove_unused(state, nft, host)


def _remove_unused(state: Path, nft: str, host: Netlink) -> None:
    if any(not path.name.startswith(".") for path in (state / _LEASES).iterdir()):
        return
    link = host.link(NAME)
    if link is None or any(port.master == link.number for port in host.links()):
        return
    firewall.uninstall(nft, NAME)
    host.delete_link(link.number)


def _delete(host: Netlink, device: str) -> None:
    link = host.link(device)
    if link is not None:
        with contextlib.suppress(OSError):  # it goes by itself when its namespace ends
            host.delete_link(link.number)


def _mac(address: str) -> bytes:
    """A locally administered address that follows from the IP address, so that no cache is ever stale."""
    return b"\x02\x74" + socket.inet_aton(address)


def state_directory(run: Path) -> Path:
    """Where the leases of the network namespace we are in lie: the bridge is one for each namespace."""
    return run / "network" / str(Path("/proc/self/ns/net").stat().st_ino)
