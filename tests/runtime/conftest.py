"""A small container: busybox in a layer, and what is needed to run commands in it."""

import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tiffin.linux import isolation, probe
from tiffin.linux.namespace import IdMap
from tiffin.oci.config import ContainerConfig
from tiffin.runtime.child import Streams
from tiffin.runtime.launch import launch
from tiffin.runtime.model import Rootfs, UserMap
from tiffin.runtime.plan import make_plan
from tiffin.runtime.spec import Options, Place, make_spec
from tiffin.runtime.users import User

IDS = (IdMap(0, 100000, 65536),)
ROOT = User(0, 0, (), "/root")
APPLETS = (
    *(
        "sh",
        "ls",
        "cat",
        "mount",
        "umount",
        "id",
        "ps",
        "hostname",
        "true",
        "false",
        "touch",
        "env",
        "tty",
        "stty",
    ),
    *(
        "sleep",
        "grep",
        "unshare",
        "chroot",
        "head",
        "chown",
        "mknod",
        "stat",
        "readlink",
        "kill",
        "mkdir",
        "echo",
    ),
    *("ip", "test", "wc", "df", "su", "ln", "chmod", "rm", "pwd", "sort", "seq"),
)


class Result(NamedTuple):
    """How a command in the container ended, and what it said on both streams."""

    status: int
    output: str


def make_layer(folder: Path) -> Path:
    """A layer with busybox and two files."""
    (folder / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed (package busybox-static)")
    shutil.copy(busybox, folder / "bin/busybox")
    for name in APPLETS:
        (folder / "bin" / name).symlink_to("busybox")
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    return folder


@pytest.fixture(scope="session")
def layer(tmp_path_factory):
    return make_layer(tmp_path_factory.mktemp("layer") / "layer")


@pytest.fixture
def place():
    return Place(os.uname().machine, (6, 1), 2 << 30, UserMap(IDS, IDS), IDS)


def drain(fd: int) -> str:
    """All that comes until the other end is closed."""
    data = b""
    while part := os.read(fd, 65536):
        data += part
    os.close(fd)
    return data.decode()


class Box:
    """Containers on one layer, each with a writable layer of its own."""

    def __init__(self, layer: Path, folder: Path, place: Place) -> None:
        self.layer = layer
        self.folder = folder
        self.place = place
        self.number = 0

    def spec(self, *command, user=ROOT, config=None, **options):
        asked = Options(command=command, hostname="box", **options)
        return make_spec(config or ContainerConfig(), user, asked, self.place)

    def plan(self, *command, rootfs=None, outlive=False, extra=(), **options):
        if rootfs is None:
            self.number += 1
            self.upper = self.folder / f"run{self.number}" / "upper"
            self.upper.mkdir(parents=True)
            self.work = self.upper.with_name("work")
            self.work.mkdir()
            rootfs = Rootfs((str(self.layer),), str(self.upper), str(self.work))
        spec = self.spec(*command, **options)
        return make_plan(spec, rootfs, machine=self.place.machine, outlive=outlive, extra=extra)

    def start(self, plan, attach=None):
        """Start the plan with an empty stdin; return the child and the end of a pipe with its output."""
        read, write = os.pipe()
        null = os.open("/dev/null", os.O_RDONLY)
        try:
            return launch(plan, Streams(null, write, write), attach), read
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(null)
            os.close(write)

    def run(self, *command, attach=None, **options) -> Result:
        child, read = self.start(self.plan(*command, **options), attach)
        output = drain(read)
        return Result(child.wait(), output)

    drain = staticmethod(drain)

    def shell(self, script, **options) -> Result:
        return self.run("sh", "-c", script, **options)


@pytest.fixture
def box(layer, tmp_path, place):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if isolation.decide(probe.examine(tmp_path)).rung is not isolation.Rung.ROOT:
        pytest.skip("needs root with SYS_ADMIN on the host")
    return Box(layer, tmp_path, place)


@pytest.fixture(scope="session")
def public_source(tmp_path_factory):
    """A copy of our source, and a Python, that every user can read: (interpreter, folder)."""
    python = os.path.realpath(sys.executable)
    if not all(os.stat(parent).st_mode & 0o001 for parent in Path(python).parents):
        python = "/usr/bin/python3"
    if not os.path.exists(python):
        pytest.skip("there is no Python that every user can execute")
    folder = Path("/var/tmp") / f"tiffin-source-{os.getpid()}"
    source = Path(__file__).parents[2] / "src"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    folder.chmod(0o755)
    yield python, folder
    shutil.rmtree(folder)
