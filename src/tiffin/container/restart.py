"""When a container that ended is started again, and how long after (pure).

The policies and the back-off are Docker's: 100 ms after the first end, twice as long after each
further one up to a minute, and from the beginning once it has run for ten seconds.
"""

from __future__ import annotations

from tiffin.errors import InvalidError
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Kind = Literal["no", "on-failure", "always", "unless-stopped"]

__all__ = ["Policy", "Tally", "after_end", "after_reboot", "parse_policy"]

_SECOND = 1_000_000_000
_FIRST = _SECOND // 10
_LONGEST = 60 * _SECOND
_STEADY = 10 * _SECOND


class Policy(NamedTuple):
    """What was asked for; `retries` is for on-failure, 0 for any number."""

    kind: Kind = "no"
    retries: int = 0


class Tally(NamedTuple):
    """How often it was started again, and how long it waited the last time, in nanoseconds."""

    restarts: int = 0
    delay: int = 0


def parse_policy(text: str) -> Policy:
    """Return the policy of `--restart`. Raises InvalidError."""
    kind, colon, count = text.partition(":")
    if kind == "on-failure" and (not colon or (count.isascii() and count.isdigit())):
        return Policy("on-failure", int(count or 0))
    if colon and kind in ("no", "always", "unless-stopped"):
        raise InvalidError(
            f"--restart {text}: only on-failure takes a number of retries",
            code="restart-policy",
            hint=f"write --restart {kind}",
            exit_status=125,
        )
    if text in ("", "no"):
        return Policy()
    if text == "always":
        return Policy("always")
    if text == "unless-stopped":
        return Policy("unless-stopped")
    raise InvalidError(
        f"--restart {text}: there is no such policy",
        code="restart-policy",
        hint="no, on-failure, on-failure:3, always or unless-stopped",
        exit_status=125,
    )


def after_end(policy: Policy, tally: Tally, code: int, lasted: int) -> Tally | None:
    """Return the tally with the pause before the next start; None if there is to be none.

    `lasted` is for how long it ran, in nanoseconds. That a user ended it is for the caller to know.
    """
    if policy.kind == "no" or (policy.kind == "on-failure" and not _retried(policy, tally, code)):
        return None
    grown = tally.delay * 2 if tally.delay and lasted < _STEADY else _FIRST
    return Tally(tally.restarts + 1, min(grown, _LONGEST))


def after_reboot(policy: Policy, code: int, *, stopped: bool) -> bool:
    """Tell whether `system start-all` starts it; `stopped` if a user ended it the last time."""
    match policy.kind:
        case "always":
            return True
        case "unless-stopped":
            return not stopped
        case "on-failure":
            return code != 0 and not stopped
        case "no":
            return False


def _retried(policy: Policy, tally: Tally, code: int) -> bool:
    return code != 0 and (policy.retries == 0 or tally.restarts < policy.retries)
