"""A container in networks that users have made: it joins them when it starts, and others while it runs.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

from pathlib import Path

from tiffin.linux.netlink import Netlink
from tiffin.linux.netns import loopback_up, within
from tiffin.network import shortcut
from tiffin.network.segment import Home, join, lead_out, leave_segment
from tiffin.network.segmentrules import table_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from tiffin.network.attach import Attachment
    from tiffin.network.plan import Endpoint, NetworkPlan
    from tiffin.network.publish import Published
    from tiffin.network.segment import Seat

__all__ = ["home_of", "leading", "shorten", "sit_down", "sit_down_at", "stand_up"]


def home_of(plan: NetworkPlan) -> Home:
    """Where the bridges are."""
    return Home(Path(plan.state), plan.nft, plan.home)


def leading(endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """The one of these that leads out (pure)."""
    ways = [endpoint for endpoint in endpoints if not endpoint.internal]
    return max(ways, key=lambda endpoint: endpoint.priority, default=None)


def sit_down(attachment: Attachment, plan: NetworkPlan) -> None:
    """Join all networks of the plan."""
    attachment.undo.append(lambda: _stand_up_all(attachment, plan))
    loopback_up(attachment.namespace)
    way = leading(plan.endpoints) if plan.mode == "networks" else None
    for endpoint in plan.endpoints:
        home = home_of(plan)
        seat = join(home, endpoint, plan.identity, attachment.namespace, way_out=endpoint is way)
        attachment.seats.append(seat)
    _tell(attachment, plan)


def sit_down_at(attachment: Attachment, plan: NetworkPlan, endpoint: Endpoint) -> None:
    """Join one more; it leads out if none does yet."""
    outward = not _leads_out(attachment.namespace)
    seat = join(home_of(plan), endpoint, plan.identity, attachment.namespace, way_out=outward)
    attachment.seats.append(seat)
    _tell(attachment, plan)


def stand_up(attachment: Attachment, plan: NetworkPlan, network: str) -> None:
    """Leave the network of that id; another leads out if it was this one that did."""
    for seat in [seat for seat in attachment.seats if seat.endpoint.network == network]:
        attachment.seats.remove(seat)
        leave_segment(home_of(plan), seat)
    way = leading([seat.endpoint for seat in attachment.seats])
    if way is not None and not _leads_out(attachment.namespace):
        inside = next(seat.inside for seat in attachment.seats if seat.endpoint is way)
        with within(attachment.namespace, Netlink) as own:
            device = own.link(inside)
            if device is not None:
                lead_out(own, way, device.number)
    _tell(attachment, plan)


def shorten(attachment: Attachment, plan: NetworkPlan, ports: Sequence[Published]) -> socket.socket | None:
    """Have the kernel redirect the ports through the network that leads out, as `shortcut.take` does."""
    way = leading([seat.endpoint for seat in attachment.seats])
    if way is None or plan.home >= 0:
        return None
    address = next(seat.lease.address for seat in attachment.seats if seat.endpoint is way)
    return shortcut.take(plan, ports, address, shortcut.Way(way.bridge, table_of(way.network)))


def _leads_out(namespace: int) -> bool:
    with within(namespace, Netlink) as inside:
        return any(not route.prefix for route in inside.routes())


def _tell(attachment: Attachment, plan: NetworkPlan) -> None:
    """Say what addresses the container has now."""
    if plan.mode == "bridge":
        return  # it keeps those of its first network
    seats: list[Seat] = attachment.seats
    attachment.address = seats[0].lease.address if seats else ""
    way = leading([seat.endpoint for seat in seats])
    attachment.gateway = way.gateway if way is not None and plan.home < 0 else ""


def _stand_up_all(attachment: Attachment, plan: NetworkPlan) -> None:
    while attachment.seats:
        leave_segment(home_of(plan), attachment.seats.pop(), ended=True)
