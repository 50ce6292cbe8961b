"""The `ports` of `run` → values of `--publish` (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    Ports = Mapping[int | str, int | tuple[str, int]]

LOOPBACK = "127.0.0.1"
"""Where a port is published that says no address: a notebook's or a test's service is not the network's."""


def published(ports: Ports) -> list[str]:
    """Return a value of `--publish` for each port of the container.

    >>> published({8000: 0, "53/udp": 5353, 80: ("0.0.0.0", 8080)})
    ['127.0.0.1::8000', '127.0.0.1:5353:53/udp', '0.0.0.0:8080:80']
    """
    found = []
    for port, place in ports.items():
        address, number = (LOOPBACK, place) if isinstance(place, int) else place
        bracketed = f"[{address}]" if ":" in address and not address.startswith("[") else address
        found.append(f"{bracketed}:{number or ''}:{port}")
    return found
