"""How fast a transfer goes, and how long it will still take: `3.2MB/s 12s left`. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from tiffin.ui.columns import human_size

if TYPE_CHECKING:
    from tiffin.events import StepProgress

_WINDOW: Final = 10.0  # seconds that the pace is taken over
_LEAST: Final = 1.0
_MINUTE, _HOUR = 60, 3600


class Pace:
    """The pace of one step, by what its events say; what was there at the first one came earlier."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def told(self, event: StepProgress, now: float) -> str:
        """Take in how far the step is; return its pace and the time left, once they are known."""
        seen = self._seen
        if seen and event.done < seen[-1][1]:
            seen.clear()  # it began anew
        if not seen or now - seen[-1][0] >= _WINDOW / 100:
            seen.append((now, event.done))
        while len(seen) > 2 and now - seen[0][0] > _WINDOW:
            seen.popleft()
        begun, done = seen[0]
        if event.unit != "B" or now - begun < _LEAST or event.done <= done:
            return ""
        if event.total is not None and event.done >= event.total:
            return ""
        pace = (event.done - done) / (now - begun)
        rate = f"{human_size(int(pace))}/s"
        return rate if event.total is None else f"{rate} {_left((event.total - event.done) / pace)} left"


def _left(seconds: float) -> str:
    whole = int(seconds + 0.999)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"
