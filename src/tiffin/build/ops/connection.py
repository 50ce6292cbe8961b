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

_RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


class Connection:
    """How the steps of one build reach out. `requested` is `--network`; `state` a directory for leases."""

    def __init__(self, requested: str, state: Path, *, root: bool, extra: Sequence[ExtraHost] = ()) -> None:
        facts = examine(root=root)
        self._choice = choose(requested, facts, fallback_host=True)
        self._facts = facts
        self._state = state
        self._extra = tuple(extra)
        self.notices = self._choice.notices

    def _mode(self, wanted: str) -> str:
        """The mode of a step that asks for `wanted`: default, none or host."""
        return wanted if wanted in ("none", "host") else self._choice.mode

    def shares_host(self, wanted: str) -> bool:
        """Whether such a step is in the host's network."""
        return self._mode(wanted) == "host"

    def hosts(self, name: str, wanted: str) -> str:
        """Return /etc/hosts for such a step."""
        base = _read("/etc/hosts") if self.shares_host(wanted) else None
        return resolver.hosts(name, "", self._extra, base=base)

    def resolv_conf(self, wanted: str) -> str:
        """Return /etc/resolv.conf for such a step."""
        texts = [_read(path) for path in _RESOLVERS]
        return resolver.resolv_conf(texts, private=not self.shares_host(wanted)).text

    def pack(self, wanted: str) -> bytes:
        """Return the plan for one such step, as bytes for the process that runs it."""
        plan = NetworkPlan(
            mode=self._mode(wanted),  # type: ignore[arg-type]  # both are modes
            identity=os.urandom(32).hex(),
            state=os.fspath(self._state),
            nft=self._facts.nft,
            pasta=self._facts.pasta,
        )
        return marshal.dumps(plan.to_wire())


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
