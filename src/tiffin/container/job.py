"""What a supervisor is to do, as a value that goes from one process to the next.

Like the plan of a container it is for the same interpreter, a moment later, so `marshal` is enough.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import marshal

from tiffin import errors
from tiffin.linux.record import NamedTuple
from tiffin.network.plan import NetworkPlan
from tiffin.store.journal import append

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tiffin.container.logs import Log

__all__ = ["HostsFile", "Job", "pack", "pack_error", "unpack", "unpack_error"]


class HostsFile(NamedTuple):
    """The container's /etc/hosts, which is complete only when it has its address."""

    path: str
    name: str
    extra: tuple[tuple[str, str], ...] = ()


class Job(NamedTuple):
    """One container to run.

    `directory` is the container's own, with its state and log; `control` the directory of its
    socket; `plan` is the packed plan of the runtime; `terminal` the size of its terminal, if it
    gets one; `interactive` keeps its standard input open, `input_once` until the first that feeds it has
    gone; `remove` names directories to delete after the end;
    `limits` are what is written into a cgroup of either version, as `cgroups.limits.Writes`; it is made below
    `cgroup_parent`, or where the supervisor is.
    `restart` is the policy as the user wrote it, and `health`, if there is a check, as `health.Check`; `log`
    has the driver, the bytes of a file and how many there are, and the fields that a journal gets;
    `init` puts an init before the program, and `pidfile` gets the number of the first process. `journal` is
    the directory of the store's journal, and `about` what its events tell of the container. `external`, if
    it is not our own runtime that starts the container, is as `runtime.external.Runtime`. One that `stays`
    after its end has its end on the disk before anybody hears of it; one that is `lent` volumes gives them
    back.
    """

    identity: str
    directory: str
    control: str
    plan: bytes
    network: NetworkPlan
    hosts: HostsFile | None = None
    terminal: tuple[int, int] | None = None
    interactive: bool = False
    input_once: bool = False
    remove: tuple[str, ...] = ()
    limits: tuple[Any, ...] = ()
    cgroup_parent: str = ""
    restart: str = ""
    health: tuple[Any, ...] = ()
    init: bool = False
    pidfile: str = ""
    journal: str = ""
    about: tuple[tuple[str, str], ...] = ()
    log: Log = ("json-file", 50 << 20, 2, ())
    external: tuple[Any, ...] = ()
    stays: bool = True
    lent: bool = False

    def note_networks(self, action: str) -> None:
        """Write into the journal that it came into its networks, or left them."""
        for one in self.network.endpoints:
            about = {"container": self.identity, "name": one.name, "type": "bridge"}
            append(self.journal, "network", action, one.network, about)

    def note(self, action: str, **more: str) -> None:
        """Write into the journal what happened to the container."""
        if self.journal:
            append(self.journal, "container", action, self.identity, {**dict(self.about), **more})


def pack(job: Job) -> bytes:
    """Return the job as bytes."""
    hosts = tuple(job.hosts) if job.hosts else None
    return marshal.dumps({**job._asdict(), "network": job.network.to_wire(), "hosts": hosts})


def unpack(data: bytes) -> Job:
    """Return the job that `pack` made into bytes."""
    wire: dict[str, Any] = marshal.loads(data)  # noqa: S302 - our own parent wrote it
    hosts = HostsFile(*wire["hosts"]) if wire["hosts"] else None
    return Job(**{**wire, "network": NetworkPlan.from_wire(wire["network"]), "hosts": hosts})


def pack_error(error: BaseException) -> dict[str, Any]:
    """Return an error as JSON-ready data, for the process that waits for the start."""
    if isinstance(error, errors.TiffinError):
        parts = {
            "message": error.message,
            "code": error.code,
            "hint": error.hint,
            "exit_status": error.exit_status,
        }
        return {"kind": type(error).__name__, **parts}
    return {"kind": "FailedError", "message": f"{type(error).__name__}: {error}", "exit_status": 125}


def unpack_error(wire: dict[str, Any]) -> errors.TiffinError:
    """Return the error that `pack_error` wrote, as the kind that it was."""
    kind = getattr(errors, str(wire.pop("kind")), errors.FailedError)
    if not (isinstance(kind, type) and issubclass(kind, errors.TiffinError)):
        kind = errors.FailedError
    return kind(wire.pop("message"), **wire)
