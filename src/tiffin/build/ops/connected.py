"""The entry of the process that runs one step: it attaches the step's network, and puts it under its limits.

Runs under `python -IS`.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING

from tiffin.network.attach import attach, write_hosts
from tiffin.network.plan import NetworkPlan
from tiffin.runtime.step_process import serve

if TYPE_CHECKING:
    from tiffin.network.attach import Attachment


def _attach(pid: int, packed: bytes) -> Attachment:
    plan, hosts, joins = marshal.loads(packed)  # noqa: S302  # our own parent wrote it
    for path in joins:
        with open(path, "w", encoding="ascii") as file:  # pathlib is slow to load
            file.write(str(pid))
    attachment = attach(NetworkPlan.from_wire(plan), pid)
    if hosts is None:
        return attachment
    try:
        path, name, extra = hosts
        write_hosts(path, name, extra, attachment)
    except BaseException:
        attachment.close()
        raise
    return attachment


def main() -> None:
    """Run the plan that the parent sends."""
    serve(_attach)
