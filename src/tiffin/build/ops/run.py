"""Executes RUN: a container on a writable snapshot, whose upper directory becomes the layer."""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.build.hostenv import BUNDLE
from tiffin.build.ops import connected
from tiffin.build.ops.lender import Lender, own_variables
from tiffin.build.ops.scene import HISTORY, Scene, history_of, refresh
from tiffin.build.ops.stepfailure import step_failure, tell_memory, tell_room
from tiffin.build.ops.stubs import missing_points, remove_points
from tiffin.build.owner import find_user
from tiffin.events import StepLog
from tiffin.layer.diff import normalise
from tiffin.layer.links import settle
from tiffin.oci.config import ContainerConfig
from tiffin.oci.runtimespec import Mount, Resources
from tiffin.runtime import step_process
from tiffin.runtime.cgroups.manager import make_group
from tiffin.runtime.model import MemoryFile, Rootfs
from tiffin.runtime.plan import make_plan, mount_targets
from tiffin.runtime.recording import JOURNAL, recording
from tiffin.runtime.seccomp import is_compat
from tiffin.runtime.spec import HOST, NEW, Options, make_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tiffin.build.graph import Run
    from tiffin.build.ops.connection import Connection
    from tiffin.build.ops.furnish import Furnisher, Furniture
    from tiffin.build.ops.plainground import PlainGround
    from tiffin.build.reading import Shown
    from tiffin.build.relay.relay import Entrance, Relay
    from tiffin.errors import FailedError
    from tiffin.events import Emit
    from tiffin.layer.diff import Repeated
    from tiffin.oci.digest import DiffID
    from tiffin.oci.runtimespec import Rlimit, RuntimeSpec
    from tiffin.runtime.cgroups.manager import Group
    from tiffin.runtime.model import Plan
    from tiffin.runtime.spec import Place
    from tiffin.runtime.step_process import StepProcess, TerminalStep
    from tiffin.snapshot.layers import LayerStore
    from tiffin.snapshot.merged import MergedTree

HOSTNAME = "tiffin-build"
_SCRIPTS = "/dev/pipes"
_TAIL = 8192  # bytes of output that an error carries


class Report(NamedTuple):
    """Where a running step tells of itself: its identity, the stop sign of the build, the listener."""

    step: str
    stop: threading.Event
    emit: Emit


class StepSettings(NamedTuple):
    """What is the same for all steps of a build, and in no cache key but for `epoch`.

    `environ` is the host's environment, `epoch` the time of new files in seconds,
    `shm_size` the size of /dev/shm in bytes, None for the usual one. With
    `keeps_failed` the first step that fails is left as it is, as the runner's `scene`.
    Each step gets `resources` for itself, in a cgroup below `cgroup_parent`. `tell` shows a notice.
    `relay` makes the relay, by the CAs that are given, for the first step that has a network; None for none.
    With `sealed` a step gets neither these CAs nor anything else of the host's. `advice` says what would make
    room on the disk.
    """

    environ: Mapping[str, str]
    epoch: int
    shm_size: int | None = None
    rlimits: tuple[Rlimit, ...] = ()
    keeps_failed: bool = False
    resources: Resources | None = None
    cgroup_parent: str = ""
    tell: Callable[[str], None] = lambda _message: None
    relay: Callable[[Path | None], Relay] | None = None
    sealed: bool = False
    advice: Callable[[], str] = lambda: ""


class Ran(NamedTuple):
    """The directory of a step's layer, and which files are in it whose content did not change.

    `became` is to be told the layer that it became, None if nothing was changed.
    """

    upper: Path
    repeated: Repeated
    became: Callable[[DiffID | None], None] = lambda _layer: None


class _Site(NamedTuple):
    """A step, and the place where it is run: what is below it, its workspace, what it was lent."""

    op: Run
    parent: Sequence[DiffID]
    tree: MergedTree
    work: Path
    furniture: Furniture
    entrance: Entrance | None


