"""The entry of the process that runs one step: it attaches the step's network. Runs under `python -IS`."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING

from tiffin.network.attach import attach
from tiffin.network.plan import NetworkPlan
from tiffin.runtime.step_process import serve

if TYPE_CHECKING:
    from tiffin.network.attach import Attachment


def _attach(pid: int, plan: bytes) -> Attachment:
    return attach(NetworkPlan.from_wire(marshal.loads(plan)), pid)  # noqa: S302  # our own parent wrote it


def main() -> None:
    """Run the plan that the parent sends."""
    serve(_attach)
