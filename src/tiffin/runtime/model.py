"""What is launched, as values: the root filesystem, the ids, and the plan with its steps.

A plan is made in one process and may be carried out in another, so it can be packed into bytes. They are
for the same interpreter on the same machine, a moment later: `marshal` needs no import that costs time.
`document` gives the same as plain values for JSON.
"""

from __future__ import annotations

import marshal

from tiffin.linux.namespace import IdMap
from tiffin.linux.record import NamedTuple
from tiffin.runtime.process import Process
from tiffin.runtime.steps import STEPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tiffin.runtime.steps import Step


class Rootfs(NamedTuple):
    """A root filesystem: layers, top first, and a writable one, whose upper and work lie in one directory."""

    lowers: tuple[str, ...]
    upper: str | None = None
    work: str | None = None
    readonly: bool = False
    volatile: bool = False
    shifted: bool = False
    """Its files have the owners on disk that they are to have in the container's user namespace."""


class MemoryFile(NamedTuple):
    """A file that is mounted read only at `destination` and lies in memory; ids are those inside."""

    destination: str
    data: bytes
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


class LayersMount(NamedTuple):
    """Two directories of layers or more, top first, mounted at `destination` as one tree.

    `place` is a directory on one file system with the empty directories `upper` and `work`, where what is
    written lands; without it the tree is read only. With a `subpath` that is shown alone.
    """

    destination: str
    lowers: tuple[str, ...]
    place: str | None = None
    subpath: str = ""


class PartMount(NamedTuple):
    """What lies at `subpath` in the directory `source`, whoever wrote it: links stay within `source`."""

    destination: str
    source: str
    subpath: str
    readonly: bool = False


Inlay = MemoryFile | LayersMount | PartMount


class UserMap(NamedTuple):
    """Which ids outside those of the container are; empty if the caller's user namespace is used as it is."""

    uids: tuple[IdMap, ...] = ()
    gids: tuple[IdMap, ...] = ()


class Source(NamedTuple):
    """A mount to copy for the container; with `idmap` its owners are shifted as the ids are.

    Of a directory with a `subpath` what lies there; links lead no further than to the directory.
    """

    path: str
    recursive: bool = False
    idmap: bool = False
    nodes: tuple[tuple[int, int, int, int], ...] = ()
    """Without a path: device nodes to make, by mode, number, owner and group here; their names are 0, 1, …"""
    subpath: str = ""
    within: int = 0
    """A process in whose mount namespace the path lies, 0 for our own."""


class Join(NamedTuple):
    """An existing namespace to be in: the path of its file in /proc, and its kind as in clone(2).

    `inode` is what tells it from the one of another process that got the same number later, 0 for any.
    """

    path: str
    kind: int
    inode: int = 0


class HookCall(NamedTuple):
    """A program of this machine to run before the container's own begins; see `runtime.hooks`.

    Of its arguments the first is its own name; it has `timeout` seconds, 0 for any number.
    """

    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int = 0


class Plan(NamedTuple):
    """All that it takes to start a container."""

    namespaces: int
    uid_maps: tuple[IdMap, ...]
    gid_maps: tuple[IdMap, ...]
    sources: tuple[Source, ...]
    steps: tuple[Step, ...]
    process: Process
    joins: tuple[Join, ...] = ()
    hooks: tuple[HookCall, ...] = ()
    late: tuple[Step, ...] = ()
    """Steps that wait until the launcher has put the process into its cgroups."""

    @property
    def nested(self) -> bool:
        """Whether its user namespace lies within one of ours that is not this machine's.

        There the kernel shows a process that has changed its user to nobody but who is root outside of both,
        unless it lets itself be seen; and its launcher has to see it, for a while.
        """
        return bool(self.uid_maps) and not any(source.idmap for source in self.sources)

    def describe(self) -> tuple[str, ...]:
        """Return what is done, in order, one phrase a step."""
        return tuple(step.describe() for step in (*self.steps, *self.late))


def document(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain values, the steps with their names; of files in memory only the size."""
    return {
        **plan._asdict(),
        "uid_maps": [list(line) for line in plan.uid_maps],
        "gid_maps": [list(line) for line in plan.gid_maps],
        "sources": [source._asdict() for source in plan.sources],
        "steps": [{"step": type(step).__name__, **_shown(step)} for step in plan.steps],
        "late": [{"step": type(step).__name__, **_shown(step)} for step in plan.late],
        "process": {**plan.process._asdict(), "seccomp": [program.hex() for program in plan.process.seccomp]},
        "joins": [join._asdict() for join in plan.joins],
        "hooks": [hook._asdict() for hook in plan.hooks],
    }


def _shown(step: Step) -> dict[str, Any]:
    fields = step._asdict()
    return {name: len(value) if isinstance(value, bytes) else value for name, value in fields.items()}


def pack(plan: Plan) -> bytes:
    """Return the plan as bytes for another process of this interpreter."""
    steps, late = (tuple((type(step).__name__, *step) for step in some) for some in (plan.steps, plan.late))
    parts = [plan.namespaces, plan.uid_maps, plan.gid_maps, plan.sources, steps, plan.process]
    return marshal.dumps([_plain(part) for part in (*parts, plan.joins, plan.hooks, late)])


def unpack(data: bytes) -> Plan:
    """Return the plan that `pack` made into bytes."""
    namespaces, uids, gids, sources, steps, process, joins, hooks, late = marshal.loads(data)  # noqa: S302 - our own parent wrote it
    return Plan(
        namespaces,
        tuple(IdMap(*line) for line in uids),
        tuple(IdMap(*line) for line in gids),
        tuple(Source(*source) for source in sources),
        tuple(_step(*step) for step in steps),
        Process(*process),
        tuple(Join(*join) for join in joins),
        tuple(HookCall(*hook) for hook in hooks),
        tuple(_step(*step) for step in late),
    )


def _step(name: str, *fields: Any) -> Step:
    if name in STEPS:
        return STEPS[name](*fields)
    from tiffin.runtime.rare_steps import RARE_STEPS  # few plans have any

    return RARE_STEPS[name](*fields)


def pack_process(process: Process) -> bytes:
    """Return the process as bytes, as `pack` does."""
    return marshal.dumps(_plain(process))


def unpack_process(data: bytes) -> Process:
    """Return the process that `pack_process` made into bytes."""
    return Process(*marshal.loads(data))  # noqa: S302 - our own parent wrote it


def _plain(value: Any) -> Any:
    """Return named tuples as tuples: those are all that marshal knows."""
    return tuple(_plain(item) for item in value) if isinstance(value, tuple) else value
