"""Many processes that use one store at once, each in its own order, and must not disturb each other."""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

from tests.suites import busybox

DOCKERFILE = """\
FROM base
COPY data /data
RUN --network=none cp /data /copy && echo {number} > /end
"""


class Crowd:
    """A store below `place`, and commands on it that can be run side by side."""

    def __init__(self, place, registry) -> None:
        self.place, self.registry = place, registry
        self.env = {"PATH": os.environ["PATH"], "HOME": str(place), "TIFFIN_HOME": str(place / "store")}
        self.command = (str(Path(sys.executable).with_name("tiffin")),)
        self.failures = []
        self.done = 0
        self._guard = threading.Lock()

    def __call__(self, *words):  # noqa: ANN204
        done = subprocess.run(
            [*self.command, *map(str, words)], env=self.env, capture_output=True, text=True, check=False
        )
        with self._guard:
            self.done += 1
            if done.returncode:
                text = f"tiffin {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}"
                self.failures.append(text)
        return done.stdout.strip()

    def prepare(self):
        """Make the image that all begin from, and one in the registry."""
        base = self.place / "base"
        busybox.install(base / "bin", ("sh", "cp", "echo", "true", "sleep"))
        (base / "Dockerfile").write_text("FROM scratch\nCOPY bin /bin\n")
        self("build", "-q", "-t", "base", base)
        self("build", "-q", "-t", f"{self.registry}/app:1", self.context("first", 0))
        self("push", "-q", f"{self.registry}/app:1")

    def context(self, who, number):
        """A folder to build, of which a part is the same for all and a part is not."""
        place = self.place / f"context-{who}"
        place.mkdir(exist_ok=True)
        (place / "data").write_text(f"{number % 3}\n" * 100_000)
        (place / "Dockerfile").write_text(DOCKERFILE.format(number=number % 5))
        return place

    def work(self, who, going):
        """Do one thing after the other while `going()` says so."""
        chance = random.Random(who)
        while going():
            number = chance.randrange(1000)
            own = f"{who}-{number}"
            chance.choice((self._build, self._pull, self._run, self._kept, self._prune, self._tag))(
                who, own, number
            )

    def _build(self, who, own, number):
        self("build", "-q", "-t", own, self.context(who, number))
        self("run", "--rm", "--network=none", own, "/bin/true")
        self("rmi", own)

    def _pull(self, _who, _own, _number):
        self("pull", "-q", f"{self.registry}/app:1")

    def _run(self, _who, _own, _number):
        self("run", "--rm", "--network=none", "base", "/bin/echo", "hello")

    def _kept(self, _who, own, _number):
        self("run", "-d", "--network=none", "--name", own, "base", "/bin/sleep", "60")
        self("rm", "-f", own)

    def _tag(self, _who, own, _number):
        self("tag", "base", own)
        self("rmi", own)

    def _prune(self, _who, _own, number):
        self(*(("system", "prune", "-f"), ("builder", "prune", "-af"), ("image", "prune", "-f"))[number % 3])

    def all_at_once(self, count, going):
        """Let `count` of them work, until each has seen that it is over; then look at the store."""
        threads = [threading.Thread(target=self.work, args=(who, going)) for who in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self("system", "fsck")
