"""A Docker of our own: the daemon of a distribution's package, with its own folders and socket."""

import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

DAEMON = Path("/usr/sbin/dockerd")
CLIENT = Path("/usr/bin/docker")
PATIENCE = 60


def end(daemon):
    """End a daemon of ours, by its process and no other."""
    daemon.terminate()
    try:
        daemon.wait(30)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


class Docker:
    """Talks to the daemon; `build` gives the image a name. `root` is where its packages are unpacked."""

    def __init__(self, place, root=Path("/")) -> None:
        self.place = place
        self.root = root
        folders = [str(root / "usr/bin"), str(root / "usr/sbin"), os.environ["PATH"]]
        self.env = {**os.environ, "PATH": ":".join(folders), "DOCKER_CONFIG": str(place)}
        self.socket = f"unix://{place}/docker.sock"
        self.log = place / "log"

    @contextmanager
    def running(self, *more):
        """Run the daemon while the block lasts."""
        self.start(*more)
        try:
            yield self
        finally:
            self.stop()

    def start(self, *more):
        arguments = [self.inside(DAEMON), "--host", self.socket, "--data-root", self.place / "data"]
        arguments += ["--exec-root", self.place / "exec", "--pidfile", self.place / "pid"]
        arguments += ["--iptables=false", "--ip6tables=false", "--bridge=none", *more]
        with self.log.open("wb") as log:
            self.daemon = subprocess.Popen(
                arguments, env=self.env, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.daemon.poll() is None:
            if self("version", check=False).returncode == 0:
                return
            time.sleep(0.1)
        self.stop()
        pytest.fail(f"dockerd does not start here: {self.log.read_text()[-2000:]}")

    def inside(self, program):
        """Where a program of the packages is."""
        return self.root / program.relative_to("/")

    def stop(self):
        end(self.daemon)
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.place}/")), reverse=True):
            subprocess.run(["umount", mount], check=False)

    def __call__(self, *arguments, check=True, buildkit=True, **options):  # noqa: ANN204
        done = subprocess.run(
            [self.inside(CLIENT), "--host", self.socket, *map(str, arguments)],
            env={**self.env, "DOCKER_BUILDKIT": str(int(buildkit))},
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )
        if check and done.returncode != 0:
            pytest.fail(
                f"docker {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def run(self, *arguments, **options):
        return self("run", "--rm", "--network", "none", *arguments, **options)

    def build(self, folder, name, *options, buildkit=True):
        # There is no bridge that BuildKit could use.
        network = ["--network", "host" if buildkit else "none"]
        self("build", "-q", *network, "-t", name, *options, folder, buildkit=buildkit)
        return name
