"""The rules of a network that a user has made: a table of its own, which goes as a whole.

Networks are isolated from each other: into a bridge come only answers, and what was redirected to a
published port.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from tiffin.network import firewall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.network.plan import Endpoint

__all__ = ["allow_forwarding", "ruleset", "table_of"]

_IPV6 = Path("/proc/sys/net/ipv6/conf")


def table_of(network: str) -> str:
    """The name of the table of the network of that id."""
    return f"tiffin-net-{network[:12]}"


def ruleset(endpoint: Endpoint) -> str:
    """Return the table as nft reads it; it replaces what is there."""
    table, bridge = table_of(endpoint.network), endpoint.bridge
    families = [("ip", endpoint.subnet), *([("ip6", endpoint.subnet6)] if endpoint.subnet6 else [])]
    masquerade = [
        f'{family} saddr {subnet} oifname != "{bridge}" masquerade'
        for family, subnet in families
        if endpoint.masquerade and not endpoint.internal
    ]
    redirected = f'oifname "{bridge}" ct status dnat ip saddr {{ 127.0.0.0/8, {endpoint.subnet} }} masquerade'
    inward = [
        f'oifname "{bridge}" ct state established,related accept',
        f'oifname "{bridge}" ct status dnat accept',
        f'oifname "{bridge}" drop',
    ]
    closed = [f'iifname "{bridge}" drop', f'oifname "{bridge}" drop']
    forwarded = [f'iifname "{bridge}" oifname "{bridge}" accept', *(closed if endpoint.internal else inward)]
    guarded = [f'iifname "{bridge}" ip {end} 127.0.0.0/8 drop' for end in ("daddr", "saddr")]
    chains = (
        ("guarded", "filter hook prerouting priority -300", guarded),
        ("outgoing", "nat hook postrouting priority 100", [redirected, *masquerade]),
        ("forwarded", "filter hook forward priority 0", forwarded),
    )
    body = "".join(
        f"    chain {name} {{\n        type {hook}; policy accept;\n"
        + "".join(f"        {rule}\n" for rule in rules)
        + "    }\n"
        for name, hook, rules in chains
    )
    return f"table inet {table} {{}}\ndelete table inet {table}\ntable inet {table} {{\n{body}}}\n"


def allow_forwarding(*, ipv6: bool) -> None:
    """Let this host pass packets on; where it learns its own IPv6 route from routers, it goes on to do so."""
    firewall.allow_forwarding()
    switch = _IPV6 / "all/forwarding"
    if not ipv6 or switch.read_bytes().strip() == b"1":
        return
    for accepts in _IPV6.glob("*/accept_ra"):
        with contextlib.suppress(OSError):
            if accepts.read_bytes().strip() == b"1":
                accepts.write_bytes(b"2")
    with contextlib.suppress(OSError):
        switch.write_bytes(b"1")
