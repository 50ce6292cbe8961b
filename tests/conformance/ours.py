"""Builds the cases with tiffin, in this process and in one store."""

import functools
import json
import os
import shlex
from types import SimpleNamespace

from tests.conformance import base, contexts, facts

from tiffin.cli.commands import build as command
from tiffin.cli.options import parse
from tiffin.engine.archives import load
from tiffin.engine.builds import build
from tiffin.engine.engine import Engine
from tiffin.engine.settings import Settings
from tiffin.errors import TiffinError
from tiffin.events import StepStarted
from tiffin.image.view import open_image
from tiffin.oci.reference import Reference


class Builder:
    """An engine with a store in `place`, and the base of the cases in it."""

    def __init__(self, place) -> None:
        self._place = place
        environ = {"PATH": os.environ["PATH"], "TIFFIN_HOME": str(place / "store"), "HOME": str(place)}
        environ["TIFFIN_RELAY"] = "off"  # what steps are told of it has tests of its own
        self._session = SimpleNamespace(path="tiffin build", environ=environ)
        self._engine = Engine.open(Settings.load(environ), emit=self._listen)
        self._started = []
        archive = place / "base.tar"
        base.write_archive(archive)
        with archive.open("rb") as stream:
            load(self._engine, stream)
        archive.unlink()
        image = self.image(self._engine.tags.resolve(Reference.parse(base.NAME).tagged()))
        self._bottom = facts.Base.of(json.loads(image.raw_config), self._tars(image))

    def close(self):
        self._engine.db.close()

    def record(self, case):
        """What tiffin makes of `case`: the facts of its image, or the error."""
        place = self._place / f"{case.area}-{case.name}"
        folder = contexts.prepare(case, place)
        self._started.clear()
        try:
            for number in range(1, len(case.dockerfiles) + 1):
                descriptor = self.build(case.options, folder, number, place)
        except TiffinError as error:
            message = error.message.replace(str(place), "PLACE")
            return {"fails": message, "ran": any("] RUN " in name for name in self._started)}
        return self.facts(self.image(descriptor))

    def build(self, options, folder, number, place):
        """Build the Dockerfile with this number as `made…`, and return the descriptor of the image."""
        fixed = ["--network", "host", "-t", f"made{number}", "-f", str(contexts.dockerfile(place, number))]
        words = [*fixed, *shlex.split(options.format(place=place)), str(folder)]
        arguments = parse(command.OPTIONS, words)
        return build(self._engine, command.request(self._session, arguments)).descriptor

    def _listen(self, event):
        if isinstance(event, StepStarted):
            self._started.append(event.name)

    def image(self, descriptor):
        return open_image(self._engine.fetcher, descriptor, self._engine.platform)

    def _tars(self, image, skip=0):
        for layer in image.layers[skip:]:
            with layer.open() as stream:
                yield stream.read()

    def facts(self, image):
        tars = functools.partial(self._tars, image)
        return facts.of_built(json.loads(image.raw_config), tars, self._bottom)
