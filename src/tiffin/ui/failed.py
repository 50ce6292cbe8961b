"""What is said at the end of a build that failed: what was not reached, and the failed step with its output.

Output of other steps, which were stopped for it, is never among it. Nothing is printed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.ui.reporter import headline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.events import StepUnreached

KEPT = 100  # lines of the output of a step, for the case that it fails
RULE = "-" * 6
_NAMED = 3  # steps that were not reached are named, if they are so few


class Failed:
    """Gathers it while events come; `lines` is for the end."""

    def __init__(self) -> None:
        self.unreached: list[str] = []
        self._title = ""
        self._output: list[str] = []

    def fail(self, title: str, output: Sequence[str]) -> None:
        """Keep the step that failed; of several the first, which the others failed for."""
        if not self._title:
            self._title, self._output = title, list(output)

    def leave(self, event: StepUnreached) -> None:
        """Keep a step that was not reached."""
        self.unreached.append(headline(event))

    def remainder(self) -> list[str]:
        """Say in a line which steps were not reached, or nothing if that is none."""
        count = len(self.unreached)
        if not count:
            return []
        which = ", ".join(self.unreached) if count <= _NAMED else f"{self.unreached[0]} and those after it"
        return [f"not reached: {'1 step' if count == 1 else f'{count} steps'}: {which}"]

    def lines(self) -> list[str]:
        """Return the lines to close with; none after a build that did not fail."""
        lines = self.remainder()
        if self._title:
            lines += [RULE, f" > {self._title}:", *self._output[-KEPT:], RULE]
        return lines
