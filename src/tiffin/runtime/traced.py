"""The plan of a process on the rung traced: no root directory, namespace or right of its own.

The process that launches it answers its calls that have paths, as if a directory were the root, and keeps
owners in records. Whoever starts it has put everything into that directory before: nothing is mounted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.linux import capability
from tiffin.oci.runtimespec import Seccomp, SeccompArg, SeccompRule
from tiffin.runtime.model import Plan
from tiffin.runtime.plan import make_process, refuse_devices
from tiffin.runtime.rare_steps import EnterDirectory
from tiffin.runtime.recording import heard
from tiffin.runtime.seccomp import NOTIFY, Circumstances, architectures, compile_filter
from tiffin.runtime.tracing.calls import ANSWERED, PARTLY, PROCESS, REFUSED, UNKNOWN

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.runtime.process import Process

__all__ = ["Keeping", "missing", "program", "traced", "traced_plan"]

_DEATH = 9
_EPERM, _ENOSYS = 1, 38

Keeping = tuple[str, tuple[str, ...]]
"""How owners are kept: the file of entries of links and the like ("" for none), and layers, top first."""


def traced_plan(spec: RuntimeSpec, root: Path, *, machine: str, own: int, owners: Keeping = ("", ())) -> Plan:
    """Return the plan of the container of `spec` in the directory `root`; `own` are our capabilities.

    Raises UnsupportedError for what takes a namespace or a device.
    """
    refuse_devices(spec, "traced")
    process = make_process(spec.process, spec.linux.seccomp, machine=machine)
    process = traced(process, own, str(root), machine, owners)._replace(death_signal=_DEATH)
    return Plan(0, (), (), (), (EnterDirectory(str(root)),), process)


def traced(process: Process, own: int, root: str, machine: str, owners: Keeping = ("", ())) -> Process:
    """Return the process with its calls answered, and with no right of ours.

    What it would have is what its root takes itself to have.
    """
    journal, layers = owners
    trace = (program(machine), root, journal, layers or (root,), process.bounding, process.no_new_privs)
    may = own >> capability.NAMES.index("CAP_SETPCAP") & 1
    return process._replace(
        bounding=0 if may else -1,
        permitted=0,
        inheritable=0,
        ambient=0,
        no_new_privs=True,
        keyring=False,
        trace=trace,
    )


def program(machine: str) -> bytes:
    """Return the filter that lets the calls be answered."""
    some = heard((*PARTLY.items(), *(("prctl", (each,)) for each in PROCESS)))
    addressed = SeccompRule(("sendto",), NOTIFY, args=(SeccompArg(4, 0, "SCMP_CMP_NE"),))
    seccomp = Seccomp(
        "SCMP_ACT_ALLOW",
        architectures=architectures(Circumstances(machine, (0, 0), frozenset())),
        syscalls=(
            SeccompRule(ANSWERED, NOTIFY),
            SeccompRule(REFUSED, "SCMP_ACT_ERRNO", _EPERM),
            SeccompRule(UNKNOWN, "SCMP_ACT_ERRNO", _ENOSYS),
            *some,
            addressed,
        ),
    )
    return compile_filter(seccomp, machine, listens=True)


def missing() -> str:
    """Return why calls cannot be answered so here, empty if they can: found by trying, in a child."""
    from tiffin.runtime.tracing import trial

    return trial.missing()
