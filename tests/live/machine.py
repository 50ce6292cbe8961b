"""Builds in this process, as root, each machine with a store of its own: quicker than commands."""

import os
from pathlib import Path

import pytest

from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.engine import Engine
from tiffin.engine.lookup import open_found
from tiffin.engine.settings import DEFAULT_EPOCH, Settings
from tiffin.events import Notice, StepDone, StepStarted, StepWhy
from tiffin.store.home import Home

BUSYBOX = Path("/bin/busybox")
NEEDS = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners in this process takes root"),
    pytest.mark.skipif(not BUSYBOX.exists(), reason="the package busybox-static is not installed"),
]


class Machine:
    """A store of its own, and builds on it."""

    def __init__(self, place, name) -> None:
        environ = {"HOME": str(place), "PATH": "/usr/bin:/bin"}
        settings = Settings(Home(place / name, place / f"{name}-run"), "auto", DEFAULT_EPOCH, environ)
        self.events = []
        self.engine = Engine.open(settings, emit=self.events.append)

    def build(self, context, *tags, **options):
        self.events.clear()
        return build(self.engine, BuildRequest(context=context, tags=tags, network="none", **options))

    def read(self, result, path):
        image = open_found(self.engine, result.descriptor, None)
        return self.engine.layers.tree(image.config.rootfs.diff_ids).read(path)

    def ran(self):
        """The names of the steps that were executed, without their numbers."""
        names = {event.step: event.name for event in self.events if isinstance(event, StepStarted)}
        done = [event for event in self.events if isinstance(event, StepDone) and event.step in names]
        return [
            names[event.step].partition("] ")[2]
            for event in done
            if event.status == "done" and event.step.isdigit() and "FROM" not in names[event.step]
        ]

    @property
    def imported_layers(self):
        return [e.name for e in self.events if isinstance(e, StepStarted) and "importing layer" in e.name]

    def why(self):
        """What was told of each step, by its name without numbers: `hit`, or the reasons of a miss."""
        names = {event.step: event.name for event in self.events if isinstance(event, StepStarted)}
        return {
            names[event.step].partition("] ")[2]: list(event.reasons) or event.verdict
            for event in self.events
            if isinstance(event, StepWhy)
        }

    @property
    def notices(self):
        return [event.message for event in self.events if isinstance(event, Notice)]
