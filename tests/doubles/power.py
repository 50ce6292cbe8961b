"""A machine whose power can be cut: commands on a file system of their own, and what is on the disk then.

The disk is a file with ext4, and the machine a process with mounts, process numbers, a /run and a boot id
of its own. The cut is the kernel's: after FS_IOC_SHUTDOWN nothing more goes to the disk, whatever programs
have written, and the next mount replays the journal as after any crash. Mounted so that ext4 helps nobody
(`noauto_da_alloc`), it forgets data that nobody has waited for. Root only; needs mkfs.ext4 and loop devices.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), as of linux/fs.h; ext4, XFS, Btrfs and F2FS have it
NOTHING, NAMES = 2, 1
"""What still reaches the disk when the power goes: nothing; or all names and sizes, and no more data."""

OPTIONS = ("noauto_da_alloc,commit=300", "noauto_da_alloc,commit=300,nodelalloc,data=writeback")
"""Ways to mount: files without their data are empty in the first, and full of zeros in the other."""

SIZE = 3 << 30  # of which only what is written takes room
FACTS = """
import json, os
from tiffin.engine import images, networks, volumes
from tiffin.engine.containers import ps
from tiffin.engine.engine import Engine
from tiffin.engine.settings import Settings
with Engine.open(Settings.load(os.environ)) as engine:
    engine.enter()
    print(json.dumps({
        "images": {name: [image.id, image.labels.get("number", "")]
                   for image in images.list_images(engine) for name in image.references},
        "containers": {each.name: [each.state, each.exit_code] for each in ps(engine, all_=True)},
        "volumes": {each.name: "" for each in volumes.list_volumes(engine)},
        "networks": {each.name: "" for each in networks.list_networks(engine)},
    }))
"""


def lacks():
    """What this account and machine lack for it, in words; nothing if they have it."""
    if os.geteuid() != 0:
        return "a file system is made and mounted by root"
    if shutil.which("mkfs.ext4") is None:
        return "the package e2fsprogs is not installed"
    return "" if Path("/dev/loop-control").exists() else "this machine has no loop devices"


class PowerMachine:
    """A disk in `place`, and what runs on it from one boot to the next cut."""

    def __init__(self, place, options=OPTIONS[0]) -> None:
        self.image, self.mounted, self.options = place / "disk", place / "mounted", options
        self.mounted.mkdir(parents=True)
        with self.image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "nodiscard", self.image], check=True)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.mounted),
            "TIFFIN_HOME": str(self.mounted / "store"),
        }
        self.command = (str(Path(sys.executable).with_name("tiffin")),)
        self._process = None

    @contextlib.contextmanager
    def on(self, *, busy=False):
        """Boot it for the time of the block, at whose end it is cut if nobody has done that.

        With `busy` another process has the database open, so that no command is the last to close it.
        """
        self.boot()
        try:
            if busy:
                self._ask(hold=str(self.mounted / "store/tiffin.db"))
            yield self
        finally:
            if self._process is not None:
                self.cut(NOTHING)

    def boot(self):
        """Mount the disk, as it was left, and start the machine."""
        while str(self.image).encode() in subprocess.check_output(
            ["losetup", "--list", "--output", "BACK-FILE"]
        ):
            time.sleep(0.01)  # the last one's mounts go after its processes
        words = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
        ]
        inside = [sys.executable, "-S", __file__, str(self.image), str(self.mounted), self.options]
        self._process = subprocess.Popen(
            [*words, *inside], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def __call__(self, *words, check=True):  # noqa: ANN204
        """Run tiffin to its end; its exit code, and all that it said."""
        return self.program([*self.command, *map(str, words)], check=check)

    def program(self, words, *, check=True):
        code, said = self._ask(run=words)
        if check and code:
            raise AssertionError(f"{' '.join(words)}: {code}\n{said}")
        return code, said

    def start(self, *words):
        """Start tiffin, and go on at once."""
        self._ask(start=[*self.command, *map(str, words)])

    def ended(self):
        """The exit code of what was started last, or None."""
        return self._ask(ended=True)

    def facts(self):
        """The images, containers, volumes and networks that the store says it has."""
        return json.loads(self.program([sys.executable, "-c", FACTS])[1])

    def cut(self, reaches):
        """Cut the power; the exit code of what was started last, or None if it was still at work."""
        code = self._ask(cut=reaches)
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process = None
        return code

    def _ask(self, **request):
        self._process.stdin.write(json.dumps({**request, "env": self.env}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the machine has ended: {self._process.wait()}")
        return json.loads(line)


def _main(image, mounted, options):
    """The first process of the machine: answer requests, one a line, until the power is cut."""
    subprocess.run(["mount", "-o", f"loop,{options}", image, mounted], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    boot = Path("/run/boot_id")
    boot.write_text(Path("/proc/sys/kernel/random/uuid").read_text())
    subprocess.run(["mount", "--bind", boot, "/proc/sys/kernel/random/boot_id"], check=True)
    disk = os.open(mounted, os.O_RDONLY | os.O_DIRECTORY)
    print("0", flush=True)  # noqa: T201 - it is how we answer
    started, held = None, []
    for line in sys.stdin:
        request = json.loads(line)
        options = {"env": request.pop("env"), "stdin": subprocess.DEVNULL, "cwd": "/run"}
        ((verb, value),) = request.items()
        answer = 0
        if verb == "run":
            with open("/run/said", "w+b") as said:
                done = subprocess.run(value, stdout=said, stderr=said, check=False, **options)
                said.seek(0)
                answer = done.returncode, said.read().decode(errors="replace")
        elif verb == "start":
            quiet = subprocess.DEVNULL
            started = subprocess.Popen(value, stdout=quiet, stderr=quiet, **options)
        elif verb == "ended":
            answer = started.poll()
        elif verb == "hold":
            import sqlite3

            held.append(sqlite3.connect(value))
            held[-1].execute("SELECT count(*) FROM tag").fetchall()
        elif verb == "cut":
            answer = started.poll() if started else None
            fcntl.ioctl(disk, FS_IOC_SHUTDOWN, struct.pack("I", value))
        print(json.dumps(answer), flush=True)  # noqa: T201 - the same


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _main(*sys.argv[1:])
