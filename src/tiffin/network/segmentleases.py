"""Who is in a network that a user has made: leases, one file each, named after the address.

A lease is all that is known of a container in the network, so that its neighbours find it by name; one whose
owner is dead counts for nothing. They change under the network's lock.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import json
import zlib

from tiffin.linux import files
from tiffin.linux.process import Identity
from tiffin.linux.record import NamedTuple
from tiffin.network.bridge import delete_device, mac_of
from tiffin.network.leases import DIRECTORY, NETWORKS, leases
from tiffin.network.subnets import Net, free_address, given_address, number_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from tiffin.linux.netlink import Netlink
    from tiffin.network.plan import Endpoint

__all__ = ["LAST", "Lease", "lease_for", "members", "places_of", "rename"]

LAST = "last"
"""The file with the address that was given last: the next one is not given again at once."""


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
    for place in places_of(state):
        with files.lock(place / "lock"):
            for lease in members(place):
                if lease.container == container:
                    names = tuple(new.lower() if name == old.lower() else name for name in lease.names)
                    lease._replace(name=new, names=names).write(place / DIRECTORY)


def places_of(state: Path) -> list[Path]:
    """The directories of all networks that somebody has been in."""
    try:
        return [place for place in (state / NETWORKS).iterdir() if (place / DIRECTORY).is_dir()]
    except FileNotFoundError:
        return []


def lease_for(
    place: Path, endpoint: Endpoint, container: str, others: Sequence[Lease], *, namespace: int
) -> Lease:
    """What the container gets in the network of that directory, beside the others. Raises ConflictError."""
    net = Net.parse(endpoint.subnet)
    taken = {number_of(lease.address) for lease in others} | {number_of(endpoint.gateway)}
    who = f"--network {endpoint.name}"
    if endpoint.address:
        number = given_address(net, endpoint.address, taken, who)
    else:
        span = Net.parse(endpoint.span) if endpoint.span else net
        number = free_address(net, span, taken, _last(place))
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
        fd=namespace,
    )


def _address6(endpoint: Endpoint, number: int, others: Sequence[Lease], who: str) -> str:
    """The IPv6 address: where the network has room for it, it ends as the IPv4 address does."""
    if not endpoint.subnet6:
        return ""
    net = Net.parse(endpoint.subnet6)
    taken = {number_of(lease.address6) for lease in others if lease.address6} | {number_of(endpoint.gateway6)}
    if endpoint.address6:
        return text_of(given_address(net, endpoint.address6, taken, who), 128)
    wanted = net.base + number
    if wanted > net.last or wanted in taken:
        wanted = free_address(net, net, taken)
    return text_of(wanted, 128)


def _last(place: Path) -> int:
    try:
        return number_of((place / LAST).read_text())
    except (OSError, ValueError):
        return 0
