"""The engines that are compared, each with a store of its own that is thrown away afterwards."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from measure import Unavailable

VERBS = frozenset(
    {"base", "build", "builder", "image", "inspect", "load", "pull", "run", "save", "spec", "version"}
)
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


def call(arguments: list[str], environment: dict[str, str] | None = None, timeout: float = 1800) -> str:
    """What a command prints; Unavailable with its last words if it fails."""
    done = subprocess.run(
        arguments,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | (environment or {}),
        timeout=timeout,
    )
    if done.returncode:
        words = [line for line in (done.stderr or done.stdout).splitlines() if line and "hint" not in line]
        program = Path(arguments[0]).name
        verb = next((word for word in arguments[1:] if word in VERBS), "")
        raise Unavailable(f"`{program} {verb}`: {words[-1][:200] if words else f'status {done.returncode}'}")
    return done.stdout


def tool(name: str) -> str:
    """Where a program of the system lies; Unavailable if it does not."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise Unavailable(f"{name} is not installed")
    return found


class Engine(Protocol):
    """Builds and runs images in a store of its own, which starts empty."""

    name: str

    def version(self) -> str:
        """Name and version."""
        ...

    def load(self, archive: Path) -> None:
        """Take an image from a Docker archive."""
        ...

    def forget(self) -> None:
        """Empty the store and every cache."""
        ...

    def build(self, context: Path, tag: str, *options: str) -> str:
        """Build, and return the image's id."""
        ...

    def close(self) -> None:
        """End what was started, remove what was written."""
        ...


def remove(folder: Path) -> None:
    """Remove a folder, and first whatever an engine left mounted in it."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", mount], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


class Tiffin:
    """The command beside this interpreter, with a home of its own."""

    name = "tiffin"

    def __init__(self, work: Path) -> None:
        self.home = work / "tiffin"
        self.note = work / "tiffin.iid"
        self.command = str(Path(sys.executable).with_name("tiffin"))
        if not Path(self.command).exists():
            raise Unavailable("tiffin is not installed beside this Python")
        self.version()

    def call(self, *arguments: str) -> str:
        """What a tiffin command prints."""
        return call([self.command, *arguments], {"TIFFIN_HOME": str(self.home)})

    def version(self) -> str:
        """Name and version."""
        return "tiffin " + self.call("version").split()[1]

    def load(self, archive: Path) -> None:
        """Take an image."""
        self.call("load", "-i", str(archive))

    def forget(self) -> None:
        """A new home: nothing can be remembered."""
        remove(self.home)

    def build(self, context: Path, tag: str, *options: str) -> str:
        """Build."""
        arguments = ["-q", "--network", "host", "--iidfile", str(self.note), "-t", tag]
        self.call("build", *arguments, *options, str(context))
        return self.note.read_text().strip()

    def run(self, image: str, *arguments: str) -> None:
        """Start a container and wait for its end."""
        self.call("run", "--rm", "--network", "none", image, *arguments)

    def close(self) -> None:
        """Remove the home."""
        remove(self.home)


class BuildKit:
    """Docker's own BuildKit: a daemon of ours, with its own folders and socket, ended afterwards."""

    name = "Docker/BuildKit"
    patience = 60

    def __init__(self, work: Path, *, bridge: bool = False) -> None:
        if os.geteuid() != 0:
            raise Unavailable("dockerd needs root")
        self.work = work / "docker"
        self.work.mkdir()
        socket = f"unix://{self.work}/docker.sock"
        client = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else tool("docker")
        self.command = [client, "--host", socket]
        arguments = [tool("dockerd"), "--host", socket, "--data-root", f"{self.work}/data"]
        arguments += ["--exec-root", f"{self.work}/exec", "--pidfile", f"{self.work}/pid"]
        arguments += ["--iptables=false", "--storage-driver", "overlay2"]
        arguments += [] if bridge else ["--bridge=none"]
        with (self.work / "log").open("wb") as log:
            self.daemon = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)
        self.wait()

    def wait(self) -> None:
        """Return once the daemon answers."""
        for _ in range(self.patience * 4):
            if self.daemon.poll() is None:
                try:
                    self.call("version")
                except Unavailable:
                    time.sleep(0.25)
                    continue
                return
            break
        self.close()
        raise Unavailable("dockerd does not start here: " + (self.work / "log").read_text()[-300:].strip())

    def call(self, *arguments: str) -> str:
        """What a docker command prints."""
        return call([*self.command, *arguments], {"DOCKER_BUILDKIT": "1"})

    def version(self) -> str:
        """Name and version of the daemon that BuildKit is part of."""
        return "dockerd with BuildKit " + self.call("version", "--format", "{{.Server.Version}}").strip()

    def load(self, archive: Path) -> None:
        """Take an image."""
        self.call("load", "-i", str(archive))

    def forget(self) -> None:
        """Remove all images, and the cache with them."""
        self.call("image", "prune", "-af")
        self.call("builder", "prune", "-af")

    def build(self, context: Path, tag: str, *options: str) -> str:
        """Build."""
        note = self.work / "iid"
        self.call(
            "build", "-q", "--network", "host", "--iidfile", str(note), "-t", tag, *options, str(context)
        )
        return note.read_text().strip()

    def run(self, image: str, *arguments: str) -> None:
        """Start a container and wait for its end."""
        self.call("run", "--rm", "--network", "none", image, *arguments)

    def close(self) -> None:
        """End our daemon, and only ours."""
        self.daemon.terminate()
        try:
            self.daemon.wait(30)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
        remove(self.work)


