"""Rules of our own for the bridge: masquerade what goes out, let in replies and published ports, no more.

What is redirected to a container (see `shortcut`) is let in, and masqueraded where the answer would not come
back by itself: from the host's loopback, and from another container of the bridge. For the former the kernel
must let loopback addresses pass the bridge; no packet that truly came from a container may bear one.
An administrator's `nft flush ruleset` takes these rules, and whoever finds them gone makes them again.

They live in a table of ours that goes as a whole. A host whose iptables drops forwarded packets
(Docker sets that policy) drops ours too, whatever our table says, so that there rules are added.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

from pathlib import Path

from tiffin.errors import FailedError, UnsupportedError
from tiffin.network.tool import Running, find, run, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.linux.nftables import StandingChain

__all__ = [
    "allow_forwarding",
    "begin",
    "install",
    "let_loopback_pass",
    "ruleset",
    "stands",
    "uninstall",
]

TABLE = "tiffin"
_GUARD = "guarded"
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def ruleset(bridge: str, subnet: str) -> str:
    """Return the table as nft reads it; it replaces what is there."""
    return f"""\
table ip {TABLE} {{}}
delete table ip {TABLE}
table ip {TABLE} {{
    chain {_GUARD} {{
        type filter hook prerouting priority -300; policy accept;
        iifname "{bridge}" ip daddr 127.0.0.0/8 drop
        iifname "{bridge}" ip saddr 127.0.0.0/8 drop
    }}
    chain outgoing {{
        type nat hook postrouting priority 100; policy accept;
        oifname "{bridge}" ct status dnat ip saddr {{ 127.0.0.0/8, {subnet} }} masquerade
        ip saddr {subnet} oifname != "{bridge}" masquerade
    }}
    chain forwarded {{
        type filter hook forward priority 0; policy accept;
        iifname "{bridge}" accept
        oifname "{bridge}" ct state established,related accept
        oifname "{bridge}" ct status dnat accept
        oifname "{bridge}" drop
    }}
}}
"""


def stands(chains: Iterable[StandingChain], table: str = TABLE) -> bool:
    """Tell whether a table of ours is there: it goes with a flush, and older ones had no guard."""
    return any(chain.table == table and chain.name == _GUARD for chain in chains)


def begin(nft: str, rules: str) -> Running:
    """Begin to put a table of ours in place, which takes the tool a while; `install` ends it."""
    return start([nft, "-f", "-"], rules.encode())


def install(begun: Running, bridge: str, tools: tuple[str, ...] = ("iptables",)) -> bool:
    """Return when our table is in place, and whether the rules of these tools got exceptions for us."""
    status, output = begun.finish()
    if status:
        raise FailedError(
            f"nft refused the rules for the containers' bridge: {output}",
            code="firewall",
            hint="use --network host, or install pasta",
        )
    exceptions = [arguments for tool in tools for arguments in _iptables(bridge, tool)]
    for arguments in exceptions:
        run(arguments)
    return bool(exceptions)


def uninstall(nft: str, bridge: str, *, table: str = f"ip {TABLE}", exceptions: tuple[str, ...] = ()) -> None:
    """Take a table of ours away, and the exceptions by these tools; what is not there is no failure."""
    run([nft, "delete", "table", *table.split()])
    for iptables in filter(None, map(find, exceptions)):
        for chain, rule in _exceptions(bridge):
            run([iptables, "-w", "-D", chain, *rule])


def allow_forwarding() -> None:
    """Let this host pass packets on, as every engine with a bridge does; it stays on afterwards."""
    try:
        _set(_FORWARD, b"1")
    except OSError as error:
        raise UnsupportedError(
            f"cannot switch on packet forwarding ({_FORWARD}): {error.strerror}",
            code="no-forwarding",
            hint="set net.ipv4.ip_forward=1 on the host, or use --network host",
        ) from error


def let_loopback_pass(bridge: str, *, allowed: bool) -> bool:
    """Let packets with addresses of the loopback pass the bridge, or not; return whether that was possible.

    Only where our table stands may it be allowed: containers have the means to make such packets up.
    """
    try:
        _set(Path(f"/proc/sys/net/ipv4/conf/{bridge}/route_localnet"), b"1" if allowed else b"0")
    except OSError:
        return False
    return True


def _set(switch: Path, value: bytes) -> None:
    if switch.read_bytes().strip() != value:
        switch.write_bytes(value)


def _exceptions(bridge: str) -> tuple[tuple[str, list[str]], ...]:
    replies = ["-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"]
    redirected = ["-o", bridge, "-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT"]
    return ("FORWARD", ["-i", bridge, "-j", "ACCEPT"]), ("FORWARD", replies), ("FORWARD", redirected)


def _iptables(bridge: str, tool: str) -> list[list[str]]:
    iptables = find(tool)
    if not iptables:
        return []
    status, output = run([iptables, "-w", "-S", "FORWARD"])
    if status or "-P FORWARD DROP" not in output:
        return []
    present = output.splitlines()
    return [
        [iptables, "-w", "-I", chain, *rule]
        for chain, rule in _exceptions(bridge)
        if " ".join(["-A", chain, *rule]) not in present
    ]