class StepRunner:
    """Runs the RUN steps of one build, several at once; on a plain `ground` where nothing can be mounted."""

    def __init__(
        self,
        layers: LayerStore,
        place: Place,
        connection: Connection,
        furnisher: Furnisher,
        settings: StepSettings,
        ground: PlainGround | None = None,
    ) -> None:
        self._ground = ground
        self._layers = layers
        self._place = place
        self._connection = connection
        self._furnisher = furnisher
        self._settings = settings
        self._lender = Lender(connection, settings, single_id=place.single_id and not place.recorded)
        self._running: set[StepProcess] = set()
        self.scene: Scene | None = None
        self._guard = threading.Lock()

    def stop(self) -> None:
        """End every step that runs."""
        with self._guard:
            for process in self._running:
                process.kill()

    def close(self) -> None:
        """Let go of what was kept for further steps, and end what serves them."""
        self._lender.close()
        if self._ground is not None:
            self._ground.close()

    @contextmanager
    def run(
        self, op: Run, parent: Sequence[DiffID], shown: Sequence[Shown | None], report: Report
    ) -> Iterator[Ran]:
        """Run the step on `parent` and yield what it made, which is removed in the end unless it is moved.

        `shown` is what each of its mounts shows. Raises FailedError with the step's exit status if not 0.
        """
        with ExitStack() as held:
            work = held.enter_context(self._layers.workspace())
            if self._ground is not None:
                held.callback(self._ground.drop, work)
            began = int(time.time())
            tree = self._layers.tree(parent)
            self._prepare(work, tree)
            with ExitStack() as furnished:
                furniture = furnished.enter_context(self._furnisher.furnish(op, shown, work, report.stop))
                if self._ground is not None:
                    furnished.callback(self._ground.clear, work)
                entrance = furnished.enter_context(self._lender.entrance(op))
                site = _Site(op, parent, tree, work, furniture, entrance)
                plan = self._plan(site)
                stubs = missing_points(mount_targets(plan), tree)
                with self._grouped() as group:
                    status, tail = self._execute(plan, site, report, group)
                    usage = group.usage() if group is not None and status != 0 else None
                if status != 0:
                    error = step_failure(op, status, tail)
                    if usage is not None:
                        tell_memory(error, self._settings.resources, usage)
                    tell_room(error, tail, self._layers.home.root, self._settings.advice)
                    if self._settings.keeps_failed and not report.stop.is_set():
                        self._keep(site, error, furnished, held)
                    raise error
            furniture.check()
            if self._ground is not None:
                self._ground.move_out(work, work / "upper")
            if op.devices:
                from tiffin.build.ops.withdrawn import withdraw_libraries  # few steps have one

                withdraw_libraries(work / "upper", plan, tree)
            remove_points(work / "upper", stubs)
            if self._place.recorded:
                settle(work / "upper", work / JOURNAL, tree)
            upper, epoch, owners = work / "upper", self._settings.epoch, self._layers.owners
            repeated = normalise(upper, tree.status, epoch, owners, place=tree.host, began=began)
            yield Ran(upper, repeated, partial(self._became, work))

    def _became(self, work: Path, layer: DiffID | None) -> None:
        if self._ground is not None:
            self._ground.give(work, layer)

    def _keep(self, site: _Site, error: FailedError, furnished: ExitStack, held: ExitStack) -> None:
        """Leave a step that failed as it is: the first one, what it holds passes into its scene."""

        def start(command: tuple[str, ...]) -> TerminalStep:
            refresh(site.work)
            plan = self._plan(site, shell=command)._replace(hooks=())  # they have been run
            extra, fds = self._connect(site, stack.enter_context(self._grouped()))
            return step_process.start_in_terminal(plan, entry=connected.__name__, extra=extra, fds=fds)

        stack = ExitStack()
        with self._guard:
            if self.scene is None:
                stack.push(held.pop_all())
                stack.push(furnished.pop_all())
                self.scene = Scene(site.op, error, start, stack)

    def _prepare(self, work: Path, tree: MergedTree) -> None:
        for name in ("upper", "work", "empty"):
            (work / name).mkdir()
        mode, owner = 0o755, (0, 0)
        if tree.root is not None:
            mode = self._layers.owners.mode(tree.root.host, tree.root.status)
            owner = self._layers.owners.read(tree.root.host, tree.root.status)
        self._layers.owners.change(str(work / "upper"), *owner)
        self._layers.owners.set_mode(str(work / "upper"), mode)

    def _plan(self, site: _Site, shell: tuple[str, ...] = ()) -> Plan:
        """Return the plan of the step's container, or that of a shell at a terminal in its place."""
        op, parent, _, work, furniture, _ = site
        spec = self._spec(site, shell)
        if op.devices:
            from tiffin.build.ops.devices import with_devices  # few steps have one

            spec = with_devices(spec, op.devices, self._place, self._settings.environ, self._settings.tell)
        lowers = tuple(str(self._layers.path(diff_id)) for diff_id in reversed(parent)) or (
            str(work / "empty"),
        )
        inlays = tuple(furniture.inlays)
        if shell:
            inlays += (MemoryFile(HISTORY, history_of(op.arguments), 0o644),)
        if self._ground is not None:
            plan = self._ground.plan(spec, inlays, work, parent, self._place.machine)
            lowers = (str(self._ground.root(work)),)
        else:
            rootfs = Rootfs(lowers, str(work / "upper"), str(work / "work"), volatile=True)
            plan = make_plan(spec, rootfs, machine=self._place.machine, extra=inlays)
        if self._place.recorded and not plan.process.trace:
            journal, machine = str(work / JOURNAL), self._place.machine
            process = recording(plan.process, spec.linux.seccomp, machine, journal, lowers)
            plan = plan._replace(process=process)
        return plan

    def _spec(self, site: _Site, shell: tuple[str, ...]) -> RuntimeSpec:
        """Return the spec of the container, but for devices."""
        op, _, tree, work, furniture, _ = site
        own = own_variables(op)
        variables, files = self._lender.lent(op, tree, site.entrance)
        options = Options(
            entrypoint=(),
            command=shell or op.arguments,
            terminal=bool(shell),
            env=(
                *op.ambient,
                *(f"{name}={value}" for name, value in variables.items() if name not in own),
                *furniture.env,
                *([f"HISTFILE={HISTORY}"] if shell else []),
            ),
            working_dir=op.directory,
            mounts=(*self._mounts(op, work, files), *furniture.mounts),
            no_new_privileges=False,  # a step may use sudo, as in Docker
            network=HOST if self._connection.shares_host(op.network) else NEW,
            compat=op.platform is not None and is_compat(self._place.machine, op.platform.architecture),
            shm_size=self._settings.shm_size,
            rlimits=self._settings.rlimits,
            resources=self._settings.resources,
            privileged=op.security == "insecure",
        )
        spec = make_spec(ContainerConfig(env=op.env), find_user(op.user, tree), options, self._place)
        return msgspec.structs.replace(spec, hostname=op.hostname or HOSTNAME)

    def _mounts(self, op: Run, work: Path, files: Mapping[str, str]) -> tuple[Mount, ...]:
        """Write what the step is given as files, and return how they are mounted: read only."""
        given = {"/etc/hosts": work / "hosts", "/etc/resolv.conf": work / "resolv.conf"}
        (work / "hosts").write_text(self._connection.hosts(op.hostname or HOSTNAME, op.network))
        (work / "resolv.conf").write_text(self._connection.resolv_conf(op.network))
        if op.script is not None:
            script = work / "script"
            script.write_bytes(op.script.data)
            script.chmod(0o755)
            given[f"{_SCRIPTS}/{op.script.name}"] = script
        if (bundle := self._lender.bundle) is not None:
            given[BUNDLE] = bundle
        for number, (target, text) in enumerate(files.items()):
            given[target] = work / f"lent-{number}"
            given[target].write_text(text)
        return tuple(
            Mount(target, "bind", str(source), ("rbind", "rprivate", "rro"))
            for target, source in given.items()
        )

    @contextmanager
    def _grouped(self) -> Iterator[Group | None]:
        """Yield the cgroup of one step, if there is anything that it is for."""
        if self._settings.resources is None and not self._settings.cgroup_parent:
            yield None
            return
        group = make_group(self._settings.resources or Resources(), self._settings.cgroup_parent)
        try:
            yield group
        finally:
            group.delete()

    def _connect(self, site: _Site, group: Group | None) -> tuple[bytes, tuple[int, ...]]:
        """Return what the process that starts the step is told of its network, and the descriptors for it."""
        joins = group.joins if group is not None else ()
        door = site.entrance.door if site.entrance is not None else None
        told = self._connection.pack(
            site.op.network, site.op.hostname or HOSTNAME, site.work / "hosts", joins, door
        )
        return told, (door[0],) if door is not None else ()

    def _execute(self, plan: Plan, site: _Site, report: Report, group: Group | None) -> tuple[int, bytes]:
        """Run the container to its end; return its exit status and the end of its output."""
        reading, writing = os.pipe() if self._ground is None else self._ground.pipe(site.work)
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            extra, fds = self._connect(site, group)
            process = step_process.start(
                plan,
                stdin=nothing,
                stdout=writing,
                stderr=writing,
                entry=connected.__name__,
                extra=extra,
                fds=fds,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
            os.close(nothing)
        with self._guard:
            self._running.add(process)
        if report.stop.is_set():
            process.kill()
        tail = b""
        with open(reading, "rb", buffering=0) as output:
            while data := output.read(65536):
                if not report.stop.is_set():  # what a step says that is stopped belongs to no report
                    report.emit(StepLog(report.step, data))
                tail = (tail + data)[-_TAIL:]
        try:
            return process.wait(), tail
        finally:
            with self._guard:
                self._running.discard(process)
