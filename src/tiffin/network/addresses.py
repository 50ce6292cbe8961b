"""Which addresses the bridge uses: a subnet that clashes with no route, and leases of its addresses.

A lease is a file named after the address that holds its owner (process id and start time) and lies
in a directory under one lock; a lease whose owner is dead is free again. The choices are pure.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import socket

from tiffin.errors import UnavailableError
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["CANDIDATES", "Subnet", "choose_subnet", "next_address"]


def _mask(prefix: int) -> int:
    return 0xFFFFFFFF << 32 - prefix & 0xFFFFFFFF


def _number(address: str) -> int:
    return int.from_bytes(socket.inet_aton(address), "big")


def _text(number: int) -> str:
    return socket.inet_ntoa(number.to_bytes(4, "big"))


class Subnet(NamedTuple):
    """An IPv4 network: `base` is its first address as a number."""

    base: int
    prefix: int

    @classmethod
    def parse(cls, text: str) -> Subnet:
        """Return the subnet written as `10.88.0.0/16`."""
        address, _, prefix = text.partition("/")
        length = int(prefix)
        return cls(_number(address) & _mask(length), length)

    def __str__(self) -> str:
        return f"{_text(self.base)}/{self.prefix}"

    @property
    def gateway(self) -> str:
        """The first usable address: the bridge's own."""
        return _text(self.base + 1)

    @property
    def broadcast(self) -> str:
        """The last address."""
        return _text(self.base | ~_mask(self.prefix) & 0xFFFFFFFF)

    def overlaps(self, other: Subnet) -> bool:
        """Tell whether the two share an address."""
        mask = _mask(min(self.prefix, other.prefix))
        return self.base & mask == other.base & mask


CANDIDATES: tuple[Subnet, ...] = (
    *(Subnet.parse(f"10.{second}.0.0/16") for second in range(88, 128)),
    *(Subnet.parse(f"172.{second}.0.0/16") for second in range(24, 32)),
    *(Subnet.parse(f"192.168.{third}.0/24") for third in range(200, 250)),
)


def choose_subnet(in_use: Iterable[Subnet]) -> Subnet:
    """Return the first candidate that no network in use overlaps; the default route does not count."""
    networks = [network for network in in_use if network.prefix > 0]
    for candidate in CANDIDATES:
        if not any(candidate.overlaps(network) for network in networks):
            return candidate
    raise UnavailableError(
        "no private network is free for the containers' bridge: routes cover all of"
        f" {CANDIDATES[0]} to {CANDIDATES[-1]}",
        code="no-free-subnet",
        hint="use --network host, or remove routes that are not needed",
    )


def next_address(subnet: Subnet, leased: Collection[str], last: str = "") -> str:
    """Return the first free address after `last`, going round, so that one is not soon used again."""
    first, end = subnet.base + 2, _number(subnet.broadcast)
    start = _number(last) + 1 if last else first
    start = start if first <= start < end else first
    taken = {_number(address) for address in leased}
    for number in (*range(start, end), *range(first, start)):
        if number not in taken:
            return _text(number)
    raise UnavailableError(
        f"all addresses of {subnet} are in use by containers",
        code="no-free-address",
        hint="stop containers that are not needed",
    )
