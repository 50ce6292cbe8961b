"""The exceptions that are no errors: a step does not end, and the build knows what to do."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tiffin.linux.files import lock

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE = 0.05  # between looks at a lock that another build holds, in seconds


class Canceled(Exception):  # noqa: N818  # not an error of its own
    """The build was stopped while this step ran."""


class LayerLost(Canceled):
    """A layer of which an imported cache spoke is not to be had: its step has to run after all."""


@contextmanager
def patient_lock(path: Path, stop: threading.Event) -> Iterator[None]:
    """Hold the lock at `path`; while another build holds it, keep an eye on `stop`. Raises Canceled."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock(path, blocking=False))
                break
            except BlockingIOError:
                if stop.wait(_PATIENCE):
                    raise Canceled from None
        yield
