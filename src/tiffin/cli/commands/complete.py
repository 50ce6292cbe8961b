"""tiffin __complete: names for the completion scripts, one a line; never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.errors import TiffinError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Print the names of a kind; nothing if they cannot be found."""
    try:
        for name in _names(session, arguments.words[0]):
            session.print(name)
    except (TiffinError, OSError):
        return 1
    return 0


def _names(session: Session, kind: str) -> Iterable[str]:
    from tiffin.events import ignore

    with session.engine(ignore) as engine:
        if kind == "images":
            from tiffin.engine.images import list_images

            return sorted({name for image in list_images(engine) for name in image.references})
        if kind == "volumes":
            from tiffin.engine.volumes import list_volumes

            return sorted(volume.name for volume in list_volumes(engine))
        if kind == "networks":
            from tiffin.engine.networks import list_networks

            return sorted(network.name for network in list_networks(engine))
        from tiffin.engine.containers import ps

        found = ps(engine, True)
        if kind == "running":
            found = [one for one in found if one.state in ("running", "paused")]
        elif kind == "paused":
            found = [one for one in found if one.state == "paused"]
        elif kind == "stopped":
            found = [one for one in found if one.state not in ("running", "paused")]
        return sorted(one.name for one in found)


COMMAND = Command("__complete KIND", run, words=(1, 2))
