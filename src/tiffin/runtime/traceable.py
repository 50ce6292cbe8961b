"""Whether programs can be traced here, asked before any of them is to be run so."""

from __future__ import annotations

from tiffin.errors import UnsupportedError

__all__ = ["check"]


def check() -> None:
    """Raise UnsupportedError where programs cannot be traced, with the reason and what would help."""
    from tiffin.runtime.traced import missing  # one rung needs it

    reason = missing()
    if not reason:
        return
    raise UnsupportedError(
        f"programs of images cannot be run here: there are no namespaces and no chroot, and {reason}",
        code="no-programs",
        hint="builds without RUN, pull, push and the like work; `tiffin doctor` says what would change that",
        exit_status=125,
    )
