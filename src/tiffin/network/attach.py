"""Connect a container's network namespace as its plan says, and take the connection away again.

`attach` is called by the process that launched the container, in the host's network namespace,
before the container's first program runs. Each mode imports what it needs: who starts a
container does not wait for what other networks take. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path

from tiffin.errors import UnavailableError
from tiffin.linux import capability
from tiffin.linux.netns import loopback_up, within
from tiffin.network.plan import Facts
from tiffin.network.tool import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tiffin.network.plan import NetworkPlan
    from tiffin.network.segment import Seat

__all__ = ["Attachment", "attach", "examine", "gateway_of_host", "write_hosts"]

_NET_ADMIN = 12
_TUN = Path("/dev/net/tun")
_GLOBAL_SCOPE = 0


class Attachment:
    """A container's connection; `namespace` is its network namespace, open until `close`.

    `address` is the container's own, empty where it has none; `gateway` is how it calls the
    host, empty where it cannot; `notices` is what the user should know; `seats` are its places in
    networks that users have made, the first one's address being its own if there is no other.
    """

    def __init__(self, namespace: int = -1, notices: tuple[str, ...] = ()) -> None:
        self.namespace = namespace
        self.address = ""
        self.gateway = ""
        self.notices = notices
        self.seats: list[Seat] = []
        self.undo: list[Callable[[], None]] = []

    def close(self) -> None:
        """Take the connection away; what has gone by itself is no failure."""
        if self.namespace >= 0:
            os.close(self.namespace)
            self.namespace = -1
        while self.undo:
            self.undo.pop()()


def attach(plan: NetworkPlan, pid: int) -> Attachment:
    """Connect the process, which is held before its first program, and return what it got.

    Where the plan took pasta by itself and pasta cannot, for want of a way out of the host itself
    for example, the container goes on with its loopback and a notice says so.
    """
    if plan.mode == "host":
        return Attachment()
    attachment = Attachment(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    try:
        if plan.mode == "bridge":
            _by_bridge(attachment, plan)
        elif plan.mode == "pasta":
            _by_pasta(attachment, plan, pid)
        elif plan.mode in ("loopback", "none"):
            loopback_up(attachment.namespace)
        if plan.endpoints:
            from tiffin.network.seating import sit_down

            sit_down(attachment, plan)
    except BaseException:
        attachment.close()
        raise
    return attachment


def write_hosts(path: str, name: str, extra: Iterable[tuple[str, str]], attachment: Attachment) -> None:
    """Write /etc/hosts of a container that got this connection; `extra` are names with their addresses."""
    from tiffin.network import resolver

    lines = [resolver.ExtraHost(*line) for line in extra]
    text = resolver.hosts(name, attachment.address, lines, attachment.gateway)
    leases = [seat.lease for seat in attachment.seats]
    more = [address for lease in leases for address in (lease.address, lease.address6)]
    text += "".join(f"{address}\t{name}\n" for address in more if address not in ("", attachment.address))
    # Written in place: the container has this very file mounted.
    with Path(path).open("w", encoding="utf-8") as file:
        file.write(text)


def examine(*, root: bool) -> Facts:
    """Return what this machine has for networks; `root` tells whether we are real root."""
    return Facts(
        root=root,
        admin=bool(capability.effective() >> _NET_ADMIN & 1),
        nft=find("nft") if root else "",
        pasta=find("pasta"),
        tun=_tun_for_users() if root else os.access(_TUN, os.R_OK | os.W_OK),
    )


def gateway_of_host() -> str:
    """The address of the host's default router, which pasta may let stand for the host; or nothing."""
    from tiffin.linux.netlink import Netlink

    with Netlink() as host:
        return next((route.gateway for route in host.routes() if not route.prefix), "")


def _by_bridge(attachment: Attachment, plan: NetworkPlan) -> None:
    from tiffin.network import bridge

    state = Path(plan.state)
    connection = bridge.connect(state, plan.nft, plan.identity, attachment.namespace, plan.mac)
    attachment.undo.append(partial(bridge.disconnect, state, plan.nft, connection.device))
    attachment.address, attachment.gateway = connection.address, connection.gateway


def _by_pasta(attachment: Attachment, plan: NetworkPlan, pid: int) -> None:
    from tiffin.network import pasta

    command = pasta.arguments(plan.pasta, pasta.Wishes(plan.forward_dns, plan.map_gateway))
    user = _foreign_user_namespace(pid)
    try:
        process = pasta.start(command, attachment.namespace, user)
    except UnavailableError as error:
        if plan.insist:
            raise
        notice = f"the container cannot reach out, only published ports work: {error.message}"
        attachment.notices += (notice,)
        loopback_up(attachment.namespace)
        return
    finally:
        if user is not None:
            os.close(user)
    attachment.undo.append(process.stop)
    attachment.address = _own_address(attachment.namespace)
    attachment.gateway = gateway_of_host() if plan.map_gateway else ""


def _own_address(namespace: int) -> str:
    from tiffin.linux.netlink import Netlink

    with within(namespace, Netlink) as inside:
        return next((found.address for found in inside.addresses() if found.scope == _GLOBAL_SCOPE), "")


def _foreign_user_namespace(pid: int) -> int | None:
    """The user namespace of the process, if that is not ours."""
    found = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(found).st_ino != Path("/proc/self/ns/user").stat().st_ino:
        return found
    os.close(found)
    return None


def _tun_for_users() -> bool:
    """Tell whether anybody may open the device: as root's child pasta is nobody in particular."""
    try:
        return _TUN.stat().st_mode & stat.S_IRWXO >= stat.S_IROTH | stat.S_IWOTH
    except OSError:
        return False
