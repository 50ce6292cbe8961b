"""Why a signature does not count, and what is missing to look at it. Imports only `errors`."""

from __future__ import annotations

from tiffin.errors import DeniedError, UnsupportedError

REFUSED = "bad-signature"


def refused(message: str, hint: str = "") -> DeniedError:
    """The error of a signature that proves nothing: forged, of somebody else, or for something else."""
    return DeniedError(message, code=REFUSED, hint=hint)


def missing(library: str) -> UnsupportedError:
    """The error where signatures have to be looked at, and the library for it is not installed."""
    return UnsupportedError(
        f"signatures cannot be made or checked here: the Python package {library} is not installed",
        code="no-cryptography",
        hint="install it: pip install 'tiffin[trust]'",
    )
