"""Real containers on this machine: a store of its own, an image of busybox, a network of loopback alone."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from tests.suites import busybox

from tiffin.container import state
from tiffin.container.record import Records
from tiffin.engine import attributes, awaiting, containers, volumes
from tiffin.engine.ancestry import ancestors
from tiffin.engine.building.results import store_image
from tiffin.engine.committing import Committed, commit, import_
from tiffin.engine.containers import ExecRequest, RunRequest
from tiffin.engine.copying import copy_out
from tiffin.engine.creation import create
from tiffin.engine.engine import Engine
from tiffin.engine.logs import logs
from tiffin.engine.lookup import find_name, need_image
from tiffin.engine.processes import top
from tiffin.engine.request import Client
from tiffin.engine.settings import Settings
from tiffin.engine.standing import control_of, directory_of
from tiffin.engine.written import diff, export
from tiffin.errors import ConflictError, InvalidError, NotFoundError, TiffinError
from tiffin.linux import files
from tiffin.linux.process import Identity
from tiffin.oci.config import ContainerConfig, ImageConfig, RootFS
from tiffin.oci.reference import Reference
from tiffin.store.home import Home

pytestmark = pytest.mark.live

PATIENCE = 30
CONFIG = ContainerConfig(
    cmd=("sh",),
    env=("FROM_IMAGE=1", "BOTH=image"),
    exposed_ports={"8000/tcp": {}},
    volumes={"/seeded": {}},
    labels={"maker": "vineyard"},
)


def _tree(place: Path) -> None:
    for directory in ("etc", "tmp", "seeded", "home/app"):
        (place / directory).mkdir(parents=True)
    busybox.install(place / "bin", busybox.applets())
    (place / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
    (place / "etc/group").write_text("root:x:0:\napp:x:1000:\nwine:x:1001:app\n")
    (place / "seeded/model").write_text("of the image")
    (place / "seeded/model").chmod(0o640)
    os.chown(place / "seeded/model", 1000, 1001)
    (place / "not-a-program").write_text("text")


def make_image(engine: Engine, name: str = "cellar") -> None:
    with engine.layers.workspace() as place:
        _tree(place / "tree")
        info = engine.layers.describe(place / "tree")
        engine.layers.commit(place / "tree", info)
    machine = engine.platform
    config = ImageConfig(
        machine.architecture, "linux", config=CONFIG, rootfs=RootFS(diff_ids=(info.diff_id,))
    )
    descriptor, _ = store_image(engine, config)
    engine.tags.set(Reference.parse(name).tagged(), descriptor)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not busybox.PROGRAM.exists():
        pytest.skip("needs busybox-static")
    base = tmp_path_factory.mktemp("engine")
    settings = Settings.load({**os.environ, "TIFFIN_HOME": str(base / "home")})
    settings = settings._replace(home=Home(base / "home", base / "run"))
    with Engine.open(settings) as opened:
        make_image(opened)
        yield opened
        for summary in containers.ps(opened, all_=True):
            containers.rm(opened, [summary.id], force=True)


def request(*command: str, **more) -> RunRequest:
    return RunRequest("cellar", command, **{"network": "loopback", **more})


def shell(script: str, **more) -> RunRequest:
    return request("sh", "-c", script, **more)


def detached(engine, script: str, **more) -> str:
    found: list[str] = []
    assert containers.run(engine, shell(script, detach=True, **more), announce=found.append) == 0
    return found[0]


def output_of(engine, name, **more) -> str:
    return b"".join(data for _, data in logs(engine, name, **more)).decode()


def until(condition, what="it"):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come true")
        time.sleep(0.02)


# --- foreground -----------------------------------------------------------------------------------------


def test_the_exit_code_and_both_streams_are_passed_on(engine, capfd):
    code = containers.run(engine, shell("echo out; echo err >&2; exit 7", rm=True))
    assert (code, *capfd.readouterr()) == (7, "out\n", "err\n")


@pytest.mark.parametrize(
    ("command", "status"),
    [(("no-such-program",), 127), (("/bin/none",), 127), (("/not-a-program",), 126), (("/etc",), 126)],
)
def test_what_cannot_be_started_says_so_by_its_status(engine, command, status):
    before = len(containers.ps(engine, all_=True))
    with pytest.raises(TiffinError) as caught:
        containers.run(engine, request(*command, rm=True))
    assert caught.value.exit_status == status
    with pytest.raises(TiffinError) as caught:
        containers.run(engine, request(*command, rm=True, detach=True))
    assert caught.value.exit_status == status
    assert len(containers.ps(engine, all_=True)) == before


def test_a_container_killed_by_a_signal_exits_as_a_shell_says_it(engine, capfd):
    assert containers.run(engine, shell("(sleep 0.1; kill -9 1) & sleep 1; kill -9 $$", rm=True)) in (0, 137)
    name = detached(engine, "sleep 60", name="doomed")
    containers.kill(engine, ["doomed"])
    assert awaiting.wait(engine, [name]) == [137]
    containers.rm(engine, [name])


def test_environment_of_image_request_and_file(engine, capfd, tmp_path):
    file = tmp_path / "env"
    file.write_text('# comment\nQUOTED="as it is"\nBOTH=file\n')
    wanted = shell(
        "env | sort",
        rm=True,
        env=("BOTH=option", "GIVEN=a=b"),
        env_files=(file,),
        hostname="cellar-1",
        user="app",
    )
    containers.run(engine, wanted)
    found = capfd.readouterr().out.splitlines()
    for line in (
        "BOTH=option",
        "FROM_IMAGE=1",
        "GIVEN=a=b",
        "HOME=/home/app",
        "HOSTNAME=cellar-1",
        'QUOTED="as it is"',
    ):
        assert line in found
    assert any(line.startswith("PATH=/usr/local/sbin:") for line in found)


def test_user_workdir_hostname_and_files_of_etc(engine, capfd):
    name = []
    wanted = shell(
        "id -u; id -g; id -G; pwd; hostname; cat /etc/hostname; tail -n1 /etc/hosts",
        user="app",
        workdir="/made/up",
        rm=True,
    )
    containers.run(engine, wanted, announce=name.append)
    short = name[0][:12]
    expected = f"1000\n1000\n1000 1001\n/made/up\n{short}\n{short}\n127.0.0.1\t{short}\n"
    assert capfd.readouterr().out == expected


def test_entrypoint_replaces_the_images_command_too(engine, capfd):
    assert (
        containers.run(engine, RunRequest("cellar", ("a", "b"), entrypoint="echo", network="none", rm=True))
        == 0
    )
    assert capfd.readouterr().out == "a b\n"
    with pytest.raises(InvalidError, match="no command"):
        containers.run(engine, RunRequest("cellar", (), entrypoint="", network="none", rm=True))


def test_isolation_root_is_nobody_and_the_host_is_out_of_sight(engine, capfd):
    containers.run(
        engine, shell("cat /proc/self/uid_map; ls /proc | grep -c '^[0-9]'; ip link | grep -c :", rm=True)
    )
    mapping, processes, links = capfd.readouterr().out.splitlines()
    assert mapping.split()[0] == "0"
    assert int(mapping.split()[1]) >= 100000
    assert int(processes) <= 5
    assert int(links) >= 1


def test_standard_input_is_empty_unless_it_was_asked_for(engine, capfd, monkeypatch):
    reader, writer = os.pipe()
    os.write(writer, b"from the pipe\n")
    os.close(writer)
    saved = os.dup(0)
    os.dup2(reader, 0)
    try:
        containers.run(engine, request("cat", rm=True))
        assert capfd.readouterr().out == ""
        containers.run(engine, request("cat", rm=True, interactive=True))
        assert capfd.readouterr().out == "from the pipe\n"
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reader)


def test_a_large_file_goes_in_and_comes_out_whole(engine, tmp_path):
    source, sink = tmp_path / "in", tmp_path / "out"
    source.write_bytes(os.urandom(3_000_000))
    code = driver(
        engine, "RunRequest('cellar', ('cat',), network='none', interactive=True, rm=True)", source, sink
    )
    assert code == 0
    assert sink.read_bytes() == source.read_bytes()


def driver(engine, wanted: str, source: Path, sink: Path) -> int:
    """Run a foreground container in a process of its own; return its exit code."""
    with source.open("rb") as given, sink.open("wb") as taken:
        return subprocess.run(
            driver_command(engine, wanted), stdin=given, stdout=taken, timeout=PATIENCE, check=False
        ).returncode


def driver_command(engine, wanted: str) -> list[str]:
    home = engine.home
    code = f"""
        import os, sys
        from pathlib import Path
        from tiffin.engine import awaiting, containers
        from tiffin.engine.containers import ExecRequest, RunRequest
        from tiffin.engine.engine import Engine
        from tiffin.engine.settings import Settings
        from tiffin.store.home import Home
        home = Home(Path({str(home.root)!r}), Path({str(home.run)!r}))
        settings = Settings.load(dict(os.environ))._replace(home=home)
        with Engine.open(settings, emit=lambda event: print(event, file=sys.stderr)) as engine:
            wanted = {wanted}
            if isinstance(wanted, RunRequest):
                sys.exit(containers.run(engine, wanted))
            sys.exit(containers.exec_(engine, *wanted))
    """
    return [sys.executable, "-c", textwrap.dedent(code)]


# --- signals and terminals ------------------------------------------------------------------------------

TRAP = 'trap "echo got; n=$((n+1))" INT; trap "exit 5" TERM; n=0; echo ready; while :; do sleep 0.05; done'


def test_ctrl_c_reaches_the_container_exactly_once_and_its_exit_code_comes_back(engine):
    """The driver is the foreground process of a terminal, as in a shell; the terminal sends the signal."""
    wanted = f"RunRequest('cellar', ('sh', '-c', {TRAP!r}), network='none', rm=True)"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, driver_command(engine, wanted))
    seen = _read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    seen += _read_until(terminal, b"got")
    time.sleep(0.5)
    os.kill(pid, signal.SIGTERM)
    seen += _read_rest(terminal)
    _, status = os.waitpid(pid, 0)
    assert seen.count(b"got") == 1
    assert os.waitstatus_to_exitcode(status) == 5


def test_the_third_request_to_end_kills(engine):
    script = "trap : INT; echo ready; while :; do sleep 0.05; done"
    wanted = f"RunRequest('cellar', ('sh', '-c', {script!r}), network='none', rm=True)"
    process = subprocess.Popen(driver_command(engine, wanted), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"ready\n"
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert process.wait(PATIENCE) == 137
        assert b"once more, and it is killed" in process.stderr.read()


def test_a_terminal_is_raw_has_the_size_and_is_restored(engine):
    script = (
        "tty; stty size; read x; echo got-$x; "
        "trap 'stty size; exit 3' WINCH; echo set; while :; do sleep 0.05; done"
    )
    command = f"('sh', '-c', {script!r}), network='none', rm=True, tty=True, interactive=True"
    wanted = f"RunRequest('cellar', {command})"
    import fcntl
    import struct
    import termios

    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        os.execv(sys.executable, driver_command(engine, wanted))
    seen = _read_until(terminal, b"33 77")
    raw = termios.tcgetattr(terminal)[3] & (termios.ECHO | termios.ICANON)
    os.write(terminal, b"hello\r")
    seen += _read_until(terminal, b"set")
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 88, 0, 0))
    seen += _read_until(terminal, b"44 88")
    seen += _read_rest(terminal)
    _, status = os.waitpid(pid, 0)
    assert b"/dev/pts/0" in seen
    assert b"got-hello" in seen
    assert raw == 0
    assert os.waitstatus_to_exitcode(status) == 3


def test_the_terminal_is_restored_after_the_container(engine):
    wanted = "RunRequest('cellar', ('true',), network='none', rm=True, tty=True, interactive=True)"
    import termios

    main, secondary = pty.openpty()
    before = termios.tcgetattr(secondary)
    process = subprocess.Popen(driver_command(engine, wanted), stdin=secondary, stdout=secondary)
    assert process.wait(PATIENCE) == 0
    assert termios.tcgetattr(secondary) == before
    os.close(main)
    os.close(secondary)


def _read_until(terminal: int, text: bytes) -> bytes:
    seen = b""
    end = time.monotonic() + PATIENCE
    while text not in seen:
        if not select.select([terminal], [], [], max(end - time.monotonic(), 0))[0]:
            pytest.fail(f"{text!r} did not come, but {seen!r}")
        try:
            seen += os.read(terminal, 4096)
        except OSError:
            pytest.fail(f"{text!r} did not come before the end, but {seen!r}")
    return seen


def _read_rest(terminal: int) -> bytes:
    seen = b""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 4096):
            seen += data
    os.close(terminal)
    return seen


# --- detached -------------------------------------------------------------------------------------------


def test_a_detached_container_lives_logs_and_stops_by_its_signal(engine):
    name = detached(
        engine, 'trap "echo bye; exit 3" TERM; echo hello; while :; do sleep 0.05; done', name="quick"
    )
    until(lambda: "hello\n" in output_of(engine, "quick"))
    [summary] = [found for found in containers.ps(engine) if found.id == name]
    assert (summary.name, summary.state, summary.image) == ("quick", "running", "cellar")
    containers.stop(engine, ["quick"])
    assert output_of(engine, "quick") == "hello\nbye\n"
    [summary] = [found for found in containers.ps(engine, all_=True) if found.id == name]
    assert (summary.state, summary.exit_code) == ("exited", 3)
    assert summary.finished >= summary.started
    containers.stop(engine, ["quick"])  # what is stopped stays so, without complaint
    containers.rm(engine, ["quick"])
    with pytest.raises(NotFoundError):
        containers.inspect(engine, ["quick"])


def test_what_ignores_the_stop_signal_is_killed_after_the_timeout(engine):
    name = detached(engine, "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    until(lambda: "ready" in output_of(engine, name))
    begin = time.monotonic()
    containers.stop(engine, [name], timeout=1)
    assert time.monotonic() - begin >= 1
    assert awaiting.wait(engine, [name]) == [137]
    containers.rm(engine, [name])


def test_the_stop_signal_of_the_request(engine):
    name = detached(
        engine, 'trap "exit 4" USR1; echo ready; while :; do sleep 0.05; done', stop_signal="SIGUSR1"
    )
    until(lambda: "ready" in output_of(engine, name))
    containers.stop(engine, [name])
    assert awaiting.wait(engine, [name]) == [4]
    containers.rm(engine, [name])


def test_logs_follow_ends_with_the_container_and_filters(engine):
    name = detached(
        engine, "for n in 1 2 3; do echo line $n; sleep 0.1; done; echo oops >&2; printf no-newline"
    )
    entries = list(logs(engine, name, follow=True))
    assert entries == [
        (1, b"line 1\n"),
        (1, b"line 2\n"),
        (1, b"line 3\n"),
        (2, b"oops\n"),
        (1, b"no-newline"),
    ]
    assert list(logs(engine, name, tail=2)) == entries[-2:]
    assert list(logs(engine, name, tail=0)) == []
    [(_, stamped)] = list(logs(engine, name, tail=1, timestamps=True))
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z no-newline", stamped)
    assert list(logs(engine, name, since=time.time_ns() + 60 * 10**9)) == []
    awaiting.wait(engine, [name])
    containers.rm(engine, [name])


def test_rm_removes_the_container_and_its_anonymous_volumes_by_itself(engine):
    before = {volume.name for volume in volumes.list_volumes(engine)}
    name = detached(engine, "exit 3", rm=True)
    directory = engine.home.containers / name
    until(lambda: not directory.exists(), "removal")
    containers.tidy(engine)
    assert name not in [found.id for found in containers.ps(engine, all_=True)]
    assert {volume.name for volume in volumes.list_volumes(engine)} == before


def test_wait_hears_the_exit_code_even_of_a_container_that_removes_itself(engine):
    name = detached(engine, "sleep 0.5; exit 9", rm=True)
    assert awaiting.wait(engine, [name]) == [9]


def test_names_are_unique_and_nearest_ones_are_told(engine):
    first = detached(engine, "sleep 60", name="the-one")
    with pytest.raises(ConflictError, match=f"'the-one' is taken by the container {first[:12]}") as caught:
        containers.run(engine, shell("true", name="the-one"))
    assert caught.value.exit_status == 125
    with pytest.raises(NotFoundError) as caught:
        containers.stop(engine, ["the-onne"])
    assert "did you mean the-one?" in caught.value.hint
    with pytest.raises(ConflictError, match="is running"):
        containers.rm(engine, [first[:6]])
    containers.rm(engine, [first[:6]], force=True)
    assert len(list((engine.home.containers).iterdir())) == len(containers.ps(engine, all_=True))


def test_an_unknown_image_and_a_bad_name(engine):
    with pytest.raises(NotFoundError, match="there is no image celar") as caught:
        containers.run(engine, RunRequest("celar", pull="never"))
    assert "cellar" in caught.value.hint
    with pytest.raises(InvalidError, match="cannot be the name"):
        containers.run(engine, shell("true", name="-bad-"))


def test_start_again_keeps_the_files(engine, capfd):
    name = detached(engine, "date >> /kept; wc -l < /kept")
    awaiting.wait(engine, [name])
    containers.start(engine, [name])
    awaiting.wait(engine, [name])
    assert containers.start(engine, [name], client=Client()) == 0
    assert capfd.readouterr().out == "3\n"
    assert output_of(engine, name) == "1\n2\n3\n"
    containers.rm(engine, [name])


def test_a_killed_supervisor_takes_the_container_with_it_and_leaves_it_exited(engine):
    name = detached(engine, "sleep 600", name="orphan")
    found = state.read(engine.home.containers / name)
    os.kill(found.supervisor.pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{found.pid}").exists(), "the end of the container's process")
    [summary] = [one for one in containers.ps(engine, all_=True) if one.id == name]
    assert (summary.state, summary.exit_code, summary.ports) == ("exited", 137, ())
    [document] = containers.inspect(engine, [name])
    assert document["State"]["Error"] == "its supervisor was killed"
    record = Records(engine.db).need(name)
    with files.lock(engine.home.locks / f"container-{record.short}"):
        containers.tidy(engine)  # at this moment another command starts it: what there is may be its
        assert control_of(engine, record).exists()
    containers.tidy(engine)
    assert not control_of(engine, record).exists()
    containers.start(engine, [name])
    containers.rm(engine, [name], force=True)


def test_a_supervisor_is_small(engine):
    name = detached(engine, "sleep 60", publish=("127.0.0.1::8000",))
    found = state.read(engine.home.containers / name)
    status = Path(f"/proc/{found.supervisor.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) <= 20 * 1024
    containers.rm(engine, [name], force=True)


def test_inspect_speaks_as_docker_does(engine, tmp_path):
    name = detached(
        engine, "sleep 60", publish=("127.0.0.1::8000",), volumes=(f"{tmp_path}:/host:ro",), env=("A=b",)
    )
    [document] = containers.inspect(engine, [name])
    assert document["Id"] == name
    assert document["State"]["Running"] is True
    assert Path(f"/proc/{document['State']['Pid']}").exists()
    [binding] = document["NetworkSettings"]["Ports"]["8000/tcp"]
    assert binding["HostIp"] == "127.0.0.1"
    assert int(binding["HostPort"]) > 0
    assert document["HostConfig"]["Binds"][0] == f"{tmp_path}:/host:ro"
    assert "A=b" in document["Config"]["Env"]
    assert document["Config"]["Labels"] == {"maker": "vineyard"}
    assert document["HostConfig"]["PortBindings"] == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert document["NetworkSettings"]["Networks"]["loopback"]["IPAddress"] == ""
    [document] = containers.inspect(engine, [name], sizes=True)
    assert document["SizeRootFs"] > 1_000_000 > document["SizeRw"] >= 0
    containers.rm(engine, [name], force=True)


def test_inspect_tells_the_halves_of_a_command_and_what_was_asked_for(engine):
    asked = {"entrypoint": "/bin/sh", "user": "app", "expose": ("53/udp",), "cap_add": ("net_admin",)}
    asked["domainname"] = "lan"
    made = create(
        engine, request("-c", "true", **asked, publish=("8001:80", "9000-9003:81"), cap_drop=("ALL",))
    )
    [document] = containers.inspect(engine, [made.id])
    config, host = document["Config"], document["HostConfig"]
    assert (document["Path"], document["Args"]) == ("/bin/sh", ["-c", "true"])
    assert (config["Entrypoint"], config["Cmd"], config["User"]) == (["/bin/sh"], ["-c", "true"], "app")
    assert config["ExposedPorts"] == {"53/udp": {}, "8000/tcp": {}}
    assert config["Volumes"] == {"/seeded": {}}
    assert config["Domainname"] == "lan"
    assert not any(variable.startswith("HOSTNAME=") for variable in config["Env"])
    assert (host["CapAdd"], host["CapDrop"], host["Binds"]) == (["CAP_NET_ADMIN"], ["ALL"], None)
    assert host["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8001"}],
        "81/tcp": [{"HostIp": "", "HostPort": "9000-9003"}],
    }
    assert document["NetworkSettings"]["Ports"] == {}
    containers.rm(engine, [made.id])


# --- exec -----------------------------------------------------------------------------------------------


@pytest.fixture
def running(engine):
    name = detached(engine, "export SECRET=1; sleep 600", env=("SHARED=yes",), user="app")
    yield name
    containers.rm(engine, [name], force=True)


def test_exec_is_in_the_container_as_its_user(engine, running, capfd):
    command = ("sh", "-c", "id -u; echo $SHARED; hostname; cat /proc/1/comm; echo e >&2; exit 6")
    assert containers.exec_(engine, running, ExecRequest(command)) == 6
    assert capfd.readouterr() == (f"1000\nyes\n{running[:12]}\nsleep\n", "e\n")


def test_exec_with_its_own_user_directory_and_environment(engine, running, capfd):
    command = ("sh", "-c", "id -u; pwd; echo $X $HOME")
    wanted = ExecRequest(command, user="root", workdir="/etc", env=("X=1",))
    assert containers.exec_(engine, running, wanted) == 0
    assert capfd.readouterr().out == "0\n/etc\n1 /root\n"


def test_exec_of_nothing_and_in_nothing(engine, running):
    with pytest.raises(TiffinError) as caught:
        containers.exec_(engine, running, ExecRequest(("no-such-program",)))
    assert caught.value.exit_status == 127
    containers.kill(engine, [running])
    with pytest.raises(ConflictError, match="is not running"):
        containers.exec_(engine, running, ExecRequest(("true",)))


def test_exec_reads_what_is_piped_in(engine, running, tmp_path):
    source, sink = tmp_path / "in", tmp_path / "out"
    source.write_bytes(os.urandom(1_000_000))
    wanted = f"({running!r}, ExecRequest(('cat',), interactive=True))"
    assert driver(engine, wanted, source, sink) == 0
    assert sink.read_bytes() == source.read_bytes()


def test_exec_with_a_terminal(engine, running):
    wanted = f"({running!r}, ExecRequest(('sh',), interactive=True, tty=True))"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, driver_command(engine, wanted))
    _read_until(terminal, b"$")
    os.write(terminal, b"tty; exit 4\r")
    seen = _read_rest(terminal)
    _, status = os.waitpid(pid, 0)
    assert b"/dev/pts/" in seen
    assert os.waitstatus_to_exitcode(status) == 4


# --- volumes and ports ----------------------------------------------------------------------------------


def test_a_folder_of_the_host_keeps_its_owners_and_read_only_is_kept(engine, tmp_path, capfd):
    (tmp_path / "mine").write_text("host")
    os.chown(tmp_path / "mine", 1000, 1000)
    script = "stat -c %u /data/mine; echo new > /data/new; echo no > /fixed/new || echo refused"
    containers.run(engine, shell(script, rm=True, volumes=(f"{tmp_path}:/data", f"{tmp_path}:/fixed:ro")))
    assert capfd.readouterr().out == "1000\nrefused\n"
    assert (tmp_path / "new").read_text() == "new\n"
    assert (tmp_path / "new").stat().st_uid == 0


def test_a_missing_folder_of_the_host_is_made_and_a_relative_one_refused(engine, tmp_path):
    containers.run(engine, shell("touch /data/x", rm=True, volumes=(f"{tmp_path}/a/b:/data",)))
    assert (tmp_path / "a/b/x").exists()
    with pytest.raises(InvalidError, match="neither an absolute path nor the name of a volume"):
        containers.run(engine, shell("true", volumes=("a/b:/data",)))


def test_a_named_volume_is_seeded_once_and_outlives_its_containers(engine, capfd):
    script = "stat -c '%u:%g %a' /seeded/model; cat /seeded/*; echo changed > /seeded/model"
    for expected in ("1000:1001 640\nof the image", "1000:1001 640\nchanged\n"):
        containers.run(engine, shell(script, rm=True, volumes=("models:/seeded",)))
        assert capfd.readouterr().out == expected
    [volume] = [one for one in volumes.list_volumes(engine) if one.name == "models"]
    assert stat.S_IMODE((volume.mountpoint / "model").stat().st_mode) == 0o640
    holder = detached(engine, "sleep 60", volumes=("models:/seeded",))
    with pytest.raises(ConflictError, match="is used by the container"):
        volumes.remove(engine, ["models"])
    containers.rm(engine, [holder], force=True)
    volumes.remove(engine, ["models"])
    with pytest.raises(NotFoundError):
        volumes.inspect(engine, ["models"])


def test_a_file_system_in_memory(engine, capfd):
    containers.run(engine, shell("mount | grep ' /scratch '", rm=True, tmpfs=("/scratch:size=1m",)))
    assert "size=1024k" in capfd.readouterr().out


@pytest.mark.parametrize("network", ["loopback", "host"])
def test_a_published_port_answers_over_http(engine, network, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    script = (
        f"echo prediction > /tmp/index.html; exec httpd -f -p {port if network == 'host' else 8000} -h /tmp"
    )
    wanted = {"publish": (f"127.0.0.1:{port}:8000",)} if network != "host" else {}
    name = detached(engine, script, network=network, **wanted)
    until(lambda: _get(port) == b"prediction\n", "the answer")
    if wanted:
        [summary] = [one for one in containers.ps(engine) if one.id == name]
        assert summary.ports == (f"127.0.0.1:{port}->8000/tcp",)
        with pytest.raises(ConflictError, match=f"port {port} is already in use on this machine") as caught:
            containers.run(engine, shell("true", rm=True, detach=True, **wanted))
        assert caught.value.exit_status == 125
    containers.rm(engine, [name], force=True)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_publish_all(engine):
    name = detached(engine, "sleep 60", publish_all=True)
    [summary] = [one for one in containers.ps(engine) if one.id == name]
    first, second = summary.ports
    assert re.fullmatch(r"0\.0\.0\.0:\d+->8000/tcp", first)
    assert second == first.replace("0.0.0.0", "[::]")
    containers.rm(engine, [name], force=True)


def test_exposed_ports_and_the_images_below_are_known(engine):
    name = detached(engine, "sleep 60", expose=("53/udp", "8001-8002"))
    [summary] = [one for one in containers.ps(engine) if one.id == name]
    assert summary.ports == summary.exposed == ("53/udp", "8000/tcp", "8001/tcp", "8002/tcp")
    commit(engine, name, Committed("grown"))
    assert ancestors(engine, ["cellar", "nope"]) == {"cellar": (summary.image_id, summary.layers)}
    grown = ancestors(engine, ["grown"])["grown"]
    assert grown.layers[:-1] == summary.layers
    containers.rm(engine, [name], force=True)
    stopped = create(engine, request("true", name="never"))
    assert next(one for one in containers.ps(engine, all_=True) if one.id == stopped.id).ports == ()


def test_two_containers_in_one_network(engine, capfd):
    name = detached(engine, "echo shared > /tmp/index.html; exec httpd -f -p 8000 -h /tmp", name="owner")
    until(
        lambda: (
            containers.run(
                engine, shell("wget -qO- http://127.0.0.1:8000/", network="container:owner", rm=True)
            )
            == 0
        )
    )
    assert "shared\n" in capfd.readouterr().out
    with pytest.raises(InvalidError, match="ports cannot be published"):
        containers.run(engine, shell("true", network="container:owner", publish=("80",)))
    containers.rm(engine, [name], force=True)


def _get(port: int) -> bytes:
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer,
    ):
        return answer.read()
    return b""


def test_many_at_once(engine):
    """Each thread is a client of its own, as each command is: they share the store, not the process."""
    names: list[str] = []
    commands = [
        driver_command(engine, "RunRequest('cellar', ('sh', '-c', 'exit 3'), network='loopback', rm=True)")
        for _ in range(6)
    ]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(PATIENCE) for process in processes] == [3] * 6
    assert names == []
    assert threading.active_count() == 1


# --- made, renamed, looked at -------------------------------------------------------------------------------


def test_a_created_container_runs_when_it_is_started(engine, capfdbinary):
    record = create(engine, shell("echo begun; exit 4"))
    assert [one.state for one in containers.ps(engine, all_=True) if one.id == record.id] == ["created"]
    with pytest.raises(ConflictError):
        top(engine, record.id)
    assert containers.start(engine, [record.id], client=Client()) == 4
    assert capfdbinary.readouterr().out == b"begun\n"
    containers.rm(engine, [record.id])


def test_renaming_keeps_the_container_and_refuses_names_that_are_taken(engine):
    one, other = (create(engine, request("true", name=name)) for name in ("first-name", "other-name"))
    with pytest.raises(ConflictError, match=other.short):
        attributes.rename(engine, "first-name", "other-name")
    with pytest.raises(InvalidError, match="already"):
        attributes.rename(engine, "first-name", "/first-name")
    with pytest.raises(InvalidError, match="name"):
        attributes.rename(engine, "first-name", "-")
    attributes.rename(engine, one.short, "last-name")
    records = Records(engine.db)
    assert records.find("first-name") is None
    assert records.need("last-name") == one._replace(name="last-name")
    containers.rm(engine, ["last-name", "other-name"])


def test_ports_are_told_as_docker_tells_them(engine):
    name = detached(engine, "sleep 1000", publish=("127.0.0.1::8000", "127.0.0.1::53/udp"))
    udp, tcp = attributes.ports(engine, name)
    assert (udp.container, tcp.container) == ("53/udp", "8000/tcp")
    assert re.fullmatch(r"127\.0\.0\.1:\d+", tcp.host)
    assert attributes.ports(engine, name, "8000") == attributes.ports(engine, name, "8000/tcp") == [tcp]
    for wrong, message in (("53", "53/tcp"), ("http", "no port")):
        with pytest.raises(TiffinError, match=message):
            attributes.ports(engine, name, wrong)
    containers.rm(engine, [name], force=True)


def test_top_shows_the_processes_of_the_container_alone(engine):
    name = detached(engine, "sleep 1001 & exec sleep 1002")
    containers.exec_(engine, name, ExecRequest(("sleep", "1003"), detach=True))
    titles, rows = top(engine, name)
    assert titles == ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
    assert sorted(row[-1] for row in rows) == ["sleep 1001", "sleep 1002", "sleep 1003"]
    assert rows[0][4:7] == (rows[0][4], "?", "00:00:00")
    titles, chosen = top(engine, name, ["-eo", "pid,args"])
    assert titles == ("PID", "COMMAND")
    assert {(row[0], row[1]) for row in chosen} == {(row[1], row[-1]) for row in rows}
    with pytest.raises(InvalidError, match="PID"):
        top(engine, name, ["-eo", "args"])
    containers.rm(engine, [name], force=True)


# --- what a container has written ---------------------------------------------------------------------------

WRITES = """
echo new > /etc/new; chmod 600 /etc/passwd; rm -r /home/app; mkdir -p /srv/a/b; ln -s nowhere /srv/a/link
echo gone > /tmp/x; rm /tmp/x; rm -r /not-a-program; mkdir /not-a-program; echo in > /seeded/mounted
"""


@pytest.fixture(scope="module")
def written(engine):
    record = create(engine, shell(WRITES, name="writer", env=("ADDED=1",), workdir="/etc"))
    containers.start(engine, [record.id], client=Client())
    return record


def test_diff_tells_what_was_written_and_nothing_that_we_made(engine, written):
    assert [f"{change.kind} {change.path}" for change in diff(engine, written.id)] == [
        "C /etc",
        "A /etc/new",
        "C /etc/passwd",
        "C /home",
        "D /home/app",
        "C /not-a-program",
        "A /srv",
        "A /srv/a",
        "A /srv/a/b",
        "A /srv/a/link",
    ]


def test_export_has_the_files_as_the_container_sees_them(engine, written):
    out = io.BytesIO()
    export(engine, written.id, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        files = {member.name: member for member in tar}
        assert tar.extractfile("etc/new").read() == b"new\n"
    assert files["etc/passwd"].mode == 0o600
    assert files["srv/a/link"].linkname == "nowhere"
    assert files["not-a-program"].isdir()
    assert "home" in files
    assert "home/app" not in files
    assert (files["seeded/model"].uid, files["seeded/model"].gid) == (1000, 1001)
    assert "seeded/mounted" not in files


def test_a_committed_image_holds_what_was_written_and_how_it_ran(engine, written, capfdbinary):
    changes = ('CMD ["sh", "-c", "cat new; echo $ADDED $MORE"]', "ENV MORE=two", "LABEL by=us", "EXPOSE 9000")
    one = commit(engine, "writer", Committed("committed:1", changes, "a message", "an author"))
    assert commit(engine, "writer", Committed(None, changes, "a message", "an author")) == one
    assert containers.run(engine, RunRequest("committed:1", network="loopback", rm=True)) == 0
    assert capfdbinary.readouterr().out == b"new\n1 two\n"
    image = need_image(engine, "committed:1").config
    assert image.author == "an author"
    assert (image.history[-1].comment, image.history[-1].author) == ("a message", "an author")
    assert image.config.working_dir == "/etc"
    assert image.config.labels == {"maker": "vineyard", "by": "us"}
    assert sorted(image.config.exposed_ports) == ["8000/tcp", "9000/tcp"]
    assert set(image.config.environment()) == {"PATH", "FROM_IMAGE", "BOTH", "ADDED", "MORE"}
    layer = engine.layers.path(image.rootfs.diff_ids[-1])
    assert sorted(entry.name for entry in layer.iterdir()) == ["etc", "home", "not-a-program", "srv"]
    assert sorted(entry.name for entry in (layer / "etc").iterdir()) == ["new", "passwd"]


@pytest.mark.parametrize("change", ["RUN true", "FROM other", "NONSENSE x", "EXPOSE many"])
def test_changes_of_the_config_are_checked_before_anything_is_made(engine, written, change):
    before = engine.images.all()
    with pytest.raises(InvalidError, match=change.split()[0]):
        commit(engine, written.id, Committed("never", (change,)))
    assert engine.images.all() == before
    assert find_name(engine, "never") is None


def test_what_was_exported_can_be_imported(engine, written, capfdbinary):
    out = io.BytesIO()
    export(engine, written.id, out)
    packed = io.BytesIO(gzip.compress(out.getvalue(), 1))
    wanted = Committed("imported", ('CMD ["cat", "/etc/new"]', "WORKDIR /srv"), "taken in")
    import_(engine, packed, wanted, engine.platform)
    assert containers.run(engine, RunRequest("imported", network="loopback", rm=True)) == 0
    assert capfdbinary.readouterr().out == b"new\n"
    image = need_image(engine, "imported").config
    assert (image.config.working_dir, image.history[-1].comment) == ("/srv", "taken in")
    with pytest.raises(TiffinError):
        import_(engine, io.BytesIO(b"no tar at all" * 100), Committed("broken"), engine.platform)
    assert find_name(engine, "broken") is None


def test_one_that_waits_to_be_started_again_has_no_processes_or_files_to_show(engine):
    record = create(engine, request("true"))
    waits = state.State("restarting", supervisor=Identity.own(), boot=state.boot())
    state.write(directory_of(engine, record), waits)
    with pytest.raises(ConflictError, match="not running"):
        top(engine, record.id)
    with pytest.raises(ConflictError, match="restarted"):
        copy_out(engine, record.id, "/etc", io.BytesIO())
    state.write(directory_of(engine, record), state.State())
    containers.rm(engine, [record.id])
