"""Any exception → lines for the user and a status."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from tiffin.engine.failure import explain
from tiffin.ui.diagnostic import colours, render


def present(error: Exception, own_status: int, *, debug: bool = False) -> int:
    """Show `error` on standard error; the status that the process has to exit with."""
    if debug:
        import traceback

        traceback.print_exception(error)
    failure = explain(error)
    with suppress(OSError):  # which may be what is told
        sys.stdout.flush()
    for line in render(failure, colour=colours(sys.stderr, os.environ)):
        sys.stderr.write(line + "\n")
    sys.stderr.flush()
    return own_status if failure.exit_status is None else failure.exit_status
