"""The subnets of networks that users make, IPv4 and IPv6: parsed, chosen, addresses given out (pure).

An address is a number here; `Net` knows of how many bits. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import socket

from tiffin.errors import ConflictError, InvalidError, UnavailableError
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "Net",
    "choose",
    "family_of",
    "free_address",
    "given_address",
    "number_of",
    "private_ipv6",
    "text_of",
]


def number_of(address: str) -> int:
    """Return the address as a number. Raises ValueError if it is none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return int.from_bytes(socket.inet_pton(family, address), "big")
    except OSError:
        raise ValueError(f"{address!r} is not an IP address") from None


def family_of(bits: int) -> int:
    """Return the family of addresses that have so many bits, as the kernel numbers it."""
    return socket.AF_INET if bits == 32 else socket.AF_INET6


def text_of(number: int, bits: int) -> str:
    """Return the address of that number."""
    return socket.inet_ntop(family_of(bits), number.to_bytes(bits // 8, "big"))


class Net(NamedTuple):
    """A network: `base` is its first address, `bits` is 32 or 128."""

    base: int
    prefix: int
    bits: int = 32

    @classmethod
    def parse(cls, text: str) -> Net:
        """Return the network written as `172.20.0.0/16`; the rest is cleared. Raises ValueError."""
        address, _, prefix = text.partition("/")
        bits = 128 if ":" in address else 32
        if not prefix.isascii() or not prefix.isdigit() or int(prefix) > bits:
            raise ValueError(f"{text!r} is not a network with the length of its prefix")
        number, length = number_of(address), int(prefix)
        return cls(number >> bits - length << bits - length, length, bits)

    def __str__(self) -> str:
        return f"{text_of(self.base, self.bits)}/{self.prefix}"

    @property
    def last(self) -> int:
        """Its last address."""
        return self.base + (1 << self.bits - self.prefix) - 1

    @property
    def broadcast(self) -> str:
        """The last address as text where it is for all; IPv6 has none."""
        return text_of(self.last, 32) if self.bits == 32 else ""

    def holds(self, address: str) -> bool:
        """Tell whether the address lies in it."""
        return (":" in address) == (self.bits == 128) and self.base <= number_of(address) <= self.last

    def contains(self, other: Net) -> bool:
        """Tell whether all of the other lies in it."""
        return self.bits == other.bits and self.base <= other.base and other.last <= self.last

    def overlaps(self, other: Net) -> bool:
        """Tell whether the two share an address."""
        return self.bits == other.bits and self.base <= other.last and other.base <= self.last


# What Docker takes, but its first one, which is its default bridge's.
_CANDIDATES = (
    *((172 << 24 | second << 16, 16) for second in range(18, 32)),
    *((192 << 24 | 168 << 16 | third << 8, 20) for third in range(0, 256, 16)),
)


def choose(used: Iterable[Net]) -> Net:
    """Return the first candidate that overlaps nothing in use; the default route does not count."""
    taken = [net for net in used if net.prefix > 0]
    for base, prefix in _CANDIDATES:
        candidate = Net(base, prefix)
        if not any(candidate.overlaps(net) for net in taken):
            return candidate
    raise UnavailableError(
        "no private network is free: routes and other networks cover all that are tried",
        code="no-free-subnet",
        hint="choose one with --subnet, or remove networks that are not needed: tiffin network prune",
    )


def private_ipv6(random: bytes) -> Net:
    """Return a private IPv6 network that nobody else is likely to have, as RFC 4193 says."""
    return Net(int.from_bytes(b"\xfd" + random[:7], "big") << 64, 64, 128)


def free_address(net: Net, span: Net, taken: Collection[int], last: int = 0) -> int:
    """Return the first address of `span`, a part of `net`, after `last` that is free, going round.

    The first and the last address of a network stand for the whole of it where they are not all that it has.
    """
    first, end = span.base, span.last + 1
    if net.prefix < net.bits - 1:
        first = max(first, net.base + 1)
        end = min(end, net.last if net.bits == 32 else net.last + 1)
    start = last + 1 if first <= last + 1 < end else first
    for begin, stop in ((start, end), (first, start)):
        number = begin
        while number < stop:
            if number not in taken:
                return number
            number += 1
    raise UnavailableError(
        f"all addresses of {span} are in use by containers",
        code="no-free-address",
        hint="stop containers that are not needed",
    )


def given_address(net: Net, address: str, taken: Collection[int], who: str) -> int:
    """Return the address that was asked for. Raises InvalidError or ConflictError where it cannot be had."""
    if not net.holds(address):
        raise InvalidError(f"{who}: {address} is not in the subnet {net}", code="address", exit_status=125)
    number = number_of(address)
    if number in taken or number == net.base or (net.bits == 32 and number == net.last):
        raise ConflictError(
            f"{who}: the address {address} is already in use", code="address-in-use", exit_status=125
        )
    return number
