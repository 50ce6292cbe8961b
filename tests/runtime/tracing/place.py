"""A directory that is taken for the root, with a static shell and a dynamic Python, and programs in it.

Whoever runs it there is nobody, has no rights, and what a default container of Docker refuses is refused.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.suites import busybox

import tiffin
from tiffin.linux import bpf
from tiffin.linux.sysnum import numbers
from tiffin.runtime import kernelfiles
from tiffin.runtime.model import Plan, pack
from tiffin.runtime.mounts import LINKS
from tiffin.runtime.process import Process
from tiffin.runtime.rare_steps import EnterDirectory
from tiffin.runtime.seccomp import Circumstances, choose, compile_filter, default_profile
from tiffin.runtime.traced import traced

NOBODY = 65534
PYTHON = Path(shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable).resolve()
MODULES = "ctypes,json,os,pty,signal,socket,stat,struct,subprocess,sys,threading,time"
APPLETS = ("sh", "cat", "echo", "true", "id", "su", "chown", "stat", "touch", "mkdir", "seq")
ENTRY = """\
import sys
sys.path.insert(0, {path!r})
from tiffin.linux import bpf, prctl
from tiffin.runtime.child import Streams
from tiffin.runtime.launch import launch
from tiffin.runtime.model import unpack
from tiffin.runtime.orphans import end_children
prctl.set_subreaper()
prctl.set_no_new_privs()
with open({program!r}, "rb") as file:
    bpf.install((file.read(),))
with open({plan!r}, "rb") as file:
    child = launch(unpack(file.read()), Streams())
status = child.wait()
end_children()
sys.exit(status)
"""


class Place:
    """The directory, which belongs to nobody; `run` runs a command in it."""

    def __init__(self, folder) -> None:
        self.folder, self.root = folder, folder / "root"
        for name in ("tmp", "etc", "root", "dev/shm", "home/app"):
            (self.root / name).mkdir(parents=True)
        kernelfiles.make_proc(self.root / "proc")
        for path, target in LINKS.items():
            (self.root / path[1:]).symlink_to(target)
        busybox.install(self.root / "bin", APPLETS)
        (self.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:7:8::/home/app:/bin/sh\n")
        (self.root / "etc/group").write_text("root:x:0:\napp:x:8:\n")
        self._put_python()
        ours = Path(tiffin.__file__).parent
        for name in ("linux", "runtime"):
            shutil.copytree(ours / name, folder / "code/tiffin" / name)
        for name in ("__init__.py", "errors.py", "version.py"):
            shutil.copy(ours / name, folder / "code/tiffin" / name)
        machine = os.uname().machine
        rules = choose(default_profile(), Circumstances(machine, (6, 1), frozenset()))
        (folder / "filter").write_bytes(compile_filter(rules, machine))
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", folder], check=True)

    def run(self, *args, uid=0, no_new_privs=False, **options):
        """Run a command there as a user that it takes itself for; return how it ended."""
        env = ("PATH=/bin:/usr/bin", "HOME=/root")
        process = Process(args, env, uid=uid, gid=uid, bounding=(1 << 41) - 1, no_new_privs=no_new_privs)
        process = traced(process, 0, str(self.root), os.uname().machine)._replace(death_signal=9)
        plan = self.folder / "plan"
        plan.write_bytes(pack(Plan(0, (), (), (), (EnterDirectory(str(self.root)),), process)))
        paths = {name: str(self.folder / place) for name, place in _FILES.items()}
        switch = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        options = {"capture_output": True, "text": True, "timeout": 120, "cwd": "/", **options}
        return subprocess.run([*switch, PYTHON, "-IS", "-c", ENTRY.format(**paths)], check=False, **options)

    def missing(self, refused):
        """Return why no calls can be answered, where one of those that it takes is refused."""
        number = numbers(os.uname().machine).get(refused, 0xFFFF)
        program = bpf.instruction(bpf.LOAD_WORD, bpf.NUMBER_AT) + bpf.instruction(
            bpf.JUMP_EQUAL, number, 0, 1
        )
        program += bpf.instruction(bpf.RETURN, bpf.ERRNO | 1) + bpf.instruction(bpf.RETURN, bpf.ALLOW)
        script = (
            f"import sys; sys.path.insert(0, {str(self.folder / 'code')!r})\n"
            "from tiffin.linux import bpf, prctl\nfrom tiffin.runtime.tracing import trial\n"
            f"prctl.set_no_new_privs(); bpf.install(({program!r},)); print(end=trial.missing())"
        )
        switch = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        command = [*switch, PYTHON, "-IS", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd="/").stdout

    def _put_python(self):
        script = (
            f"import {MODULES}; print(*[m.__file__ for m in sys.modules.values() if hasattr(m, '__file__')])"
        )
        said = subprocess.run([PYTHON, "-IS", "-c", script], capture_output=True, text=True, check=True)
        files = {str(PYTHON), *(path for path in said.stdout.split() if path.startswith("/"))}
        for path in tuple(files):
            if not path.endswith(".py"):
                found = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
                files |= {word for word in found.split() if word.startswith("/")}
        for path in files:
            target = self.root / path[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


_FILES = {"path": "code", "program": "filter", "plan": "plan"}
