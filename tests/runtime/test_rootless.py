"""Containers of ordinary users, with subordinate ids and without; root only makes the users."""

import json
import os
import pwd
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest
from tests.suites import accounts

from tiffin.linux.namespace import IdMap
from tiffin.oci.config import ContainerConfig
from tiffin.runtime.model import Rootfs, UserMap, pack, pack_process
from tiffin.runtime.plan import make_plan, make_process
from tiffin.runtime.spec import Options, Place, exec_process, make_spec
from tiffin.runtime.users import User

pytestmark = pytest.mark.live
ROOT = User(0, 0)

SCRIPT = textwrap.dedent(
    """
    import json, os, sys
    sys.path.insert(0, sys.argv[1])
    folder = sys.argv[2]
    from pathlib import Path
    from tiffin.linux import isolation, namespace, probe
    facts = probe.examine(Path(folder), tries=True)
    decision = isolation.decide(facts)
    print(json.dumps([decision.rung.value, facts.user_namespaces, facts.overlay]), flush=True)
    outside = os.fork() if len(sys.argv) > 3 else -1
    if outside > 0:
        # The parent stays in the first user namespace, as `exec` does.
        from tiffin.runtime.child import Streams
        from tiffin.runtime.exec import join
        from tiffin.runtime.model import unpack_process
        pid = int(open(folder + "/ready").readline())
        try:
            status = join(pid, unpack_process(open(folder + "/process", "rb").read()), Streams()).wait()
        finally:
            os.kill(pid, 9)
            os.waitpid(outside, 0)
        os._exit(status)
    namespace.enter_user_namespace(decision.uids, decision.gids)
    from tiffin.runtime.child import Streams
    from tiffin.runtime.launch import launch
    from tiffin.runtime.model import unpack
    def attach(pid):
        # Only look once the process has done all that it does before it has a network.
        import time
        asleep = 0
        while asleep < 3:
            time.sleep(0.01)
            state = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
            asleep = asleep + 1 if state == "S" else 0
        for name in ("net", "user"):
            os.close(os.open(f"/proc/{pid}/ns/" + name, os.O_RDONLY))
    child = launch(unpack(open(folder + "/plan", "rb").read()), Streams(), attach)
    if outside == 0:
        with open(folder + "/ready", "w") as ready:
            print(child.pid, file=ready)
    os._exit(child.wait())
    """
)


