"""Whole commands on every rung: as root, as a user with subordinate ids, and as one without."""

import functools
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.live.dockerd import CLIENT, DAEMON, Docker
from tests.live.pod import Pod
from tests.suites import accounts, turns
from tests.suites import busybox as programs

PROJECT = Path(__file__).parents[2]
SUBORDINATE = 300_000


class Tiffin(NamedTuple):
    """The command, as one account, with a store of its own."""

    rung: str
    command: tuple[str, ...]
    env: dict[str, str]
    home: Path

    @property
    def store(self):
        return Path(self.env.get("TIFFIN_HOME") or self.home / ".local/share/tiffin")

    def __call__(self, *arguments, check=True, cwd=None, env=None, **options):  # noqa: ANN204
        options.setdefault("capture_output", True)
        done = subprocess.run(
            [*self.command, *map(str, arguments)],
            cwd=cwd or self.home,
            env={**self.env, **(env or {})},
            text=options.pop("text", True),
            timeout=options.pop("timeout", 300),
            check=False,
            **options,
        )
        if check and done.returncode != 0:
            pytest.fail(
                f"tiffin {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def popen(self, *arguments, **options):
        return subprocess.Popen(
            [*self.command, *map(str, arguments)], cwd=self.home, env=self.env, text=True, **options
        )


@contextmanager
def account(name, *, subordinate):
    """A new user `name`, with or without subordinate ids, until the end."""
    with accounts.turn():
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
        accounts.subordinate_ids(name, [f"{name}:{SUBORDINATE}:65536"] if subordinate else [])
    entry = pwd.getpwnam(name)
    yield entry
    accounts.end_processes(entry.pw_uid)
    with accounts.turn():
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)
        accounts.subordinate_ids(name, [])


def install(python, place):
    """Install the package as it is into a virtual environment `venv` there."""
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([python, "-m", "venv", "--without-pip", place / "venv"], check=True)
    pip = [sys.executable, "-m", "pip", "--python", place / "venv/bin/python", "install"]
    subprocess.run([*pip, "--quiet", "--disable-pip-version-check", PROJECT], check=True)
    (place / "whole").touch()


@pytest.fixture(scope="session")
def readable_tiffin(tmp_path_factory):
    """The package as it is installed, where every account can start it; our own may lie in /root."""
    if os.geteuid() != 0:
        yield (str(Path(sys.executable).with_name("tiffin")),)
        return
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is no Python for ordinary users in /usr/bin")
    # Not in pytest's own folder, which the next run closes for others again.
    place = Path(tempfile.mkdtemp(prefix="tiffin-installed-", dir="/var/tmp"))
    place.chmod(0o755)
    with turns.turn("installed"):
        model = turns.together(tmp_path_factory.getbasetemp()) / "installed"
        if not (model / "whole").exists():
            install(python, model)
    # Each process of tests has one of its own, by whose path it knows its processes.
    shutil.copytree(model / "venv", place / "venv", symlinks=True)
    program = place / "venv/bin/tiffin"
    program.write_text(program.read_text().replace(str(model), str(place)))
    yield (str(place / "venv/bin/tiffin"),)
    shutil.rmtree(place)


@pytest.fixture(scope="session", params=["root", "rootless", "single-id"])
def tiffin(request, readable_tiffin, tmp_path_factory):
    rung = request.param
    if os.geteuid() != 0:
        pytest.skip("accounts for the rungs can only be made by root")
    if rung == "pod":  # for tests that ask for it, and for a Docker
        home = tmp_path_factory.mktemp("pod")
        pod = Pod(request.getfixturevalue("docker"), home, readable_tiffin)
        yield pod
        pod.stop()
        return
    keep = ("PATH", "LANG", "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    if rung in ("root", "chroot"):
        home = tmp_path_factory.mktemp("home")
        env |= {"HOME": str(home), "TIFFIN_HOME": str(home / "store")}
        # "chroot" is for tests that ask for it; see `pod` for the same in a container of Docker.
        lowered = (sys.executable, str(PROJECT / "tests/suites/lowered.py")) if rung == "chroot" else ()
        yield Tiffin(rung, (*tunnel(home), *lowered, *readable_tiffin), env, home)
        return
    if rung == "traced":  # for tests that ask for it; see `pod` for a place where there is no other
        env |= {"TIFFIN_ISOLATION": rung}
    with account(f"tiffin-{rung}-{os.getpid()}", subordinate=rung == "rootless") as entry:
        home = Path(entry.pw_dir) / f"test-{os.getpid()}"
        home.mkdir()
        os.chown(home, entry.pw_uid, entry.pw_gid)
        env |= {"HOME": str(home)}
        switch = ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups")
        yield Tiffin(rung, (*tunnel(home), *switch, *readable_tiffin), env, home)
        shutil.rmtree(home, ignore_errors=True)


def tunnel(folder):
    """What to start a command with so that every user may open /dev/net/tun, as udev has it everywhere."""
    device = Path("/dev/net/tun")
    if not device.exists() or device.stat().st_mode & 0o006 == 0o006:
        return ()
    node = folder / "tun"
    if not node.exists():
        os.mknod(node, 0o666 | stat.S_IFCHR, device.stat().st_rdev)
        node.chmod(0o666)
    bind = 'mount --bind "$0" /dev/net/tun && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", bind, str(node))


@pytest.fixture
def folder(tiffin, request):
    """A new folder that belongs to the account."""
    place = tiffin.home / request.node.name.replace("/", "_")[:80]
    place.mkdir()
    owner = tiffin.home.stat()
    os.chown(place, owner.st_uid, owner.st_gid)
    return place


@pytest.fixture(scope="session")
def busybox(tiffin):
    """The name of an image with a shell: nothing but a static busybox and its links."""
    if not programs.PROGRAM.exists():
        pytest.skip("the package busybox-static is not installed")
    place = tiffin.home / "busybox"
    files = place / "files"
    programs.install(files / "bin", programs.applets())
    (files / "etc").mkdir()
    (files / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n")
    (files / "etc/group").write_text("root:x:0:\nanna:x:1000:\nwine:x:2000:anna\n")
    (files / "tmp").mkdir()
    (files / "tmp").chmod(0o1777)
    (files / "root").mkdir()
    (place / "Dockerfile").write_text('FROM scratch\nCOPY files /\nCMD ["sh"]\n')
    owner = tiffin.home.stat()
    for path in [place, *place.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    tiffin("build", "-q", "-t", "busybox", place)
    return "busybox"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what needs a Docker of our own: those tests run in one process, so that one is enough."""
    for item in items:
        if "docker" in item.fixturenames:
            item.add_marker("docker")


@pytest.fixture(scope="session")
def docker(tmp_path_factory):
    """A Docker of our own, until the end of all tests."""
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    for program in (DAEMON, CLIENT):
        if not program.exists():
            pytest.skip(f"{program} of the package docker.io is not installed")
    with Docker(tmp_path_factory.mktemp("docker")).running() as engine:
        yield engine


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """What the first rung made of something: `first(name, data)`; other processes may test the others."""
    return functools.partial(turns.first, tmp_path_factory.mktemp("together"))


@pytest.fixture
def machine(tmp_path):
    """Machines by name, each with a store of its own in this process."""
    from tests.live.machine import Machine

    made = []

    def new(name):
        made.append(Machine(tmp_path, name))
        return made[-1]

    yield new
    for each in made:
        each.engine.__exit__(None, None, None)
