"""The network of a build's steps: chosen once, as for containers, with the host's as the last resort."""

from __future__ import annotations

import marshal
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.network import resolver
from tiffin.network.attach import examine
from tiffin.network.plan import NetworkPlan, choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.network.resolver import ExtraHost

_LOOPBACK = "127.0.0.1"
_RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


class Connection:
    """How the steps of one build reach out. `requested` is `--network`; `state` a directory for leases.

    With `offline` no step does, whatever it asks for.
    """

    def __init__(
        self,
        requested: str,
        state: Path,
        *,
        root: bool,
        extra: Sequence[ExtraHost] = (),
        offline: bool = False,
    ) -> None:
        self._offline = offline
        facts = examine(root=root)
        self._choice = choose(requested, facts, fallback_host=True)
        self._facts = facts
        self._state = state
        self._extra = tuple(extra)
        self._of_gateway = [line for line in extra if line.address == resolver.HOST_GATEWAY]
        self.notices = self._choice.notices

    def _mode(self, wanted: str) -> str:
        """The mode of a step that asks for `wanted`: default, none or host."""
        if self._offline:
            return "none"
        return wanted if wanted in ("none", "host") else self._choice.mode

    def shares_host(self, wanted: str) -> bool:
        """Whether such a step is in the host's network."""
        return self._mode(wanted) == "host"

    def is_served(self, wanted: str) -> bool:
        """Whether the relay answers such a step: it reaches out, or would but for `offline`."""
        if self._offline:
            return wanted != "none"
        return self._mode(wanted) not in ("none", "loopback")

    def hosts(self, name: str, wanted: str) -> str:
        """Return /etc/hosts for such a step, as far as it is known before it has its network."""
        if self.shares_host(wanted):
            return resolver.hosts(name, "", self._extra, gateway=_LOOPBACK, base=_read("/etc/hosts"))
        return resolver.hosts(name, "", [line for line in self._extra if line not in self._of_gateway])

    def resolv_conf(self, wanted: str) -> str:
        """Return /etc/resolv.conf for such a step."""
        texts = [_read(path) for path in _RESOLVERS]
        return resolver.resolv_conf(texts, private=not self.shares_host(wanted)).text

    def pack(
        self,
        wanted: str,
        name: str,
        hosts: Path,
        joins: tuple[str, ...] = (),
        door: tuple[int, int] | None = None,
    ) -> bytes:
        """Return the plan for one such step, as bytes for the process that runs it; `joins` are its groups.

        That completes the file `hosts` of the step called `name`, if the way to the host is asked for.
        `door` is the descriptor by which it sends a socket that listens in the step's network, and its port.
        """
        mode = self._mode(wanted)
        # Without a network there is no way: the name is left out rather than the step refused.
        completed = bool(self._of_gateway) and mode not in ("host", "none")
        plan = NetworkPlan(
            mode=mode,  # type: ignore[arg-type]  # both are modes
            identity=os.urandom(32).hex(),
            state=os.fspath(self._state),
            nft=self._facts.nft,
            pasta=self._facts.pasta,
            map_gateway=completed,
        )
        file = (os.fspath(hosts), name, tuple(map(tuple, self._extra))) if completed else None
        return marshal.dumps((plan.to_wire(), file, joins, door))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
