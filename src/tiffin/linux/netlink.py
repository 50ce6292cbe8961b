"""Route netlink: links, veth pairs, bridges, addresses and routes, as plain calls on one socket.

A netlink socket belongs for ever to the network namespace of the thread that made it, so one
`Netlink` per namespace is opened (see `netns`) and used from any thread afterwards.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import sys

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

__all__ = ["Address", "Link", "Netlink", "Route", "attribute", "attributes", "messages"]

SOL_NETLINK = 270
NETLINK_EXT_ACK = 11

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_EXCL, NLM_F_CREATE = 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSGERR_ATTR_MSG = 1

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 10, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFA_F_NODAD = 2  # an IPv6 address can be used at once: it is we who give them out
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
IFF_UP = 1
RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST = 254, 3, 0, 1
NLA_TYPE_MASK = 0x3FFF  # the two highest bits say "nested" and "network byte order"

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")


class Link(NamedTuple):
    """A network interface; `master` is the number of the bridge that it is a port of, or 0."""

    number: int
    name: str
    up: bool
    mtu: int
    mac: bytes
    master: int


class Address(NamedTuple):
    """An address of an interface in text form, with the length of its prefix."""

    link: int
    address: str
    prefix: int
    scope: int


class Route(NamedTuple):
    """A route of the main table: `destination` is empty for the default route."""

    destination: str
    prefix: int
    gateway: str
    link: int


class Netlink:
    """A route netlink socket of the calling thread's network namespace.

    Every call waits for the kernel's answer and raises `OSError` that names the
    object and carries the kernel's own explanation where it gives one.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._sequence = 0
        with contextlib.suppress(OSError):  # before kernel 4.12 errors come without an explanation
            self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def links(self) -> list[Link]:
        """All interfaces of the namespace."""
        links = []
        for body in self._request(RTM_GETLINK, NLM_F_DUMP, _LINK.pack(0, 0, 0, 0, 0), "list links"):
            _, _, index, flags, _ = _LINK.unpack_from(body)
            known = dict(attributes(body[_LINK.size :]))
            name = known.get(IFLA_IFNAME, b"").rstrip(b"\0").decode("utf-8", "replace")
            mtu = int.from_bytes(known.get(IFLA_MTU, b""), sys.byteorder)
            master = int.from_bytes(known.get(IFLA_MASTER, b""), sys.byteorder)
            mac = known.get(IFLA_ADDRESS, b"")
            links.append(Link(index, name, bool(flags & IFF_UP), mtu, mac, master))
        return links

    def link(self, name: str) -> Link | None:
        """The interface called `name`, or None."""
        return next((link for link in self.links() if link.name == name), None)

    def addresses(self, family: int = socket.AF_INET) -> list[Address]:
        """All addresses of the family."""
        request = _ADDRESS.pack(family, 0, 0, 0, 0)
        found = []
        for body in self._request(RTM_GETADDR, NLM_F_DUMP, request, "list addresses"):
            kind, prefix, _, scope, index = _ADDRESS.unpack_from(body)
            known = dict(attributes(body[_ADDRESS.size :]))
            raw = known.get(IFA_LOCAL) or known.get(IFA_ADDRESS)
            if kind == family and raw:
                found.append(Address(index, socket.inet_ntop(family, raw), prefix, scope))
        return found

    def routes(self, family: int = socket.AF_INET) -> list[Route]:
        """The unicast routes of the main table."""
        request = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        found = []
        for body in self._request(RTM_GETROUTE, NLM_F_DUMP, request, "list routes"):
            header = _ROUTE.unpack_from(body)
            if header[0] != family or header[4] != RT_TABLE_MAIN or header[7] != RTN_UNICAST:
                continue
            known = dict(attributes(body[_ROUTE.size :]))
            destination, gateway = known.get(RTA_DST), known.get(RTA_GATEWAY)
            found.append(
                Route(
                    socket.inet_ntop(family, destination) if destination else "",
                    header[1],
                    socket.inet_ntop(family, gateway) if gateway else "",
                    int.from_bytes(known.get(RTA_OIF, b""), sys.byteorder),
                )
            )
        return found

    def add_bridge(self, name: str, mac: bytes, mtu: int) -> None:
        """Make the bridge `name`, down and without addresses; a fixed MAC keeps it when ports come and go."""
        info = attribute(IFLA_INFO_KIND, b"bridge")
        payload = (
            _LINK.pack(0, 0, 0, 0, 0)
            + _text(IFLA_IFNAME, name)
            + attribute(IFLA_ADDRESS, mac)
            + attribute(IFLA_MTU, struct.pack("=I", mtu))
            + attribute(IFLA_LINKINFO, info)
        )
        self._request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, f"make bridge {name}")

    def add_veth(self, name: str, peer: str, peer_namespace: int, mtu: int, mac: bytes) -> None:
        """Make a veth pair: `name` here, `peer` with `mac` in the namespace of the file descriptor."""
        size = attribute(IFLA_MTU, struct.pack("=I", mtu))
        other = (
            _LINK.pack(0, 0, 0, 0, 0)
            + _text(IFLA_IFNAME, peer)
            + attribute(IFLA_NET_NS_FD, struct.pack("=I", peer_namespace))
            + attribute(IFLA_ADDRESS, mac)
            + size
        )
        info = attribute(IFLA_INFO_KIND, b"veth") + attribute(
            IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other)
        )
        payload = _LINK.pack(0, 0, 0, 0, 0) + _text(IFLA_IFNAME, name) + size + attribute(IFLA_LINKINFO, info)
        self._request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, f"make veth pair {name}")

    def set_up(self, index: int) -> None:
        """Bring the interface up."""
        self._request(RTM_NEWLINK, 0, _LINK.pack(0, 0, index, IFF_UP, IFF_UP), f"bring link {index} up")

    def set_master(self, index: int, master: int) -> None:
        """Make the interface a port of the bridge `master`."""
        payload = _LINK.pack(0, 0, index, 0, 0) + attribute(IFLA_MASTER, struct.pack("=I", master))
        self._request(RTM_NEWLINK, 0, payload, f"put link {index} into bridge {master}")

    def delete_link(self, index: int) -> None:
        """Delete the interface (and, with a veth, its peer)."""
        self._request(RTM_DELLINK, 0, _LINK.pack(0, 0, index, 0, 0), f"delete link {index}")

    def add_address(self, index: int, address: str, prefix: int, broadcast: str = "") -> None:
        """Give the interface an IPv4 or IPv6 address; its network becomes reachable through it."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address)
        payload = (
            _ADDRESS.pack(family, prefix, IFA_F_NODAD if family == socket.AF_INET6 else 0, 0, index)
            + attribute(IFA_LOCAL, raw)
            + attribute(IFA_ADDRESS, raw)
        )
        if broadcast:
            payload += attribute(IFA_BROADCAST, socket.inet_pton(family, broadcast))
        self._request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, payload, f"add address {address}/{prefix}")

    def add_default_route(self, gateway: str, index: int) -> None:
        """Send everything that has no other route to `gateway`."""
        family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
        header = _ROUTE.pack(family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0)
        payload = (
            header
            + attribute(RTA_GATEWAY, socket.inet_pton(family, gateway))
            + attribute(RTA_OIF, struct.pack("=I", index))
        )
        self._request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, payload, f"add default route via {gateway}")

    def _request(self, kind: int, flags: int, payload: bytes, what: str) -> list[bytes]:
        self._sequence += 1
        flags |= NLM_F_REQUEST if flags & NLM_F_DUMP == NLM_F_DUMP else NLM_F_REQUEST | NLM_F_ACK
        header = _HEADER.pack(_HEADER.size + len(payload), kind, flags, self._sequence, 0)
        self._socket.send(header + payload)
        answers: list[bytes] = []
        while True:
            for message, body in messages(self._socket.recv(1 << 17), self._sequence):
                if message[1] == NLMSG_DONE:
                    return answers
                if message[1] == NLMSG_ERROR:
                    _raise_refusal(message[2], body, what)
                    return answers
                answers.append(body)


def messages(data: bytes, sequence: int | None = None) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """The messages of one datagram, each header with its body; of that sequence number if one is given."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        header = _HEADER.unpack_from(data, offset)
        if sequence in (None, header[3]):  # what is left of an earlier, interrupted dump is skipped
            yield header, data[offset + _HEADER.size : offset + header[0]]
        offset += max((header[0] + 3) & ~3, _HEADER.size)


def _raise_refusal(flags: int, body: bytes, what: str) -> None:
    code: int = -struct.unpack_from("=i", body)[0]
    if code == 0:
        return
    explanation = os.strerror(code)
    if flags & NLM_F_ACK_TLVS:
        echoed = _HEADER.unpack_from(body, 4)[0]
        offset = 4 + (_HEADER.size if flags & NLM_F_CAPPED else (echoed + 3) & ~3)
        message = dict(attributes(body[offset:])).get(NLMSGERR_ATTR_MSG)
        if message:
            explanation += f" ({message.rstrip(bytes(1)).decode('utf-8', 'replace')})"
    raise OSError(code, f"{what}: {explanation}")


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute of that kind, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _text(kind: int, value: str) -> bytes:
    if len(value) > 15:
        raise OSError(errno.ENAMETOOLONG, f"name of network interface {value!r} exceeds 15 characters")
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes: kinds and values."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if size < _ATTRIBUTE.size:
            return
        yield kind & NLA_TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + size]
        offset += (size + 3) & ~3
