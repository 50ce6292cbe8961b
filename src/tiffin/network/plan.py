"""How a container is to be connected: the choice of a mode from facts, and the plan as a value (pure).

| mode | the container has | it reaches |
| --- | --- | --- |
| bridge | an address of its own on a bridge, the host masquerades | what the host reaches |
| networks | an address in each of several networks | their containers by name, what the host reaches |
| pasta | the host's address, carried by a process of the user | what the host reaches |
| loopback | a loopback of its own | nothing; published ports still reach it |
| none | the same, and nothing is published | nothing |
| host | the host's network itself | what the host reaches |
| container | the network of another container | what that one reaches |

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.linux.record import NamedTuple
from tiffin.network.publish import Published

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    Mode = Literal["bridge", "networks", "pasta", "loopback", "none", "host", "container"]

__all__ = ["NAMESERVER", "Choice", "Endpoint", "Facts", "NetworkPlan", "choose", "parse_mac"]


NAMESERVER = "169.254.1.1"
"""Where pasta answers name queries when it is asked to; link-local, so that it hides no other host."""

_PLAIN: dict[str, Mode] = {"none": "none", "host": "host", "loopback": "loopback"}
_AUTOMATIC = ("", "default", "bridge", "private")
_HEX = frozenset("0123456789abcdef")
_MODES = "bridge, pasta, loopback, host, none, container:NAME"


class Facts(NamedTuple):
    """What this machine has: paths of tools (empty if missing) and rights."""

    root: bool
    """Real root: the host's own network namespace may be changed."""
    admin: bool
    """CAP_NET_ADMIN over the network namespace in which we are."""
    nft: str
    pasta: str
    tun: bool
    """/dev/net/tun can be opened, which pasta needs."""


class Choice(NamedTuple):
    """The mode that was chosen, the other container of `container:NAME`, and what the user should know."""

    mode: Mode
    target: str = ""
    notices: tuple[str, ...] = ()


class Endpoint(NamedTuple):
    """A container's place in a network that a user has made, with what that network is like.

    Addresses are empty where any will do; `names` are those by which others of the network find it.
    """

    network: str
    """The id."""
    name: str
    bridge: str
    subnet: str
    gateway: str
    span: str = ""
    """The part of the subnet from which addresses are given out."""
    subnet6: str = ""
    gateway6: str = ""
    internal: bool = False
    masquerade: bool = True
    mtu: int = 0
    names: tuple[str, ...] = ()
    address: str = ""
    address6: str = ""
    mac: str = ""
    priority: int = 0
    """The way out leads through the network with the highest, of those the one that was joined first."""

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> Endpoint:
        """The endpoint that was sent as a list."""
        made = cls(*wire)
        return made._replace(names=tuple(made.names))


class NetworkPlan(NamedTuple):
    """All that attaching a container needs to know; `state` is a directory for leases and locks."""

    mode: Mode
    identity: str
    """The container's id: names its devices and leases."""
    state: str = ""
    ports: tuple[Published, ...] = ()
    nft: str = ""
    pasta: str = ""
    join: str = ""
    """For mode container: the network namespace as a path, /proc/PID/ns/net."""
    forward_dns: bool = False
    """pasta answers name queries at `NAMESERVER` by asking the host's own servers."""
    map_gateway: bool = False
    """The container reaches the host, its loopback too, at the address of the host's router."""
    mac: str = ""
    """The hardware address that was asked for; empty for one that follows from the address."""
    insist: bool = False
    """The mode was asked for by name: fail rather than take a weaker one."""
    endpoints: tuple[Endpoint, ...] = ()
    """Networks that users have made; the mode is "networks" if there are no others."""
    dns: tuple[str, ...] = ()
    """Whom the container's name server asks, if not those whom the host asks."""
    home: int = -1
    """The network namespace of the bridges of networks, where that is not the host's: without root."""
    hold: int = -1
    """The lock that keeps it alive; both are descriptors that the supervisor has."""

    def to_wire(self) -> dict[str, Any]:
        """The plan as JSON-ready data."""
        wire = {**self._asdict(), "ports": [list(port) for port in self.ports]}
        return wire | {"endpoints": [tuple(endpoint) for endpoint in self.endpoints]}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> NetworkPlan:
        """The plan that `to_wire` wrote."""
        ports = tuple(
            Published(container, host, address, protocol, tuple(choices))
            for container, host, address, protocol, choices in wire["ports"]
        )
        endpoints = tuple(Endpoint.from_wire(endpoint) for endpoint in wire["endpoints"])
        known = {"ports": ports, "endpoints": endpoints, "dns": tuple(wire["dns"])}
        return cls(**{**wire, **known})


