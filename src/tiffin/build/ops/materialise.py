"""What a mount shows as files of its own: for a step that writes, or may not see all of a folder."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from tiffin.build.graph import Copy
from tiffin.build.ops.copy import CopyStep, Taking, Target
from tiffin.snapshot.merged import MergedTree

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.build.reading import Shown
    from tiffin.layer.owners import Owners


def materialise(shown: Shown, place: Path, owners: Owners, epoch: int) -> Path:
    """Copy what `shown` shows into the new directory `place`; return the host path of the copy.

    Blocks are shared where the file system can. As with COPY, what comes from
    a context belongs to root, and what comes from layers keeps its owners.
    """
    selected = shown.selected()
    keeps = shown.context is None
    place.mkdir()
    step = CopyStep(Copy((), (), "/"), Target(place, MergedTree([]), owners, epoch), None)
    made = step.write([Taking([selected], keeps)])
    if not selected.node.is_directory:
        return made / selected.name
    host, status = selected.node.host, selected.node.status
    if keeps:
        owners.change(str(made), *owners.read(host, status))
    owners.set_mode(str(made), owners.mode(host, status) if keeps else stat.S_IMODE(status.st_mode))
    return made
