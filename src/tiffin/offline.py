"""Whether the network may be used: `--offline` and TIFFIN_OFFLINE say that it may not."""

from __future__ import annotations

from tiffin.errors import UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "TIFFIN_OFFLINE"


def is_offline(environ: Mapping[str, str]) -> bool:
    """Whether no network is to be used, this machine's own servers included."""
    return environ.get(VARIABLE, "").lower() not in ("", "0", "false", "no", "off")


def check_online(environ: Mapping[str, str], what: str) -> None:
    """Raise UnavailableError, with the code offline, if `what` must not be asked."""
    if is_offline(environ):
        raise UnavailableError(
            f"{what} is not asked: the network must not be used",
            code="offline",
            hint="leave --offline and TIFFIN_OFFLINE away once, and what it gives stays here",
        )