def parse_mac(text: str, mode: Mode) -> str:
    """Return the hardware address in one spelling. Raises UnsupportedError where no device could have it."""
    digits = text.replace("-", ":").lower().split(":")
    if len(digits) != 6 or not all(len(two) == 2 and set(two) <= _HEX for two in digits):
        raise InvalidError(
            f"--mac-address {text}: not a hardware address", hint="for example 02:42:ac:11:00:02"
        )
    if int(digits[0], 16) & 1 or set(digits) == {"00"}:
        raise InvalidError(
            f"--mac-address {text}: not the address of a single device",
            hint="the first number must be even, and not all of them 0",
        )
    if mode != "bridge":
        raise UnsupportedError(
            f"--mac-address {text}: the network {mode} has no device of the container's own for it",
            hint="root's bridge has: run as root, with --network bridge",
        )
    return ":".join(digits)


def choose(requested: str, facts: Facts, *, fallback_host: bool = False) -> Choice:
    """Return how to connect a container for which the user asked `requested` (empty: nothing asked).

    A mode that was asked for by name is given or refused; the default takes the first that works
    here. `fallback_host` is for builds: a step that cannot reach out in a network of its own
    shares the host's instead of failing.
    """
    name, separator, target = requested.partition(":")
    if name == "container" and separator:
        if not target:
            raise InvalidError("--network container: names no container", hint="write container:NAME")
        return Choice("container", target)
    plain = _PLAIN.get(requested)
    if plain is not None:
        return Choice(plain)
    if requested == "pasta":
        if missing := _why_not_pasta(facts):
            raise UnsupportedError(f"--network pasta: {missing}", hint=_remedy(facts))
        return Choice("pasta")
    if requested not in _AUTOMATIC:
        raise NotFoundError(f"network {requested!r} not found", hint=f"the networks are {_MODES}")
    return _automatic(facts, fallback_host=fallback_host)


def _automatic(facts: Facts, *, fallback_host: bool) -> Choice:
    bridge_missing = _why_not_bridge(facts)
    if not bridge_missing:
        return Choice("bridge")
    pasta_missing = _why_not_pasta(facts)
    if not pasta_missing:
        return Choice("pasta")
    why = f"{bridge_missing}; {pasta_missing}" if facts.root else pasta_missing
    if fallback_host:
        return Choice("host", notices=(f"steps share the host's network, because {why}: {_remedy(facts)}",))
    notice = f"the container cannot reach out, only published ports work, because {why}"
    return Choice("loopback", notices=(f"{notice}: {_remedy(facts)}, or use --network host",))


def _why_not_bridge(facts: Facts) -> str:
    if not facts.root:
        return "a bridge needs root"
    if not facts.admin:
        return "the right to change the network (CAP_NET_ADMIN) is missing"
    return "" if facts.nft else "nft is not installed"


def _why_not_pasta(facts: Facts) -> str:
    if not facts.pasta:
        return "pasta is not installed"
    return "" if facts.tun else "/dev/net/tun cannot be opened"


def _remedy(facts: Facts) -> str:
    if facts.root and facts.admin and not facts.nft:
        return "install nftables"
    if not facts.pasta:
        return "install passt"
    return "give users access to /dev/net/tun (mode 0666; in a container: --device /dev/net/tun)"
