"""Which addresses a name has among the containers of some networks, read from their leases.

Nothing is kept that a look at the directory's time would not confirm: containers come, go and are renamed.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os
import time

from tiffin.network.leases import DIRECTORY
from tiffin.network.segmentleases import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.network.segmentleases import Lease

__all__ = ["Zone"]

_SETTLED = 2.0
"""Seconds after which a second change would have another time: file systems tell time in ticks."""


class Zone:
    """The names of one network, `name`, whose leases lie below `place`."""

    def __init__(self, name: str, place: Path) -> None:
        self.name = name
        self._place = place
        self._seen = 0
        self._leases: list[Lease] = []
        self._turn = 0

    def addresses(self, wanted: str) -> list[str] | None:
        """The addresses of a name in small letters, in changing order; None if there is no such name here."""
        suffix = f".{self.name.lower()}"
        bare = wanted.removesuffix(suffix)
        found = [lease for lease in self._living() if wanted in lease.names or bare in lease.names]
        if not found:
            return None
        self._turn += 1
        cut = self._turn % len(found)
        turned = found[cut:] + found[:cut]
        return [address for lease in turned for address in (lease.address, lease.address6) if address]

    def name_of(self, address: str) -> str:
        """The name of the container with the address, as a whole; empty if there is none."""
        for lease in self._living():
            if address in (lease.address, lease.address6):
                return f"{lease.name}.{self.name}"
        return ""

    def _living(self) -> list[Lease]:
        try:
            changed = os.stat(self._place / DIRECTORY).st_mtime_ns  # noqa: PTH116 - for each query
        except OSError:
            return []
        if changed != self._seen:
            self._leases = members(self._place)
            settled = time.time_ns() - changed > _SETTLED * 1e9
            self._seen = changed if settled else 0
        return [lease for lease in self._leases if lease.owner.alive]
