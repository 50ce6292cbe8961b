"""A real base from this machine's own mirror: it needs the network, and what runs in it needs root."""

import io
import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tiffin.base.bootstrap import bootstrap
from tiffin.base.machine import Machine
from tiffin.base.request import BaseRequest, NewLayer
from tiffin.errors import NotFoundError, UnavailableError
from tiffin.events import ignore
from tiffin.layer.describe import describe
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.store.blobs import BlobStore
from tiffin.store.home import Home

pytestmark = pytest.mark.live

# The chroot gets what a container would have; the mounts go with the namespace.
IN_CHROOT = 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"'
ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


def in_chroot(root, *argv, env=ENV, **options):
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--net", "--ipc", "--uts"]
    return subprocess.run(
        [*namespaces, "sh", "-c", IN_CHROOT, str(root), *argv], env=env, check=False, **options
    )


def output(root, *argv):
    done = in_chroot(root, *argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Workshop:
    """A store of its own, and bases made with it."""

    def __init__(self, place) -> None:
        self.place = place
        home = Home(place / "home", place / "run")
        home.create()
        self.blobs = BlobStore(home)
        self.machine = Machine.load(os.environ)
        self.log = []

    def make(self, name, owners=None, **settings):
        def make_layer():
            (self.place / name).mkdir()
            return NewLayer(self.place / name, owners or TrueOwners())

        def run_in(directory, argv, env):
            done = in_chroot(directory, *argv, env=env, stdin=subprocess.DEVNULL, capture_output=True)
            self.log.append((done.stdout + done.stderr).decode())
            return done.returncode

        request = BaseRequest(machine=self.machine, now=time.time(), **settings)
        return bootstrap(request, blobs=self.blobs, make_layer=make_layer, run_in=run_in, emit=ignore)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory, verifiers):
    return Workshop(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def runtime(workshop):
    if os.geteuid() != 0:
        pytest.skip("files of other owners and chroot need root")
    try:
        return workshop.make("runtime")
    except (NotFoundError, UnavailableError) as error:
        pytest.skip(f"no package source of this machine can be used: {error}")


@pytest.fixture
def copy(runtime, tmp_path):
    """A copy of the base that may be written to."""
    target = tmp_path / "copy"
    subprocess.run(["cp", "-a", "--reflink=auto", runtime.layer.path, target], check=True)
    return target


def test_the_same_from_the_lock_without_the_network(workshop, runtime):
    again = workshop.make("again", lock=runtime.lock, offline=True)
    first = describe(runtime.layer.path, TrueOwners())
    assert describe(again.layer.path, TrueOwners()).diff_id == first.diff_id
    assert again.config == runtime.config
    assert first.size < 80_000_000


def test_the_same_where_there_is_only_one_id(workshop, runtime):
    recorded = workshop.make("recorded", owners=RecordedOwners(), lock=runtime.lock, offline=True)
    assert {path.lstat().st_uid for path in recorded.layer.path.rglob("*")} == {0}
    assert {path.lstat().st_gid for path in recorded.layer.path.rglob("*")} == {0}
    expected = describe(runtime.layer.path, TrueOwners()).diff_id
    assert describe(recorded.layer.path, RecordedOwners()).diff_id == expected


def test_python_has_its_libraries(copy):
    code = (
        "import asyncio, bz2, ctypes, ctypes.util, curses, email\n"
        "import lzma, readline, sqlite3, ssl, zlib, zoneinfo\n"
        "assert len(ssl.create_default_context().get_ca_certs()) > 100\n"
        "assert ctypes.util.find_library('gomp') == 'libgomp.so.1'\n"
        "assert zoneinfo.ZoneInfo('Europe/Madrid')\n"
        "ctypes.CDLL('libstdc++.so.6')\n"
        "print('fine', sqlite3.connect(':memory:').execute('select 40+2').fetchone()[0])\n"
    )
    assert output(copy, "python", "-c", code) == "fine 42\n"


def test_every_program_finds_its_libraries(copy):
    script = (
        "for f in /usr/bin/* /usr/sbin/*; do ldd $f 2>/dev/null | grep 'not found' && echo $f; done; true"
    )
    assert output(copy, "sh", "-c", script) == ""


def wheel():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("tintool.py", "def main():\n    print('tin')\n")
        place = "tintool-1.0.dist-info"
        archive.writestr(f"{place}/METADATA", "Metadata-Version: 2.1\nName: tintool\nVersion: 1.0\n")
        archive.writestr(f"{place}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{place}/entry_points.txt", "[console_scripts]\ntintool = tintool:main\n")
        archive.writestr(f"{place}/RECORD", "")
    return out.getvalue()


def test_pip_installs_as_root_and_its_programs_are_found(copy):
    (copy / "tmp/tintool-1.0-py3-none-any.whl").write_bytes(wheel())
    output(copy, "pip", "install", "--no-cache-dir", "--no-index", "/tmp/tintool-1.0-py3-none-any.whl")
    assert output(copy, "tintool") == "tin\n"
    assert output(copy, "sh", "-c", "command -v tintool") == "/usr/local/bin/tintool\n"
    assert len(list(copy.glob("usr/local/lib/python3*/dist-packages/tintool.py"))) == 1
    assert "tintool" in output(copy, "python3", "-m", "pip", "list")


def test_virtual_environments_can_be_made(copy):
    output(copy, "python", "-m", "venv", "/opt/venv")
    assert "/opt/venv/lib" in output(copy, "/opt/venv/bin/pip", "--version")


def test_an_ordinary_user_can_be_made(copy):
    output(copy, "useradd", "--create-home", "app")
    assert output(copy, "id", "app") == "uid=1000(app) gid=1000(app) groups=1000(app)\n"
    assert (copy / "home/app").is_dir()


def test_the_linkers_cache_is_the_one_that_ldconfig_would_make(copy):
    def listed():
        return sorted(line for line in output(copy, "ldconfig", "-p").splitlines() if "=>" in line)

    ours = listed()
    output(copy, "ldconfig")
    assert ours == listed()


def test_the_certificates_are_the_ones_that_openssl_would_link(copy):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificates = copy / "etc/ssl/certs"
    ours = {path.name for path in certificates.glob("*.[0-9]")}
    for link in certificates.glob("*.[0-9]"):
        link.unlink()
    for link in certificates.glob("*.pem"):  # absolute links would lead to this machine's own
        target = copy / str(link.readlink()).lstrip("/")
        link.unlink()
        shutil.copy(target, link)
    subprocess.run(["openssl", "rehash", certificates], check=True)
    theirs = {path.name for path in Path(certificates).glob("*.[0-9]")}
    assert ours == theirs


def test_a_build_base_has_a_configured_dpkg_and_apt(workshop, runtime):
    result = workshop.make("build", flavour="build")
    root = result.layer.path
    assert output(root, "dpkg", "--audit") == ""
    states = set(output(root, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}\n").split())
    assert states == {"ii"}
    assert "0 upgraded, 0 newly installed" in output(root, "apt-get", "--simulate", "upgrade")
    assert "/usr/lib/python3/dist-packages/pip" in output(root, "pip", "--version")
    assert result.lock.sources[0].uri in (root / "etc/apt/sources.list.d/base.sources").read_text()
    assert not list(root.rglob("*.deb"))
    assert not list(root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"))
