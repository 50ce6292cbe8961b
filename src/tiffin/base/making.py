"""What a flavour needs to make its tree: packages that are verified and at hand, and a place to put them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tiffin.base.lock import LockedPackage, LockedSource
    from tiffin.base.request import Blobs, NewLayer, RunIn
    from tiffin.events import Emit

STEP: Final = "base/make"
"""The step, in events, in which the tree is made."""


class Making(NamedTuple):
    """One tree to be made; `epoch` None for the time of the newest file in the packages."""

    layer: NewLayer
    blobs: Blobs
    run_in: RunIn
    emit: Emit
    step: str
    packages: tuple[LockedPackage, ...]
    sources: tuple[LockedSource, ...]
    distribution: str
    architecture: str
    python: bool
    include: tuple[str, ...]
    epoch: int | None

    def epoch_or(self, newest: int) -> int:
        """The time for all files."""
        return newest if self.epoch is None else self.epoch
