"""Containers in the places where they have to work: each network, and users without any rights.

Every test starts commands as a user would, each a process of its own: on a machine of its own (a new
network and mount namespace) as root, or as a user with one id and nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import time
from pathlib import Path

import pytest

from tiffin.network.tool import find

pytestmark = pytest.mark.live

NOBODY = 65534
PATIENCE = 60

STEP = """
import os, socket, sys, time
from pathlib import Path
from tiffin.engine import awaiting, containers
from tiffin.engine.building.results import store_image
from tiffin.engine.containers import ExecRequest, RunRequest
from tiffin.engine.engine import Engine
from tiffin.engine.logs import logs
from tiffin.engine.settings import Settings
from tiffin.oci.config import ImageConfig, RootFS
from tiffin.oci.reference import Reference
from tiffin.store.home import Home

base = Path(sys.argv[1])
settings = Settings.load({**os.environ, "TIFFIN_HOME": str(base / "home"), "HOME": str(base)})
settings = settings._replace(home=Home(base / "home", base / "run"))

def make_image(engine):
    engine.enter()
    with engine.layers.workspace() as place:
        tree = place / "tree"
        for name in ("bin", "etc", "tmp"):
            (tree / name).mkdir(parents=True)
        (tree / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
        (tree / "bin/busybox").chmod(0o755)
        for name in ("sh", "cat", "echo", "httpd", "id", "ip", "sleep", "tail", "true", "wget"):
            (tree / "bin" / name).symlink_to("busybox")
        info = engine.layers.describe(tree)
        engine.layers.commit(tree, info)
    config = ImageConfig(engine.platform.architecture, "linux", rootfs=RootFS(diff_ids=(info.diff_id,)))
    engine.tags.set(Reference.parse("cellar").tagged(), store_image(engine, config)[0])

def get(port):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                answer = b"".join(iter(lambda: connection.recv(4096), b""))
                if answer:
                    return answer.rpartition(b"\\r\\n\\r\\n")[2].decode()
        except OSError:
            time.sleep(0.05)

SERVE = ("sh", "-c", "echo prediction > /tmp/index.html; exec httpd -f -p 8000 -h /tmp")
"""

TUN = """
mount -t tmpfs none {base}/dev
mknod -m 666 {base}/dev/tun c 10 200
mount --bind {base}/dev/tun /dev/net/tun
"""


def _user_command(base: Path) -> list[str]:
    """A Python with our packages that an ordinary user may execute, started as one."""
    if os.geteuid() != 0:
        return [sys.executable, "-B"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(version, path="/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"needs {version} where an ordinary user can execute it")
    packages = sysconfig.get_path("purelib")
    environment = ["env", f"PYTHONPATH={packages}:{Path(__file__).parents[2] / 'src'}"]
    change = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    command = [*environment, *change, found, "-B"]
    test = subprocess.run([*command, "-c", "import tiffin.engine.engine"], capture_output=True, check=False)
    if test.returncode:
        pytest.skip("an ordinary user may not read this checkout or its packages")
    os.chown(base, NOBODY, NOBODY)
    return command


@pytest.fixture
def place(tmp_path_factory):
    """A directory that an ordinary user can reach, unlike those of the tests of root."""
    if not Path("/bin/busybox").exists():
        pytest.skip("needs busybox-static")
    base = Path("/tmp") / f"tiffin-test-{os.getpid()}-{time.monotonic_ns()}"
    base.mkdir(mode=0o755)
    (base / "dev").mkdir()
    yield base
    subprocess.run(["umount", "-l", str(base / "dev")], capture_output=True, check=False)
    shutil.rmtree(base, ignore_errors=True)


def step(command: list[str], base: Path, script: str) -> str:
    code = STEP + textwrap.dedent(script)
    done = subprocess.run(
        [*command, "-c", code, str(base)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_ordinary_user_without_subordinate_ids_runs_serves_enters_and_stops(place):
    command = _user_command(place)
    step(command, place, "with Engine.open(settings) as engine:\n    make_image(engine)")
    found = step(
        command,
        place,
        """
        with Engine.open(settings) as engine:
            wanted = RunRequest("cellar", ("sh", "-c", "id -u; exit 4"), network="loopback", rm=True)
            code = containers.run(engine, wanted)
        assert code == 4, code
        """,
    )
    assert found == "0\n"
    found = step(
        command,
        place,
        """
        with Engine.open(settings) as engine:
            wanted = RunRequest("cellar", SERVE, name="web", detach=True, network="loopback")
            containers.run(engine, wanted._replace(publish=("127.0.0.1::8000",)))
            [summary] = containers.ps(engine)
            print(get(int(summary.ports[0].split(":")[1].split("-")[0])), end="")
        """,
    )
    assert found == "prediction\n"
    found = step(
        command,
        place,
        """
        with Engine.open(settings) as engine:
            code = containers.exec_(engine, "web", ExecRequest(("sh", "-c", "cat /proc/1/cmdline; exit 6")))
            print(code)
        """,
    )
    assert found.replace("\0", " ") == "httpd -f -p 8000 -h /tmp 6\n"
    found = step(
        command,
        place,
        """
        with Engine.open(settings) as engine:
            containers.stop(engine, ["web"], 1)
            print(awaiting.wait(engine, ["web"]), [one.state for one in containers.ps(engine, True)])
            containers.rm(engine, ["web"])
            print(containers.ps(engine, True), list(engine.home.containers.iterdir()))
        """,
    )
    assert found == "[137] ['exited']\n[] []\n"


NETWORKS = """
import subprocess
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
other = subprocess.Popen(["unshare", "-n", "sleep", "100"])
while os.readlink(f"/proc/{other.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
    time.sleep(0.01)
from tiffin.linux.netlink import Netlink
from tiffin.linux.netns import within
outside = os.open(f"/proc/{other.pid}/ns/net", 0)
host = Netlink()
host.add_veth("uplink", "eth0", outside, 1500, bytes.fromhex("020000000009"))
uplink = host.link("uplink").number
host.add_address(uplink, "203.0.113.1", 24)
host.set_up(uplink)
with within(outside, Netlink) as inside:
    inside.add_address(inside.link("eth0").number, "203.0.113.2", 24)
    inside.set_up(inside.link("eth0").number)
host.add_default_route("203.0.113.2", uplink)
enter = ["nsenter", f"--net=/proc/{other.pid}/ns/net"]
server = subprocess.Popen([*enter, "/bin/busybox", "httpd", "-f", "-p", "7000", "-h", str(base)])
(base / "index.html").write_text("beyond")
time.sleep(0.3)
try:
    with Engine.open(settings, emit=lambda event: print("notice:", event)) as engine:
        make_image(engine)
        script = "wget -qO- http://203.0.113.2:7000/; tail -n1 /etc/hosts; " + SERVE[2]
        wanted = RunRequest("cellar", ("sh", "-c", script), name="web", detach=True, network=sys.argv[2])
        containers.run(engine, wanted._replace(publish=("8000",), hostname="web"))
        [summary] = containers.ps(engine)
        print(get(int(summary.ports[0].split(":")[1].split("-")[0])), end="")
        for _, data in logs(engine, "web"):
            print(data.decode(), end="")
        containers.rm(engine, ["web"], force=True)
finally:
    server.kill(); server.wait(); other.kill(); other.wait()
"""


@pytest.mark.parametrize(
    ("network", "tool", "expected"),
    [
        ("default", "nft", "prediction\nbeyond10.88.0.2\tweb\n"),
        ("pasta", "pasta", "prediction\nbeyond203.0.113.1\tweb\n"),
    ],
)
def test_root_serves_and_reaches_out_by_every_network(place, network, tool, expected):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not find(tool):
        pytest.skip(f"needs {tool}")
    script = place / "step.py"
    script.write_text(STEP + NETWORKS)
    begin = TUN.format(base=place) + f'exec "$0" -B {script} {place} {network}'
    command = ["unshare", "-n", "-m", "sh", "-ec", begin, sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected
