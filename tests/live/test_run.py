"""Running containers as a user does: codes, signals, ports, volumes, options, and the verbs around them."""

import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

PATIENCE = 30


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail(f"not within {PATIENCE} s: {what}")


@pytest.fixture
def name(tiffin, request):
    """A name for one container, which is removed in the end."""
    given = re.sub(r"[^a-zA-Z0-9_.-]", "-", request.node.name)[-60:].strip("-")
    yield given
    tiffin("rm", "-f", "-v", given, check=False)


def row(tiffin, name):
    lines = tiffin("ps", "-a", "--format", "{{.Names}}\t{{.Status}}\t{{.Ports}}").stdout.splitlines()
    return next((line for line in lines if line.startswith(f"{name}\t")), None)


# --- exit codes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["/etc/passwd"], 126),
        (["/etc"], 126),
        (["no-such-command"], 127),
        (["/no/such/command"], 127),
        (["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137),
    ],
    ids=lambda value: "-".join(value).replace("/", "_") if isinstance(value, list) else str(value),
)
def test_exit_codes(tiffin, busybox, command, code):
    done = tiffin("run", "--rm", busybox, *command, check=False)
    assert done.returncode == code, done.stderr
    if code in (126, 127) and len(command) == 1:
        assert command[0] in done.stderr
        assert "Traceback" not in done.stderr


def test_our_own_failures_are_125(tiffin, busybox):
    for arguments in (
        ["--no-such-option", busybox],
        ["no-such-image"],
        ["-p", "99999:80", busybox],
        ["-w", "rel", busybox],
    ):
        done = tiffin("run", "--rm", *arguments, check=False)
        assert done.returncode == 125, (arguments, done.stderr)
        assert "Traceback" not in done.stderr


def test_an_unknown_image_names_the_nearest(tiffin, busybox):
    done = tiffin("run", "--rm", "busybocks", check=False)
    assert done.returncode == 125
    assert "busybocks" in done.stderr
    assert re.search(r"\bbusybox\b", done.stderr)


def test_a_killed_container_exits_with_137(tiffin, busybox, name):
    tiffin("run", "-d", "--name", name, busybox, "sleep", "1000")
    tiffin("kill", name)
    assert tiffin("wait", name).stdout == "137\n"
    assert "Exited (137)" in row(tiffin, name)


# --- signals ------------------------------------------------------------------------------------------------

