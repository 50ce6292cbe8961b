"""Other builders, which get the same contexts, and bases with the certificates of this machine."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

__all__ = ["Buildah", "Docker", "call"]

# Without them the program finds the limits of the whole machine too high for a container of its own.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


def call(command, *, cwd, env=None, patience=1500):
    """Run a command; one that takes too long is ended, and has failed. Both outputs are one."""
    with subprocess.Popen(
        list(map(str, command)),
        cwd=cwd,
        env=env or os.environ,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            output, _ = process.communicate()
            output += f"\nended after {patience:.0f} s"
    return subprocess.CompletedProcess(command, process.returncode, output, "")


class Buildah:
    """As root with chroot isolation, what is said to work in a pod."""

    rung = "buildah"

    def __init__(self, home: Path) -> None:
        self.home = home
        places = ("--root", home / "root", "--runroot", home / "run", "--storage-driver", "overlay")
        self.command = ("buildah", *places)

    def load(self, archive: Path, names: list[str]) -> None:
        for name in names:
            done = call((*self.command, "pull", "-q", f"docker-archive:{archive}:{name}"), cwd=self.home)
            assert done.returncode == 0, done.stdout

    def build(self, context: Path, image: str, options):
        words = ("build", "--layers=false", "--pull=never", "--isolation", "chroot", *LIMITS)
        return call((*self.command, *words, "-t", image, *options, "."), cwd=context)

    def save(self, image: str, archive: Path) -> None:
        archive.unlink(missing_ok=True)
        done = call(
            (*self.command, "push", "-q", image, f"docker-archive:{archive}:{image}:x"), cwd=self.home
        )
        assert done.returncode == 0, done.stdout
        call((*self.command, "rmi", image), cwd=self.home)

    def close(self) -> None:
        """There is no daemon."""


class Docker:
    """A daemon of our own with its BuildKit, as root: what Docker makes of a Dockerfile."""

    rung = "docker"

    def __init__(self, home: Path) -> None:
        self.home = home
        shutil.rmtree(home / "exec", ignore_errors=True)
        socket = f"unix://{home}/docker.sock"
        self.command = ("/usr/bin/docker", "--host", socket)
        words = ["dockerd", "--host", socket, "--data-root", f"{home}/data", "--exec-root", f"{home}/exec"]
        words += [
            "--pidfile",
            f"{home}/pid",
            "--iptables=false",
            "--bridge=none",
            "--storage-driver",
            "overlay2",
        ]
        with open(home / "log", "wb") as log:
            self.daemon = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        for _ in range(240):
            if not call((*self.command, "version"), cwd=home).returncode:
                return
            time.sleep(0.25)
        self.close()
        raise SystemExit("dockerd does not start: " + (home / "log").read_text()[-500:])

    def load(self, archive: Path, _names: list[str]) -> None:
        done = call((*self.command, "load", "-i", archive), cwd=self.home)
        assert done.returncode == 0, done.stdout

    def build(self, context: Path, image: str, options):
        words = ("build", "--progress", "plain", "--network", "host", "-t", image, *options, ".")
        return call((*self.command, *words), cwd=context, env={**os.environ, "DOCKER_BUILDKIT": "1"})

    def save(self, image: str, archive: Path) -> None:
        done = call((*self.command, "save", "-o", archive, image), cwd=self.home)
        assert done.returncode == 0, done.stdout
        call((*self.command, "rmi", image), cwd=self.home)

    def close(self) -> None:
        """End our daemon, and only ours."""
        self.daemon.terminate()
        try:
            self.daemon.wait(30)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
