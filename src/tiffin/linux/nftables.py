"""Netfilter tables that belong to a socket: the kernel removes them when it closes, however that comes.

Only what redirecting connections needs: chains, and rules made of expressions. All changes of a table
are one transaction. A kernel before 5.12, which knows no owner of a table, refuses. Runs under
`python -IS`; standard library only.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from tiffin.linux.netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    attribute,
    attributes,
    messages,
)
from tiffin.linux.record import NamedTuple

__all__ = [
    "Chain",
    "StandingChain",
    "arrives_by",
    "begins_with",
    "comes_from_elsewhere",
    "drop",
    "goes_to",
    "is_local",
    "is_tcp_to",
    "is_udp_to",
    "own_table",
    "redirect",
    "standing_chains",
]

_NETFILTER, _NFTABLES, _BATCH_BEGIN, _BATCH_END = 12, 10, 0x10, 0x11
_NEWTABLE, _NEWCHAIN, _GETCHAIN, _NEWRULE = 0, 3, 4, 6
_NLM_F_APPEND, _NESTED = 0x800, 0x8000
_DUMP_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_OWNER = 2  # NFT_TABLE_F_OWNER
_VERDICT, _ONE, _TWO = 0, 1, 2  # registers
_HEADER = struct.Struct("=IHHII")
_NF_DROP, _NF_ACCEPT, _LOCAL_IN = 0, 1, 1
_SOURCE, _DESTINATION, _DESTINATION_PORT = 12, 16, 2  # offsets in the headers of IPv4 and TCP


class Chain(NamedTuple):
    """A chain at a hook of the kernel, and its rules: each a sequence of expressions, as bytes."""

    name: str
    kind: str
    hook: int
    priority: int
    rules: tuple[bytes, ...]


class StandingChain(NamedTuple):
    """A chain that is there, whoever made it."""

    table: str
    name: str
    judges_input: bool
    """It filters what arrives for this host itself."""


def own_table(name: str, chains: tuple[Chain, ...]) -> socket.socket:
    """Make the IPv4 table; it lives as long as the socket that is returned is open.

    Raises OSError when the kernel refuses, and then nothing has changed.
    """
    changes = [(_NEWTABLE, NLM_F_CREATE, _text(1, name) + _big(2, _OWNER))]
    for chain in chains:
        hook = _nest(4, _big(1, chain.hook) + _big(2, chain.priority & 0xFFFFFFFF))
        body = _text(1, name) + _text(3, chain.name) + hook + _big(5, _NF_ACCEPT) + _text(7, chain.kind)
        changes.append((_NEWCHAIN, NLM_F_CREATE, body))
    for chain in chains:
        for rule in chain.rules:
            body = _text(1, name) + _text(2, chain.name) + _nest(4, rule)
            changes.append((_NEWRULE, NLM_F_CREATE | _NLM_F_APPEND, body))
    owner = _socket()
    try:
        _commit(owner, changes, name)
    except BaseException:
        owner.close()
        raise
    return owner


def standing_chains() -> tuple[StandingChain, ...]:
    """Return all chains of this network namespace, of whichever table and family."""
    with _socket() as asked:
        while (found := _dump_chains(asked)) is None:
            pass
    return found


def is_local() -> bytes:
    """The destination is an address of this host."""
    local = struct.pack("=I", 2)  # RTN_LOCAL
    return _expression("fib", _big(1, _ONE) + _big(2, 3) + _big(3, 2)) + _compare(local)


def goes_to(address: str) -> bytes:
    """The destination is this address."""
    return _load(1, _DESTINATION, 4) + _compare(socket.inet_aton(address))


def comes_from_elsewhere(address: str) -> bytes:
    """The source is another address."""
    return _load(1, _SOURCE, 4) + _compare(socket.inet_aton(address), negated=True)


def begins_with(first: int, *, source: bool = False, negated: bool = False) -> bytes:
    """The first number of the destination, or of the source, is this."""
    place = _SOURCE if source else _DESTINATION
    return _load(1, place, 1) + _compare(bytes([first]), negated=negated)


def is_tcp_to(port: int) -> bytes:
    """It is TCP to this port."""
    return _is_to(socket.IPPROTO_TCP, port)


def is_udp_to(port: int) -> bytes:
    """It is UDP to this port."""
    return _is_to(socket.IPPROTO_UDP, port)


def arrives_by(device: str) -> bytes:
    """It comes in by this device."""
    return _expression("meta", _big(1, _ONE) + _big(2, 6)) + _compare(device.encode().ljust(16, b"\0"))


def redirect(address: str, port: int) -> bytes:
    """Send the connection to that address and port."""
    target = _immediate(_ONE, attribute(1, socket.inet_aton(address)))
    target += _immediate(_TWO, attribute(1, struct.pack(">H", port)))
    nat = _big(1, 1) + _big(2, socket.AF_INET) + _big(3, _ONE) + _big(5, _TWO)
    return target + _expression("nat", nat)


def drop() -> bytes:
    """Drop it."""
    return _immediate(_VERDICT, _nest(2, _big(1, _NF_DROP)))


def _dump_chains(asked: socket.socket) -> tuple[StandingChain, ...] | None:
    """Ask once; None if the rules were changed meanwhile, so that some may be left out."""
    found: list[StandingChain] = []
    interrupted = False
    asked.send(_message(_NFTABLES << 8 | _GETCHAIN, NLM_F_REQUEST | NLM_F_DUMP, 1, b"", family=0))
    while True:
        for (_, kind, flags, *_), body in messages(asked.recv(1 << 17)):
            interrupted = interrupted or bool(flags & _DUMP_INTERRUPTED)
            if kind == NLMSG_DONE:
                return None if interrupted else tuple(found)
            if kind == NLMSG_ERROR:
                raise OSError(-struct.unpack_from("=i", body)[0], "cannot list the chains of netfilter")
            known = dict(attributes(body[4:]))
            table, name = (known.get(place, b"").rstrip(b"\0").decode(errors="replace") for place in (1, 3))
            found.append(StandingChain(table, name, _judges(known)))


def _judges(found: dict[int, bytes]) -> bool:
    """A chain at the input hook that drops by policy, or has a rule at all."""
    if 4 not in found:
        return False
    hook = dict(attributes(found[4])).get(1, b"")
    if int.from_bytes(hook, "big") != _LOCAL_IN or found.get(7) != b"filter\0":
        return False
    policy, users = found.get(5, b"\1"), found.get(6, b"")
    return int.from_bytes(policy, "big") == _NF_DROP or int.from_bytes(users, "big") > 0


def _is_to(protocol: int, port: int) -> bytes:
    kind = _expression("meta", _big(1, _ONE) + _big(2, 16)) + _compare(bytes([protocol]))
    return kind + _load(2, _DESTINATION_PORT, 2) + _compare(struct.pack(">H", port))


def _load(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", _big(1, _ONE) + _big(2, base) + _big(3, offset) + _big(4, length))


def _compare(value: bytes, *, negated: bool = False) -> bytes:
    return _expression("cmp", _big(1, _ONE) + _big(2, int(negated)) + _nest(3, attribute(1, value)))


def _immediate(register: int, data: bytes) -> bytes:
    return _expression("immediate", _big(1, register) + _nest(2, data))


def _expression(name: str, data: bytes) -> bytes:
    return _nest(1, _text(1, name) + _nest(2, data))


def _big(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _nest(kind: int, value: bytes) -> bytes:
    return attribute(kind | _NESTED, value)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    made.bind((0, 0))
    return made


def _message(kind: int, flags: int, sequence: int, body: bytes, *, family: int, extra: int = 0) -> bytes:
    header = _HEADER.pack(_HEADER.size + 4 + len(body), kind, flags, sequence, 0)
    return header + struct.pack(">BBH", family, 0, extra) + body


def _commit(owner: socket.socket, changes: list[tuple[int, int, bytes]], name: str) -> None:
    """Send all as one transaction; only the last answers, and any that fails."""
    last = len(changes)
    batch = [_message(_BATCH_BEGIN, NLM_F_REQUEST, 0, b"", family=0, extra=_NFTABLES)]
    for number, (kind, wanted, body) in enumerate(changes, 1):
        flags = wanted | NLM_F_REQUEST | (NLM_F_ACK if number == last else 0)
        batch.append(_message(_NFTABLES << 8 | kind, flags, number, body, family=socket.AF_INET))
    batch.append(_message(_BATCH_END, NLM_F_REQUEST, last + 1, b"", family=0, extra=_NFTABLES))
    owner.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    owner.send(b"".join(batch))
    for header, body in messages(owner.recv(1 << 16)):
        code = -struct.unpack_from("=i", body)[0] if header[1] == NLMSG_ERROR else errno.EPROTO
        if code:
            raise OSError(code, f"cannot make the netfilter table {name}: {os.strerror(code)}")
