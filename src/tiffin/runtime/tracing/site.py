"""What those who answer know here: the site that owners are kept on, and how programs are begun."""

from __future__ import annotations

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.runtime.emulation.site import Site
    from tiffin.runtime.tracing.caller import Tracees


class Ground(NamedTuple):
    """The site, its callers, whose paths lie in a directory."""

    site: Site
    callers: Tracees
    proc_device: int
    prepared: dict[int, tuple[int, ...]]
    """The arguments of calls that threads are about to make by our word: the kernel does them."""


class Done:
    """The answer of a call that is answered already."""


DONE = Done()


class LaterError(Exception):
    """It may wait for others: to be answered by a thread of its own."""