class Buildah:
    """buildah with a storage of its own."""

    name = "Buildah"

    def __init__(self, work: Path) -> None:
        if os.geteuid() != 0:
            raise Unavailable("buildah is compared as root only")
        self.store = work / "buildah"
        self.note = work / "buildah.iid"
        self.program = tool("buildah")
        self.call("images")

    def call(self, *arguments: str) -> str:
        """What a buildah command prints."""
        places = ["--root", f"{self.store}/root", "--runroot", f"{self.store}/run"]
        return call([self.program, *places, "--storage-driver", "overlay", *arguments])

    def version(self) -> str:
        """Name and version."""
        return "Buildah " + self.call("--version").split()[2]

    def load(self, archive: Path) -> None:
        """Take an image."""
        self.call("pull", "-q", f"docker-archive:{archive}")

    def forget(self) -> None:
        """A new storage: nothing can be remembered."""
        remove(self.store)

    def build(self, context: Path, tag: str, *options: str) -> str:
        """Build; the network of `--isolation chroot` is always the host's."""
        arguments = ["build", "-q", "--layers", "--isolation", "chroot", *LIMITS]
        self.call(*arguments, "--iidfile", str(self.note), "-t", tag, *options, str(context))
        return self.note.read_text().strip()

    def close(self) -> None:
        """Remove the storage."""
        remove(self.store)


def hide_hybrid_cgroups() -> None:
    """Hide the second cgroup hierarchy of this machine from the calling thread and what it starts.

    crun refuses machines that have both hierarchies with controllers in each. A thread can have a mount
    namespace of its own, and hands it on to the processes that it starts: nothing else notices.
    """
    unified = Path("/sys/fs/cgroup/unified")
    if not (unified / "cgroup.controllers").exists():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    clone_fs, clone_newns, ms_rec, ms_private, mnt_detach = 0x200, 0x20000, 0x4000, 0x40000, 2
    for status in (
        libc.unshare(clone_fs | clone_newns),
        libc.mount(b"none", b"/", None, ctypes.c_ulong(ms_rec | ms_private), None),
        libc.umount2(str(unified).encode(), mnt_detach),
    ):
        if status:
            raise Unavailable(f"cannot hide {unified}: {os.strerror(ctypes.get_errno())}")


class Crun:
    """crun on a bundle that was prepared beforehand: what starting a container costs at least."""

    name = "crun"

    def __init__(self, work: Path) -> None:
        if os.geteuid() != 0:
            raise Unavailable("crun is compared as root only")
        self.program = tool("crun")
        self.state = work / "crun"
        self.number = 0
        self.thread = ThreadPoolExecutor(max_workers=1, initializer=hide_hybrid_cgroups)

    def version(self) -> str:
        """Name and version."""
        return "crun " + call([self.program, "--version"]).split()[2]

    def prepare(self, bundle: Path, arguments: list[str]) -> None:
        """Write the configuration into a bundle that has its root filesystem."""
        call([self.program, "spec", "--bundle", str(bundle)])
        document = json.loads((bundle / "config.json").read_text())
        document["process"] |= {"args": arguments, "terminal": False}
        (bundle / "config.json").write_text(json.dumps(document))

    def run(self, bundle: Path) -> None:
        """Start a container and wait for its end."""
        self.number += 1
        name = f"bench-{os.getpid()}-{self.number}"
        places = ["--root", str(self.state), "--cgroup-manager", "disabled"]
        command = [self.program, *places, "run", "--bundle", str(bundle), name]
        self.thread.submit(call, command).result()

    def close(self) -> None:
        """Remove the state."""
        self.thread.shutdown()
        remove(self.state)
