"""The plan of a process on the rung chroot: another root directory, fewer rights, no namespace of its own.

Whoever starts it has put everything into that directory before: nothing is mounted. Pure, but for
the capabilities of this process, which are an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.linux import capability
from tiffin.runtime.model import Plan
from tiffin.runtime.plan import make_process, refuse_devices
from tiffin.runtime.procview import program
from tiffin.runtime.rare_steps import ChangeRoot

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.runtime.process import Process

_DEATH = 9
_NEVER = capability.mask(
    capability.numbers(("CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"))
)
"""With these a process gets out of its root, at disks, at other processes, at files by their numbers."""
_PORTS = capability.mask(capability.numbers(("CAP_NET_BIND_SERVICE",)))


def chroot_plan(spec: RuntimeSpec, root: Path, *, machine: str, own: int, gains: bool = False) -> Plan:
    """Return the plan of the container of `spec` in the directory `root`; `own` are our capabilities.

    With `gains` its programs may gain rights, as sudo does, and /proc does not answer. Raises
    UnsupportedError for what takes a namespace or a device.
    """
    refuse_devices(spec, "chroot")
    process = make_process(spec.process, spec.linux.seccomp, machine=machine)
    process = lowered(process, own, "" if gains else str(root), machine)._replace(death_signal=_DEATH)
    return Plan(0, (), (), (), (ChangeRoot(str(root)),), process)


def lowered(process: Process, own: int, root: str, machine: str) -> Process:
    """Return the process with no more rights than it may have on this rung, where ours are `own`.

    With its `root` /proc answers it, for which it must not gain rights any more.
    """
    if root:
        process = process._replace(no_new_privs=True, view=(program(machine), root))
    allowed = own & ~_NEVER
    if process.uid:  # any port may be listened on, as elsewhere a container's own network lets everybody
        process = process._replace(ambient=process.ambient | process.bounding & _PORTS)
    # Who may not change the bounding set has to leave it, and root gets back with a program what is in it.
    bounded = own >> capability.NAMES.index("CAP_SETPCAP") & 1
    process = process._replace(
        bounding=process.bounding & allowed if bounded else -1,
        permitted=process.permitted & allowed,
        inheritable=process.inheritable & allowed,
        ambient=process.ambient & allowed,
    )
    if not process.no_new_privs and not own >> capability.SYS_ADMIN & 1:
        process = process._replace(seccomp=())  # only with no_new_privs may others than SYS_ADMIN load one
    return process
