"""The embedded runtime beneath Docker, and by hand (root)."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.live import terminal
from tests.live.dockerd import DAEMON, Docker
from tests.suites import busybox

pytestmark = [pytest.mark.live, pytest.mark.skipif(os.geteuid() != 0, reason="these need root")]


@pytest.fixture(scope="module")
def program(readable_tiffin):
    """The runtime as engines call it."""
    return str(Path(readable_tiffin[0]).with_name("tiffin-oci"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A root filesystem: busybox and its names."""
    place = tmp_path_factory.mktemp("files")
    place.chmod(0o755)
    applets = "sh cat echo head hostname id sleep stty test touch tty wc"
    busybox.install(place / "bin", applets.split())
    return place


@pytest.fixture
def docker(tmp_path, program, files):
    if not DAEMON.exists():
        pytest.skip("docker.io is not installed")
    tar = subprocess.run(["tar", "-C", files, "-c", "."], capture_output=True, check=True).stdout
    (tmp_path / "files.tar").write_bytes(tar)
    options = ("--add-runtime", f"tiffin={program}", "--default-runtime", "tiffin")
    with Docker(tmp_path).running(*options) as engine:
        engine("import", tmp_path / "files.tar", "box")
        yield engine


def test_docker_runs_its_containers_by_it(docker):
    """All that Docker asks of a runtime: run, limits, devices, exec, pause, kill, a terminal."""
    options = (
        "-h",
        "name",
        "-m",
        "64m",
        "--pids-limit",
        "50",
        "--device",
        "/dev/zero:/dev/wine",
        "--read-only",
    )
    script = "hostname; id -u; head -c 2 /dev/wine | wc -c; touch /x 2>/dev/null || echo denied; exit 4"
    done = docker.run(*options, "--tmpfs", "/t", "box", "sh", "-c", script, check=False)
    assert (done.stdout.split(), done.returncode) == (["name", "0", "2", "denied"], 4), done.stderr
    assert docker.run("box", "nosuch", check=False).returncode == 127
    docker("run", "-d", "--name", "kept", "--network", "none", "--cap-add", "ALL", "box", "sleep", "1000")
    done = docker("exec", "-u", "5", "kept", "sh", "-c", "id -u; exit 3", check=False)
    assert (done.stdout, done.returncode) == ("5\n", 3)
    docker("pause", "kept")
    assert json.loads(docker("inspect", "kept").stdout)[0]["State"]["Status"] == "paused"
    docker("unpause", "kept")
    docker("update", "--memory", "48m", "--memory-swap", "96m", "kept")
    limits = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
    assert docker("exec", "kept", "sh", "-c", limits, check=False).stdout == f"{48 << 20}\n"
    assert "sleep 1000" in docker("top", "kept").stdout
    docker("kill", "kept")
    assert docker("wait", "kept").stdout == "137\n"
    docker("rm", "kept")
    command = [
        docker.inside(Path("/usr/bin/docker")),
        "--host",
        docker.socket,
        "run",
        "--rm",
        "-it",
        "--network",
        "none",
    ]
    screen = terminal.Terminal(
        [*map(str, command), "box", "sh", "-c", "tty; test -c /dev/console; exit $?"], env=docker.env
    )
    screen.expect("/dev/pts/0")
    assert screen.finish()[0] == 0


@pytest.fixture
def oci(program, files, tmp_path):
    """Calls the runtime, with containers of its own; `bundle` has one that sleeps."""
    bundle = tmp_path / "bundle"
    shutil.copytree(files, bundle / "rootfs", symlinks=True)
    log = tmp_path / "log"

    def call(*words, check=True, own=("--log", str(log), "--log-format", "json"), **options):
        command = [program, "--root", str(tmp_path / "state"), *own, *words]
        with (tmp_path / "output").open("w+") as output:  # a pipe would stay open as long as the container
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=bundle,
                check=False,
                **options,
            )
            output.seek(0)
            text = output.read()
        assert not check or done.returncode == 0, text
        return done.returncode, text

    call.bundle, call.log = bundle, log
    yield call
    for name in call("list", "--quiet")[1].split():
        call("delete", "--force", name)


def config(*command):
    kinds = ("mount", "pid", "ipc", "uts", "network")
    return {
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": command, "env": ["PATH=/bin"]},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": kind} for kind in kinds]},
    }


def configure(oci, *command):
    (oci.bundle / "config.json").write_text(json.dumps(config(*command)))


def test_its_verbs(oci):
    name = f"verbs-{os.getpid()}"
    configure(oci, "sh", "-c", "echo begun; exec sleep 1000")
    oci("create", "--pid-file", str(oci.bundle / "pid"), name)
    state = json.loads(oci("state", name)[1])
    assert (state["status"], state["pid"]) == ("created", int((oci.bundle / "pid").read_text()))
    oci("start", name)
    assert json.loads(oci("list", "--format", "json")[1])[0]["status"] == "running"
    assert json.loads(oci("ps", "--format", "json", name)[1]) == [state["pid"]]
    code, text = oci("exec", "--user", "7", name, "sh", "-c", "id -u; exit 6", check=False)
    assert (code, text) == (6, "7\n")
    oci("pause", name)
    assert name in oci("list")[1]
    assert "paused" in oci("list")[1]
    oci("resume", name)
    assert oci("delete", name, check=False)[0] == 1
    oci("kill", name, "KILL")
    oci("delete", "--force", name)
    oci("delete", "--force", name)  # nothing to do
    assert oci("list", "--quiet")[1] == ""
    assert json.loads(oci("features")[1])["linux"]["cgroup"]["v1"] is True
    configure(oci, "sh", "-c", "echo out; exit 5")
    assert oci("run", name, check=False) == (5, "out\n")


def test_what_fails_stands_in_the_log_too(oci):
    configure(oci, "nosuch")
    code, text = oci("run", "fails", check=False)
    assert code == 127
    assert 'exec: "nosuch": not found' in text
    entry = json.loads(oci.log.read_text())
    assert entry["level"] == "error"
    assert entry["msg"].endswith("executable file not found")  # by which Docker knows it
    code, text = oci("--systemd-cgroup", "list", check=False, own=())
    assert code == 1
    assert "cgroupfs" in text
    for words in (("dance",), ("state",), ("exec", "fails")):
        assert oci(*words, check=False)[0] == 1
    assert "Usage:  tiffin oci create [OPTIONS] ID" in oci("create", "--help")[1]


def test_it_runs_in_the_user_namespace_of_an_engine_without_root(program, files):
    """As below Podman without root: one id, no cgroups of its own, devices of this machine."""
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        place = Path(folder)
        shutil.copytree(files, place / "rootfs", symlinks=True)
        document = config(
            "sh", "-c", "cat /proc/self/uid_map; echo x > /dev/null && echo written > /f; exit 7"
        )
        document["mounts"].append({"destination": "/dev", "type": "tmpfs", "options": ["mode=755"]})
        document["linux"]["devices"] = [{"path": "/dev/full", "type": "c", "major": 1, "minor": 7}]
        document["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
        (place / "config.json").write_text(json.dumps(document))
        for path in [place, *place.rglob("*")]:
            os.chown(path, 65534, 65534, follow_symlinks=False)
        done = subprocess.run(
            [*nobody, "unshare", "--user", "--map-root-user", "--mount", program, "run", "rootless"],
            cwd=place,
            env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": folder},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout.split(), done.returncode) == (["0", "65534", "1"], 7), done.stderr
        assert (place / "rootfs/f").read_text() == "written\n"
        assert list((place / "tiffin-runtime").iterdir()) == []
