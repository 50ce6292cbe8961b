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
    """A daemon of our own with its BuildKit: what Docker makes of a Dockerfile. `folder` has its programs."""

    rung = "docker"
    options = ("--iptables=false", "--bridge=none", "--storage-driver", "overlay2")

    def __init__(self, home: Path, folder: Path = Path("/")) -> None:
        self.home = home
        shutil.rmtree(home / "exec", ignore_errors=True)
        self.folder = folder
        self.path = f"{folder}/usr/bin:{folder}/usr/sbin:{os.environ['PATH']}"
        self.socket = f"unix://{home}/docker.sock"
        self.command = (f"{folder}/usr/bin/docker", "--host", self.socket)
        self.env = {
            **os.environ,
            "PATH": self.path,
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(home / "client"),
        }
        plugins = home / "client/cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        buildx = plugins / "docker-buildx"  # the client looks for it here, or in the machine's own folders
        buildx.unlink(missing_ok=True)
        buildx.symlink_to(folder / "usr/libexec/docker/cli-plugins/docker-buildx")
        words = [*self.enter(), *self.daemon_words(), *self.options]
        with open(home / "log", "wb") as log:
            self.daemon = subprocess.Popen(
                list(map(str, words)), env=self.env, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(240):
            if not self.call("version").returncode:
                return
            time.sleep(0.25)
        self.close()
        raise SystemExit("dockerd does not start: " + (home / "log").read_text()[-500:])

    def enter(self) -> tuple[object, ...]:
        """What the daemon is started by."""
        return ()

    def daemon_words(self) -> tuple[object, ...]:
        home = self.home
        places = ("--data-root", home / "data", "--exec-root", home / "exec", "--pidfile", home / "pid")
        return (f"{self.folder}/usr/sbin/dockerd", "--host", self.socket, *places)

    def call(self, *words, cwd=None):
        return call((*self.command, *words), cwd=cwd or self.home, env=self.env)

    def load(self, archive: Path, _names: list[str]) -> None:
        done = self.call("load", "-i", archive)
        assert done.returncode == 0, done.stdout

    def build(self, context: Path, image: str, options):
        file = (
            context / "Dockerfile"
        )  # front ends lie in a registry that may be out of reach: the own one does
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.replace(" ", "").startswith("#syntax=")))
        words = ("build", "--progress", "plain", "--network", "host", "-t", image, *options, ".")
        return self.call(*words, cwd=context)

    def save(self, image: str, archive: Path) -> None:
        done = self.call("save", "-o", archive, image)
        assert done.returncode == 0, done.stdout
        self.call("rmi", image)

    def close(self) -> None:
        """End our daemon, and only ours."""
        from tests.live.dockerd import end

        end(self.daemon)


class RootlessDocker(Docker):
    """The same as an ordinary user with subordinate ids, by rootlesskit."""

    rung = "rootless-docker"
    options = ("--rootless", "--iptables=false", "--bridge=none")

    def enter(self):
        from tests.live.conftest import tunnel

        owner = self.home.stat()
        switch = ("setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups")
        variables = ("env", f"HOME={self.home}", f"XDG_RUNTIME_DIR={self.home}")
        copies = ("--copy-up=/etc", "--copy-up=/run")
        network = ("--net=slirp4netns", "--mtu=65520", "--disable-host-loopback", "--port-driver=builtin")
        kit = ("rootlesskit", f"--state-dir={self.home}/kit", *network, *copies)
        return (
            *tunnel(self.home),
            *switch,
            *variables,
            *kit,
            "sh",
            "-c",
            'rm -rf /run/docker /run/containerd; exec "$0" "$@"',
        )
