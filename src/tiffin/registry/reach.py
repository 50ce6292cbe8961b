"""A first look whether a server can be reached at all, with one deadline for everything.

Name servers that are silent and hosts with many dead addresses can keep the usual calls waiting
for minutes; who has no network wants to know within seconds.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Final

from tiffin.registry.trouble import trouble_of, unreachable

if TYPE_CHECKING:
    from tiffin.registry.proxies import Proxy

SECONDS: Final = 8.0
_EACH: Final = 3.0


def reach(address: tuple[str, int], url: str, proxy: Proxy | None, seconds: float = SECONDS) -> None:
    """Connect to the address once, and close. `Trouble` says why that cannot be done, on behalf of `url`."""
    outcome: list[OSError | None] = []
    # A thread that nobody waits for: the name lookup of the C library cannot be told to stop.
    thread = threading.Thread(target=_try, args=(address, time.monotonic() + seconds, outcome), daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise unreachable(url, proxy, f"no answer within {seconds:.0f} seconds")
    if outcome[0] is not None:
        raise trouble_of(outcome[0], url, proxy)


def _try(address: tuple[str, int], until: float, outcome: list[OSError | None]) -> None:
    failure: OSError | None = None
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        outcome.append(error if isinstance(error, OSError) else socket.gaierror(str(error)))
        return
    for family, kind, protocol, _, place in found:
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            with socket.socket(family, kind, protocol) as attempt:
                attempt.settimeout(min(left, _EACH))
                attempt.connect(place)
        except OSError as error:
            # What the first address says is what a user can do something about.
            failure = failure or error
            continue
        outcome.append(None)
        return
    outcome.append(failure or TimeoutError("no address answered in time"))