COUNT = (
    'n=0; trap "n=\\$((n+1))" {0}; echo ready; while [ $n = 0 ]; do sleep 0.1; done; sleep 0.5; '
    'echo "got $n"; exit 7'
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_to_run_reach_the_process(tiffin, busybox, number):
    script = COUNT.format(number.name.removeprefix("SIG"))
    process = tiffin.popen("run", "--rm", busybox, "sh", "-c", script, stdout=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=PATIENCE)[0] == "got 1\n"
    assert process.returncode == 7


def on_terminal(tiffin, *arguments):
    """Start the command as the foreground of a terminal of its own; return its pid and the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(tiffin.home)
            os.execvpe(tiffin.command[0], [*tiffin.command, *arguments], tiffin.env)
        finally:
            os._exit(99)
    return pid, terminal


def read_until(terminal, text):
    shown = b""
    end = time.monotonic() + PATIENCE
    while text not in shown:
        assert time.monotonic() < end, shown
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
    assert text in shown, shown
    return shown


def ended(pid):
    def poll():
        found, status = os.waitpid(pid, os.WNOHANG)
        return (os.waitstatus_to_exitcode(status),) if found else None

    return until(poll, "the command ends")[0]


@pytest.mark.parametrize("options", [(), ("-it",)], ids=["plain", "terminal"])
def test_ctrl_c_arrives_once(tiffin, busybox, options):
    pid, terminal = on_terminal(tiffin, "run", "--rm", *options, busybox, "sh", "-c", COUNT.format("INT"))
    try:
        read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        read_until(terminal, b"got 1")
        assert ended(pid) == 7
    finally:
        os.close(terminal)


def test_a_terminal_is_one(tiffin, busybox):
    pid, terminal = on_terminal(tiffin, "run", "--rm", "-it", busybox, "sh")
    try:
        os.write(terminal, b"tty; echo $TERM; echo a$((1+1))b; exit 4\n")
        shown = read_until(terminal, b"a2b")
        assert b"/dev/pts/" in shown or b"/dev/console" in shown
        assert ended(pid) == 4
    finally:
        os.close(terminal)


def test_input_is_passed_on_when_asked(tiffin, busybox):
    assert (
        tiffin("run", "--rm", "-i", busybox, "cat", input="to the container\n").stdout == "to the container\n"
    )
    assert tiffin("run", "--rm", busybox, "cat", input="not this\n").stdout == ""


def test_output_and_errors_are_kept_apart(tiffin, busybox):
    done = tiffin("run", "--rm", busybox, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


# --- ports --------------------------------------------------------------------------------------------------


def get(port, host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/index.html")
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


SERVE = "mkdir /www && echo -n from-inside > /www/index.html && exec httpd -f -p 8000 -h /www"


@pytest.mark.parametrize("network", ["default", "pasta", "loopback"])
def test_a_published_port_answers_in_every_mode(tiffin, busybox, name, network):
    tiffin(
        "run",
        "-d",
        "--name",
        name,
        "--network",
        network,
        "-p",
        "127.0.0.1:0:8000",
        busybox,
        "sh",
        "-c",
        SERVE,
    )
    port = int(re.search(r":(\d+)->8000/tcp", row(tiffin, name))[1])
    assert until(lambda: get(port), "an answer") == b"from-inside"
    tiffin("stop", "-t", "1", name)
    assert get(port) is None


def test_the_resolver_and_exposed_ports_are_as_asked(tiffin, busybox, name):
    options = ["--dns=10.0.0.53", "--dns-search=a.lan", "--dns-search=b.lan", "--dns-option=ndots:1"]
    options += ["-d", "-P", "--expose=8000-8001", "--expose=53/udp", "--name", name]
    tiffin("run", *options, busybox, "sh", "-c", "cat /etc/resolv.conf; exec sleep 100")
    text = until(lambda: tiffin("logs", name).stdout, "its output")
    assert text == "nameserver 10.0.0.53\nsearch a.lan b.lan\noptions ndots:1\n"
    found = re.findall(r"->(\S+?)(?:,|\s|$)", row(tiffin, name))  # each for IPv4 and IPv6
    assert sorted(set(found)) == ["53/udp", "8000/tcp", "8001/tcp"]


def test_a_published_port_in_the_foreground(tiffin, busybox, name):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = tiffin.popen("run", "--rm", "--name", name, "-p", f"{port}:8000", busybox, "sh", "-c", SERVE)
    assert until(lambda: get(port), "an answer") == b"from-inside"
    tiffin("kill", name)
    assert process.wait(PATIENCE) == 137


def test_a_port_that_is_taken(tiffin, busybox, name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = tiffin("run", "--name", name, "-p", f"127.0.0.1:{port}:80", busybox, "true", check=False)
    assert done.returncode == 125
    assert str(port) in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


# --- volumes ------------------------------------------------------------------------------------------------


def test_a_folder_of_the_host_keeps_its_owners(tiffin, busybox, folder):
    shared = folder / "shared"
    shared.mkdir()
    owner = tiffin.home.stat()
    os.chown(shared, owner.st_uid, owner.st_gid)
    (shared / "given").write_text("host\n")
    os.chown(shared / "given", owner.st_uid, owner.st_gid)
    script = "stat -c %u:%g /v/given && cat /v/given && echo inside > /v/made && echo more >> /v/given"
    done = tiffin("run", "--rm", "-v", f"{shared}:/v", busybox, "sh", "-c", script)
    # The caller's own files are root's inside, on every rung.
    assert done.stdout == "0:0\nhost\n"
    assert (shared / "given").read_text() == "host\nmore\n"
    made = (shared / "made").stat()
    assert (made.st_uid, made.st_gid) == (owner.st_uid, owner.st_gid)


def test_a_user_inside_on_a_folder_of_the_host(tiffin, busybox, folder):
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    tiffin("run", "--rm", "-u", "anna", "-v", f"{folder}/open:/v", busybox, "touch", "/v/made")
    expected = {"root": 1000, "rootless": 300_000 + 999, "single-id": tiffin.home.stat().st_uid}
    assert (folder / "open/made").stat().st_uid == expected[tiffin.rung]


def test_read_only_folders_and_files(tiffin, busybox, folder):
    (folder / "file").write_text("text")
    (folder / "sub").mkdir()
    script = "cat /f; touch /v/x; echo > /f; mount -o remount,rw /v"
    done = tiffin(
        "run",
        "--rm",
        "-v",
        f"{folder}:/v:ro",
        "-v",
        f"{folder}/file:/f:ro",
        busybox,
        "sh",
        "-c",
        script,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == "text"
    assert (folder / "file").read_text() == "text"
    assert not (folder / "x").exists()


def test_a_named_volume_outlives_containers(tiffin, busybox, name):
    volume = f"v-{name}"[:60]
    tiffin("run", "--rm", "-v", f"{volume}:/etc", busybox, "sh", "-c", "echo kept > /etc/kept")
    shown = tiffin(
        "run", "--rm", "-v", f"{volume}:/data", busybox, "sh", "-c", "cat /data/kept; ls /data"
    ).stdout
    # It began with what the image had there.
    assert shown.split()[:1] == ["kept"]
    assert {"group", "passwd"} <= set(shown.split())
    tiffin("volume", "rm", volume)


# --- options ------------------------------------------------------------------------------------------------


def test_environment(tiffin, busybox, folder):
    (folder / "file").write_text("# a comment\nFILED=of the file\nBOTH=file\nFROM_HERE\n")
    options = ["-e", "GIVEN=a=b c", "-e", "FROM_HERE2", "--env-file", folder / "file", "-e", "BOTH=option"]
    outside = {"FROM_HERE": "1", "FROM_HERE2": "2", "NOT_ASKED": "3"}
    shown = tiffin("run", "--rm", *options, busybox, "env", env=outside).stdout.splitlines()
    for line in ("GIVEN=a=b c", "FROM_HERE=1", "FROM_HERE2=2", "FILED=of the file", "BOTH=option"):
        assert line in shown
    assert not [line for line in shown if line.startswith("NOT_ASKED")]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("anna", "1000 1000 1000 2000 /home/anna"),
        ("1000", "1000 1000 1000 2000 /home/anna"),
        ("anna:wine", "1000 2000 2000 /home/anna"),
        ("12:13", "12 13 13 /"),
        ("77", "77 0 0 /"),
    ],
)
def test_users(tiffin, busybox, user, expected):
    shown = tiffin(
        "run", "--rm", "-u", user, busybox, "sh", "-c", "echo $(id -u) $(id -g) $(id -G) $HOME"
    ).stdout
    assert shown.strip() == expected


def test_an_unknown_user(tiffin, busybox):
    done = tiffin("run", "--rm", "-u", "nobody-here", busybox, "true", check=False)
    assert done.returncode in (125, 126)
    assert "nobody-here" in done.stderr


def test_workdir_and_entrypoint(tiffin, busybox):
    assert tiffin("run", "--rm", "-w", "/new/place", busybox, "pwd").stdout == "/new/place\n"
    shown = tiffin("run", "--rm", "--entrypoint", "echo", busybox, "-n", "x").stdout
    assert shown == "x"
    assert tiffin("run", "--rm", "--entrypoint", "/bin/id", busybox).stdout.startswith("uid=0")


def test_a_name_is_given_once(tiffin, busybox, name):
    tiffin("run", "--name", name, busybox, "true")
    done = tiffin("run", "--name", name, busybox, "true", check=False)
    assert done.returncode == 125
    assert name in done.stderr


def test_rm_leaves_nothing(tiffin, busybox, name):
    before = set(tiffin("ps", "-aq").stdout.split())
    tiffin("run", "--rm", "--name", name, busybox, "true")
    tiffin("run", "--rm", "--name", name, busybox, "false", check=False)
    tiffin("run", "-d", "--rm", "--name", name, busybox, "true")
    until(lambda: row(tiffin, name) is None, "the container is removed")
    assert set(tiffin("ps", "-aq").stdout.split()) <= before


# --- the verbs ----------------------------------------------------------------------------------------------


def test_the_life_of_a_detached_container(tiffin, busybox, name):
    script = 'trap "echo stopping; exit 5" TERM; echo one; echo two >&2; while true; do sleep 0.1; done'
    identity = tiffin("run", "-d", "--name", name, busybox, "sh", "-c", script).stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", identity)
    until(lambda: tiffin("logs", name).stdout == "one\n", "the first line")
    assert tiffin("logs", name).stderr == "two\n"
    assert tiffin("logs", "--tail", "1", name).stdout + tiffin("logs", "--tail", "1", name).stderr in (
        "two\n",
        "one\n",
    )
    assert "Up" in row(tiffin, name)
    assert identity[:12] in tiffin("ps").stdout
    assert (
        tiffin("exec", name, "sh", "-c", "echo in $(cat /proc/1/comm); exit 6", check=False).returncode == 6
    )
    options = ["-u", "anna", "-w", "/tmp", "-e", "A=b"]
    shown = tiffin("exec", *options, identity[:8], "sh", "-c", "id -u; pwd; echo $A").stdout
    assert shown == "1000\n/tmp\nb\n"
    follower = tiffin.popen("logs", "-f", name, stdout=subprocess.PIPE)
    waiter = tiffin.popen("wait", name, stdout=subprocess.PIPE)
    assert follower.stdout.readline() == "one\n"
    refused = tiffin("rm", name, check=False)
    assert refused.returncode == 1
    assert name in refused.stderr
    assert tiffin("stop", name).stdout.strip() == name
    assert follower.communicate(timeout=PATIENCE)[0] == "stopping\n"
    assert waiter.communicate(timeout=PATIENCE)[0] == "5\n"
    assert "Exited (5)" in row(tiffin, name)
    assert name not in tiffin("ps").stdout
    assert tiffin("exec", name, "true", check=False).returncode == 1
    assert tiffin("rm", name).stdout.strip() == name
    assert row(tiffin, name) is None


def test_stop_kills_what_does_not_listen(tiffin, busybox, name):
    tiffin("run", "-d", "--name", name, busybox, "sh", "-c", 'trap "" TERM; while true; do sleep 1; done')
    begin = time.monotonic()
    tiffin("stop", "-t", "1", name)
    assert time.monotonic() - begin >= 1
    assert "Exited (137)" in row(tiffin, name)


def test_files_stay_while_the_container_does(tiffin, busybox, name):
    tiffin("run", "--name", name, busybox, "sh", "-c", "echo x >> /count; wc -l < /count")
    assert tiffin("start", "-a", name).stdout.strip() == "2"


def test_an_unknown_container(tiffin, busybox, name):
    tiffin("run", "--name", name, busybox, "true")
    for verb in ("logs", "stop", "kill", "rm", "wait"):
        done = tiffin(verb, f"{name}x", check=False)
        assert done.returncode == 1, verb
        assert name in done.stderr
    assert tiffin("inspect", f"{name}x", check=False).returncode == 1


def test_inspect_tells_what_was_asked(tiffin, busybox, name):
    tiffin(
        "run",
        "--name",
        name,
        "-e",
        "A=b",
        "-w",
        "/tmp",
        "-l",
        "x=y",
        "--hostname",
        "cellar",
        busybox,
        "hostname",
    )
    found = json.loads(tiffin("inspect", name).stdout)[0]
    assert found["Name"] == f"/{name}"
    assert found["State"]["ExitCode"] == 0
    assert found["State"]["Status"] == "exited"
    assert "A=b" in found["Config"]["Env"]
    assert found["Config"]["WorkingDir"] == "/tmp"
    assert found["Config"]["Labels"]["x"] == "y"
    assert found["Config"]["Hostname"] == "cellar"
    assert tiffin("logs", name).stdout == "cellar\n"


def test_no_process_waits_when_nothing_runs(tiffin, busybox, name):
    """Neither a daemon nor a supervisor stays behind."""
    tiffin("run", "-d", "--name", name, busybox, "sleep", "1000")
    pid = json.loads(tiffin("inspect", name).stdout)[0]["State"]["Pid"]
    facts = Path(f"/proc/{pid}/status").read_text()
    supervisor = Path("/proc") / re.search(r"PPid:\t(\d+)", facts)[1]
    assert supervisor.name not in ("0", "1")
    assert b"python" in (supervisor / "cmdline").read_bytes()
    tiffin("kill", name)
    tiffin("wait", name)
    until(lambda: not supervisor.exists(), "the supervisor ends")
    assert not Path(f"/proc/{pid}").exists()
