"""A short way to published ports: the kernel itself redirects TCP connections to a container of the bridge.

The forwarder listens all the same: what no rule takes (UDP, IPv6, connections begun earlier) goes through it,
and so does everything where the rules cannot be had. The rules belong to a socket of the supervisor's, and go
with it however it ends. Where the host filters what arrives for it, what comes from outside is left to the
forwarder too: redirected packets are never "input", and would slip past. Runs under `python -IS`; standard
library only.
"""

from __future__ import annotations

from pathlib import Path

from tiffin.linux import nftables
from tiffin.linux.record import NamedTuple
from tiffin.network import firewall
from tiffin.network.bridge import NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Iterable

    from tiffin.network.plan import NetworkPlan
    from tiffin.network.publish import Published

__all__ = ["Allowed", "Way", "chains", "take"]

_PREROUTING, _OUTPUT = 0, 3
_RAW, _REDIRECT = -300, -100
_LOOPBACK = 127
_ANY = ("", "0.0.0.0")  # noqa: S104 - what `-p 8000:8000` means
_LEGACY = Path("/proc/net/ip_tables_names")


class Allowed(NamedTuple):
    """Which connections may be redirected beside those that this host makes to its other addresses."""

    outside: bool
    """Those that come from other machines, and from other containers."""
    loopback: bool
    """Those to 127.0.0.1 that begin here."""


class Way(NamedTuple):
    """The bridge by which a container is reached, and the table that lets redirected connections in."""

    bridge: str = NAME
    table: str = firewall.TABLE


_USUAL = Way()


def chains(
    ports: Iterable[Published], address: str, allowed: Allowed, bridge: str = NAME
) -> tuple[nftables.Chain, ...]:
    """Return the chains that redirect these ports to the container of that address (pure)."""
    inward: list[bytes] = []
    own: list[bytes] = []
    for port in filter(_is_for_rules, ports):
        anywhere = port.address in _ANY
        where = nftables.is_local() if anywhere else nftables.goes_to(port.address)
        rest = nftables.is_tcp_to(port.host) + nftables.redirect(address, port.container)
        looped = not anywhere and port.address.startswith(f"{_LOOPBACK}.")
        beyond = nftables.begins_with(_LOOPBACK, negated=True)
        # Nobody outside may send to 127.0.0.1, and a neighbour on the wire can try. A container that calls
        # itself is left to the forwarder: a bridge does not send a frame back to where it came from.
        if allowed.outside and not looped:
            inward.append(beyond + nftables.comes_from_elsewhere(address) + where + rest)
        if allowed.loopback:
            own.append(where + rest)
        elif not looped:
            own.append(beyond + where + rest)
    if not own:
        return ()
    # The bridge's rules have the same guard, and both are needed: a flush takes those and spares this table,
    # and this one goes with its container, while loopback addresses may still pass the bridge.
    guard = tuple(
        nftables.arrives_by(bridge) + nftables.begins_with(_LOOPBACK, source=source) + nftables.drop()
        for source in (False, True)
    )
    return (
        nftables.Chain("guarded", "filter", _PREROUTING, _RAW, guard),
        nftables.Chain("inward", "nat", _PREROUTING, _REDIRECT, tuple(inward)),
        nftables.Chain("own", "nat", _OUTPUT, _REDIRECT, tuple(own)),
    )


def take(
    plan: NetworkPlan, ports: Collection[Published], address: str, way: Way = _USUAL
) -> socket.socket | None:
    """Redirect the ports until the socket is closed; None where only the forwarder can carry them."""
    if not any(map(_is_for_rules, ports)):
        return None
    try:
        standing = nftables.standing_chains()
        if not firewall.stands(standing, way.table):
            return None
        filtered = _filtered_by_iptables() or any(chain.judges_input for chain in standing)
        loopback = firewall.let_loopback_pass(way.bridge, allowed=True)
        wanted = chains(ports, address, Allowed(outside=not filtered, loopback=loopback), way.bridge)
        return nftables.own_table(f"tiffin-{plan.identity[:12]}", wanted) if wanted else None
    except OSError:
        return None  # an old kernel, or one without these parts: all of it goes through the forwarder


def _is_for_rules(port: Published) -> bool:
    return port.protocol == "tcp" and ":" not in port.address


def _filtered_by_iptables() -> bool:
    """Tell whether this host filters packets by tables of the older kind, which are not listed."""
    try:
        return "filter" in _LEGACY.read_text().split()
    except OSError:
        return False
