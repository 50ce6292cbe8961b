"""Runs the distribution's own tools in a container whose root is the directory of the layer itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiffin.base.making import STEP
from tiffin.events import StepLog
from tiffin.layer.links import settle
from tiffin.linux import capability
from tiffin.linux.isolation import Rung
from tiffin.oci.config import ContainerConfig
from tiffin.runtime import step_process, traceable
from tiffin.runtime.model import Rootfs
from tiffin.runtime.plan import make_plan
from tiffin.runtime.recording import JOURNAL, recording
from tiffin.runtime.spec import Options, make_spec
from tiffin.runtime.traced import traced_plan
from tiffin.runtime.users import User

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tiffin.engine.engine import Engine
    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.runtime.model import Plan


class Dpkg:
    """Commands for the tree that is made in the workspace `place`; their output is the step's."""

    def __init__(self, engine: Engine, place: Path) -> None:
        self._place = engine.footing.place()
        self._traced = engine.rung is Rung.TRACED
        self._work = place
        self._emit = engine.emit
        self._calls = 0

    def run(self, directory: Path, argv: Sequence[str], env: Mapping[str, str]) -> int:
        """Run `argv` as root, without a network, in `directory`; return its exit status."""
        # After a volatile mount overlayfs takes a work directory only when it is new.
        self._calls += 1
        work = self._work / f"work-{self._calls}"
        for folder in (work, self._work / "empty"):
            folder.mkdir(exist_ok=True)
        config = ContainerConfig(env=tuple(f"{name}={value}" for name, value in env.items()))
        spec = make_spec(config, User(0, 0, home="/root"), Options(entrypoint=tuple(argv)), self._place)
        plan = self._plan(spec, directory, work)
        nothing = os.open(os.devnull, os.O_RDONLY)
        reading, writing = os.pipe()
        try:
            process = step_process.start(plan, stdin=nothing, stdout=writing, stderr=writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(nothing)
            os.close(writing)
        with open(reading, "rb", buffering=0) as output:  # noqa: PTH123  # it is a descriptor
            while data := output.read(65536):
                self._emit(StepLog(STEP, data))
        status = process.wait()
        if self._place.recorded:
            settle(directory, self._work / JOURNAL, None)
        return status

    def _plan(self, spec: RuntimeSpec, directory: Path, work: Path) -> Plan:
        journal, machine = str(self._work / JOURNAL), self._place.machine
        if self._traced:
            traceable.check()
            owners = journal, (str(directory),)
            return traced_plan(spec, directory, machine=machine, own=capability.effective(), owners=owners)
        rootfs = Rootfs((str(self._work / "empty"),), str(directory), str(work), volatile=True)
        plan = make_plan(spec, rootfs, machine=machine)
        if self._place.recorded:
            kept = recording(plan.process, spec.linux.seccomp, machine, journal, ())
            plan = plan._replace(process=kept)
        return plan