class Account:
    """A user of the system, a layer in its home, and how to run containers as that user."""

    def __init__(self, name, ids, *, single_id) -> None:
        self.entry = pwd.getpwnam(name)
        self.folder = Path(self.entry.pw_dir) / "box"
        self.place = Place(os.uname().machine, (6, 1), 1 << 30, UserMap(), ids, single_id)

    def prepare(self, command, execute=None, user=ROOT):
        for part in ("upper", "work"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
            (self.folder / part).mkdir()
            os.chown(self.folder / part, self.entry.pw_uid, self.entry.pw_gid)
        spec = make_spec(ContainerConfig(), user, Options(command=command, hostname="box"), self.place)
        folder = str(self.folder)
        rootfs = Rootfs((f"{folder}/layer",), f"{folder}/upper", f"{folder}/work")
        plan = make_plan(spec, rootfs, machine=self.place.machine)
        (self.folder / "plan").write_bytes(pack(plan))
        if execute:
            process = make_process(
                exec_process(spec, execute, user), spec.linux.seccomp, machine=self.place.machine
            )
            (self.folder / "process").write_bytes(pack_process(process))
        (self.folder / "ready").unlink(missing_ok=True)
        os.mkfifo(self.folder / "ready")
        os.chown(self.folder / "ready", self.entry.pw_uid, self.entry.pw_gid)

    def run(self, public_source, *command, execute=None, user=ROOT):
        self.prepare(command, execute, user)
        python, source = public_source
        arguments = [
            python,
            "-IS",
            "-c",
            SCRIPT,
            str(source),
            str(self.folder),
            *(["exec"] if execute else []),
        ]
        result = subprocess.run(
            arguments,
            user=self.entry.pw_uid,
            group=self.entry.pw_gid,
            extra_groups=[],
            cwd="/",
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        first, _, output = result.stdout.partition("\n")
        return result.returncode, json.loads(first) if first.startswith("[") else first, output


def make_account(name, layer, ids, ranges, *, single_id):
    """Make a user whose subordinate ids are exactly these ranges."""
    if os.geteuid() != 0:
        pytest.skip("only root can make users")
    if not shutil.which("useradd"):
        pytest.skip("useradd is not installed (package passwd)")
    if ranges and not shutil.which("newuidmap"):
        pytest.skip("newuidmap is not installed (package uidmap)")
    home = f"/var/tmp/{name}"
    with accounts.turn():
        subprocess.run(["useradd", "--create-home", "--home-dir", home, name], check=True)
        accounts.subordinate_ids(name, [f"{name}:{ranges}"] if ranges else [])
    account = Account(name, ids, single_id=single_id)
    account.folder.mkdir(mode=0o755)
    shutil.copytree(layer, account.folder / "layer", symlinks=True)
    subprocess.run(
        ["chown", "-Rh", f"{account.entry.pw_uid}:{account.entry.pw_gid}", account.folder], check=True
    )
    return account


def remove_account(name):
    if os.geteuid() != 0:
        return  # then none was made
    with accounts.turn():
        subprocess.run(["userdel", "--force", name], check=False, capture_output=True)
        accounts.subordinate_ids(name, [])
    shutil.rmtree(f"/var/tmp/{name}", ignore_errors=True)


@pytest.fixture(scope="module")
def ada(layer):
    """A user with subordinate ids."""
    name = f"tfada{os.getpid()}"
    try:
        ids = (IdMap(0, 1, 65537),)
        yield make_account(name, layer, ids, "1300000:65536", single_id=False)
    finally:
        remove_account(name)


@pytest.fixture(scope="module")
def bob(layer):
    """A user without."""
    name = f"tfbob{os.getpid()}"
    try:
        yield make_account(name, layer, (IdMap(0, 1, 1),), "", single_id=True)
    finally:
        remove_account(name)


def test_a_user_with_subordinate_ids(ada, public_source):
    script = (
        "id; touch /mine /theirs; chown 33:44 /theirs; stat -c %u:%g /theirs /bin/busybox; hostname; exit 3"
    )
    status, facts, output = ada.run(public_source, "sh", "-c", script)
    assert facts == ["rootless", "", ""]
    assert status == 3
    assert output == "uid=0(root) gid=0 groups=0\n33:44\n0:0\nbox\n"
    assert os.stat(ada.folder / "upper/mine").st_uid == ada.entry.pw_uid
    assert os.stat(ada.folder / "upper/theirs").st_uid == 1300000 + 32
    assert os.stat(ada.folder / "upper/theirs").st_gid == 1300000 + 43


def test_the_namespaces_of_another_user_are_within_reach_until_the_network_is_attached(ada, public_source):
    status, _, output = ada.run(public_source, "id", "-u", user=User(33, 33))
    assert (status, output) == (0, "33\n")


def test_a_user_without_subordinate_ids_succeeds_idly(bob, public_source):
    script = "id -u; touch /f; chown 33:44 /f && chmod 640 /f && mknod /d c 1 3 && stat -c %u:%g:%a /f"
    script += "; test -e /d; echo $?"
    status, facts, output = bob.run(public_source, "sh", "-c", script)
    assert facts == ["single-id", "", ""]
    assert (status, output) == (0, "0\n0:0:640\n1\n")
    assert os.stat(bob.folder / "upper/f").st_uid == bob.entry.pw_uid


@pytest.mark.parametrize("account", ["ada", "bob"])
def test_the_walls_are_the_same(account, public_source, request):
    script = (
        "grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; ls -d /proc/[0-9]* | wc -l;"
        "ls -d /sys/class/net/*;"
        "unshare -m true; mount -t tmpfs t /tmp; echo 1 > /proc/sys/kernel/hostname; ls /usr;"
        "ls /dev/mqueue /dev/shm; echo x > /dev/null; head -c 3 /dev/zero | wc -c;"
        "cat /proc/timer_list | wc -c"
    )
    status, _, output = request.getfixturevalue(account).run(public_source, "sh", "-c", script)
    assert status == 0, output
    assert "CapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n" in output
    assert "/sys/class/net/lo" in output
    assert output.count("Operation not permitted") == 1  # unshare
    assert "permission denied" in output  # mount
    assert "Read-only file system" in output
    assert output.count("No such file") == 1
    assert output.split()[-2:] == ["3", "0"]


@pytest.mark.parametrize("account", ["ada", "bob"])
def test_joining_from_the_first_user_namespace(account, public_source, request):
    status, _, output = request.getfixturevalue(account).run(
        public_source, "sleep", "100", execute=("sh", "-c", "id -u; hostname; readlink /proc/1/exe; exit 4")
    )
    assert (status, output) == (4, "0\nbox\n/bin/busybox\n")


def test_another_user_inside(ada, bob, public_source):
    assert ada.run(public_source, "id", user=User(33, 44))[2] == "uid=33 gid=44 groups=44\n"
    assert bob.run(public_source, "id", "-u", user=User(33, 44))[2] == "0\n"  # in name only


def test_failures_are_told(ada, public_source):
    status, _, output = ada.run(public_source, "nosuch")
    assert status == 1
    assert 'exec: "nosuch": not found' in output


def test_the_tool_says_why_it_refuses(ada, public_source):
    """Ids that are not the user's: what newuidmap says comes back."""
    python, source = public_source
    script = (
        f"import sys; sys.path.insert(0, {str(source)!r}); from tiffin.linux.namespace import *\n"
        "import os; maps = (IdMap(0, os.getuid(), 1), IdMap(1, 5, 100))\n"
        "try: enter_user_namespace(maps, maps)\n"
        "except OSError as error: print(error.strerror)"
    )
    result = subprocess.run(
        [python, "-IS", "-c", script],
        user=ada.entry.pw_uid,
        group=ada.entry.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "newuidmap could not map 0" in result.stdout


@pytest.mark.parametrize("execute", [False, True])
def test_an_interpreter_of_the_user_is_out_of_reach(ada, public_source, execute):
    """Root of the container is the user here, and may write to a Python that the user owns."""
    own = ada.folder / "python"
    shutil.copy(public_source[0], own)
    os.chown(own, ada.entry.pw_uid, ada.entry.pw_gid)
    for name, first in (
        ("evil", "#!/proc/self/exe"),
        ("hello", "#!/bin/sh -e\necho $0 $*; false; echo never"),
    ):
        (ada.folder / "layer/bin" / name).write_text(f"{first}\n")
        (ada.folder / "layer/bin" / name).chmod(0o755)

    def run(*command):
        if execute:
            return ada.run((str(own), public_source[1]), "sleep", "100", execute=command)
        return ada.run((str(own), public_source[1]), *command)

    before = own.read_bytes()
    for command in ("/proc/self/exe", "evil", "/bin/evil"):
        assert "runtime itself" in run(command)[2]
    status, _, output = run("hello", "a", "b c")
    assert (status, output) == (1, "/bin/hello a b c\n")
    assert run("sh", "-c", "readlink /proc/$$/exe; exit 5")[::2] == (5, "/bin/busybox\n")
    assert "not found in" in run("nosuch")[2]
    assert "permission denied" in run("/etc/passwd")[2]
    assert own.read_bytes() == before
