"""`--userns host` as root: root in the container is root of this machine, and what that takes to be confined.

Elsewhere a user namespace keeps nodes that are made in a container from being devices. Here mounts do, all of
which get `nodev` but the devices that the container was given; or a cgroup, if there are rules for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.linux import capability
from tiffin.runtime.mounts import DEVICES
from tiffin.runtime.rare_steps import NoDevices, TakeDevices

if TYPE_CHECKING:
    from tiffin.container.record import Record
    from tiffin.runtime.model import Plan
    from tiffin.runtime.process import Process

__all__ = ["guarded", "held"]


def guarded(plan: Plan, record: Record) -> Plan:
    """Return the plan with devices kept away, unless the container is privileged or has rules for them."""
    plan = plan._replace(process=held(plan.process))
    ruled = any(name == "device-cgroup-rule" for name, _ in record.limits)
    if ruled or ("privileged", "") in record.security:
        return plan
    given = tuple(path for step in plan.steps if isinstance(step, TakeDevices) for path in step.targets)
    return plan._replace(steps=(*plan.steps, NoDevices((*DEVICES, "/dev/pts", *given))))


def held(process: Process) -> Process:
    """Return the process with those of its capabilities that we have: there is no other root to have more."""
    own = capability.bounding_set()
    return process._replace(
        bounding=process.bounding & own,
        permitted=process.permitted & own,
        inheritable=process.inheritable & own,
        ambient=process.ambient & own,
    )
