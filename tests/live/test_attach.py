"""Attaching to containers and leaving them, at real terminals and through pipes."""

import hashlib
import json
import os
import signal
import subprocess

import pytest
from tests.live.terminal import Terminal
from tests.live.test_run import row, until

pytestmark = pytest.mark.live

on_root = pytest.mark.parametrize("tiffin", ["root"], indirect=True)
LEAVE = b"\x10\x11"
NO_NET = ("--network", "none")
COUNT = "i=0; while test ! -e /stop; do i=$((i+1)); echo $i; echo e$i >&2; sleep 0.02; done; exit 6"


@pytest.fixture
def name(tiffin):
    """A name for one container, which is removed in the end."""
    given = f"attached-{os.urandom(4).hex()}"
    yield given
    tiffin("rm", "-f", "-v", given, check=False)


@pytest.fixture
def shown(tiffin):
    """Starts a command at a terminal."""
    return lambda *words: Terminal([*tiffin.command, *words], cwd=tiffin.home, env=tiffin.env)


def leave(terminal):
    os.write(terminal.fd, LEAVE)
    return terminal.finish()


def test_a_terminal_is_left_and_found_again(tiffin, busybox, name, shown):
    first = shown("run", "-it", *NO_NET, "--name", name, busybox, "sh")
    first.expect("# ")
    first.type("kept=7; stty size")
    first.expect("40 200\r\n")
    assert leave(first)[0] == 0
    assert "Up " in row(tiffin, name)
    second = shown("attach", name)
    second.type("echo is-$kept")
    second.expect("is-7")
    told = ("--since", "0", "--until", "0s", "--filter", f"container={name}", "--format", "{{.Action}}")
    assert tiffin("events", *told).stdout.split() == ["create", "attach", "start", "detach", "attach"]
    third = shown("attach", "--detach-keys", "ctrl-x", name)
    third.type("echo both-$((5+5))")
    third.expect("both-10")
    second.expect("both-10")
    os.write(third.fd, b"\x18")
    status, rest = third.finish()
    assert (status, "read escape sequence" in rest) == (1, True)
    second.type("exit 9")
    assert second.finish()[0] == 9
    done = tiffin("attach", name, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "You cannot attach to a stopped container, start it first" in done.stderr
    fourth = shown("start", "-ai", name)
    fourth.expect("# ")
    assert leave(fourth)[0] == 0
    fifth = shown("start", "-ai", name)
    fifth.type("exit 3")
    assert fifth.finish()[0] == 3


@on_root
@pytest.mark.parametrize("end", ["killed", "left", "asked to end"])
def test_a_terminal_has_the_size_of_ours_which_is_as_it_was_whatever_happens(
    tiffin, busybox, name, shown, end
):
    """Attached to, the container goes on when the command that is attached is asked to end."""
    script = "trap 'stty size' WINCH; trap 'echo asked' TERM; while :; do echo ready; sleep 0.05; done"
    tiffin("run", "-dit", *NO_NET, "--name", name, busybox, "sh", "-c", script)
    terminal = shown("attach", name)
    terminal.expect("ready")
    terminal.resize(33, 77)
    terminal.expect("33 77")
    assert terminal.raw
    if end == "killed":
        tiffin("kill", name)
    elif end == "left":
        os.write(terminal.fd, LEAVE)
    else:
        terminal.process.terminate()
    status, _ = terminal.finish()
    assert terminal.after == terminal.before
    assert status == {"killed": 137, "left": 1}.get(end, -signal.SIGTERM)
    assert ("Up " in row(tiffin, name)) == (end != "killed")
    assert "asked" not in tiffin("logs", name).stdout


@on_root
def test_a_hundred_megabytes_go_through_whole(tiffin, busybox, name):
    """By this command as its supervisor, and, without signals passed on, by one of its own."""
    size = 100 << 20
    generator = (
        "import os,sys; b=bytes(range(251))*4178\nfor _ in range(100): sys.stdout.buffer.write(b[:1<<20])"
    )
    wanted = hashlib.sha256((bytes(range(251)) * 4178)[: 1 << 20] * 100).hexdigest()
    for more in ((), ("--sig-proxy=false",)):
        with subprocess.Popen(["python3", "-c", generator], stdout=subprocess.PIPE) as source:
            words = ("run", "--rm", "-i", *NO_NET, "--log-driver=none", *more, busybox, "cat")
            done = tiffin(*words, stdin=source.stdout, text=False)
        assert len(done.stdout) == size
        assert hashlib.sha256(done.stdout).hexdigest() == wanted


@on_root
def test_several_are_attached_and_each_hears_all(tiffin, busybox, name):
    tiffin("run", "-d", *NO_NET, "--name", name, busybox, "sh", "-c", COUNT)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with tiffin.popen("attach", name, **pipes) as one, tiffin.popen("attach", name, **pipes) as two:
        firsts = [int(client.stdout.readline()) for client in (one, two)]
        tiffin("exec", name, "touch", "/stop")
        for first, client in zip(firsts, (one, two), strict=True):
            numbers = [int(line) for line in client.stdout]
            assert numbers == [*range(first + 1, numbers[-1] + 1)]
            errors = [int(line[1:]) for line in client.stderr]
            assert errors == [*range(errors[0], numbers[-1] + 1)]
            assert client.wait(60) == 6


@on_root
def test_signals_go_to_the_container_unless_they_are_to_end_the_command_alone(tiffin, busybox, name):
    script = "trap 'echo asked' TERM; trap 'exit 5' INT; while :; do echo on; sleep 0.02; done"
    words = ("run", "--sig-proxy=false", *NO_NET, "--name", name, busybox, "sh", "-c", script)
    with tiffin.popen(*words, stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == "on\n"
        client.terminate()
        assert client.wait(60) == -signal.SIGTERM
        assert "asked" not in client.stdout.read()
    with tiffin.popen("attach", name, stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == "on\n"
        client.terminate()
        assert "asked\n" in client.stdout
        client.send_signal(signal.SIGINT)
        assert client.wait(60) == 5


@on_root
def test_input_of_a_detached_container_stays_open_for_the_next(tiffin, busybox, name):
    tiffin("run", "-di", *NO_NET, "--name", name, busybox, "cat")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    for word in ("first", "second"):
        with tiffin.popen("attach", "--sig-proxy=false", name, **pipes) as client:
            client.stdin.write(f"{word}\n")
            client.stdin.close()
            assert client.stdout.readline() == f"{word}\n"
            client.terminate()
    assert tiffin("logs", name).stdout == "first\nsecond\n"


@on_root
def test_input_ends_with_the_first_that_feeds_what_was_made_for_it(tiffin, busybox, name):
    tiffin("create", "-i", *NO_NET, "--name", name, busybox, "cat")
    tiffin("start", name)
    assert tiffin("attach", name, input="only\n").stdout == "only\n"


@on_root
def test_only_some_streams_are_attached(tiffin, busybox, name):
    script = "cat; echo out; echo err >&2"
    words = ("-i", *NO_NET, "--name", name, busybox, "sh", "-c", script)
    identity = tiffin("run", "-a", "stdin", *words, input="fed\n").stdout.strip()
    assert tiffin("wait", identity, check=False).returncode in (0, 1)
    until(lambda: "Exited (0)" in row(tiffin, name), "the end")
    done = tiffin("logs", name)
    assert (done.stdout, done.stderr) == ("fed\nout\n", "err\n")
    words = ("-i", "--rm", "--name", f"{name}-2", *NO_NET, busybox, "sh", "-c", "cat; sleep 1000")
    tiffin("run", "-a", "stdin", *words, input="fed\n")
    tiffin("rm", "-f", f"{name}-2")
    done = tiffin("run", "--rm", "-a", "stderr", *NO_NET, busybox, "sh", "-c", script)
    assert (done.stdout, done.stderr) == ("", "err\n")


@on_root
def test_a_container_that_is_started_again_lets_its_clients_go_as_in_docker(tiffin, busybox, name):
    script = "echo once more; test -e /there && exit 5; touch /there; exit 3"
    words = ("run", "--restart=on-failure:1", *NO_NET, "--name", name, busybox, "sh", "-c", script)
    done = tiffin(*words, check=False)
    assert (done.returncode, done.stdout) == (3, "once more\n")
    assert f"{name} is started again in the background (--restart on-failure:1)" in done.stderr
    until(lambda: "Exited (5)" in row(tiffin, name), "the last end")
    assert tiffin("logs", name).stdout == "once more\n" * 2


@on_root
def test_a_command_in_a_container_is_left_and_goes_on(tiffin, busybox, name, shown):
    tiffin("run", "-d", *NO_NET, "--name", name, busybox, "sleep", "1000")
    terminal = shown("exec", "-it", "--detach-keys", "q,q", name, "sh", "-c", "read x; echo $x; sleep 1001")
    terminal.type("aqb")
    terminal.expect("aqb\r\naqb\r\n")
    os.write(terminal.fd, b"qq")
    status, rest = terminal.finish()
    assert (status, "read escape sequence" in rest) == (1, True)
    assert "sleep 1001" in tiffin("top", name).stdout


@on_root
def test_a_terminal_that_is_only_looked_at(tiffin, busybox, name, shown):
    """`-t` without `-i`: nothing that is typed goes in, and Ctrl-C is a signal."""
    script = "trap 'echo got; exit 4' INT; test -t 1 && while :; do echo on; sleep 0.02; done"
    terminal = shown("run", "-t", *NO_NET, "--name", name, busybox, "sh", "-c", script)
    terminal.expect("on")
    assert not terminal.raw
    other = shown("attach", name)
    other.expect("on")
    os.write(terminal.fd, b"\x03")
    status, rest = terminal.finish()
    assert (status, "got" in rest) == (4, True)
    assert other.finish()[0] == 4


@on_root
def test_a_signal_that_ends_a_container_ends_it_for_good(tiffin, busybox, name):
    script = "trap 'exit 9' INT; while :; do echo on; sleep 0.02; done"
    words = ("run", "--restart=always", *NO_NET, "--name", name, busybox, "sh", "-c", script)
    with tiffin.popen(*words, stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == "on\n"
        client.send_signal(signal.SIGINT)
        assert client.wait(60) == 9
    assert "Exited (9)" in row(tiffin, name)


@on_root
def test_what_nobody_can_be_attached_to(tiffin, busybox, name):
    tiffin("create", "-it", *NO_NET, "--name", name, busybox, "sh")
    for prepare, more, message in (
        ((), (), "You cannot attach to a stopped container, start it first"),
        (("start", name), (), "the input device is not a TTY"),
        (("pause", name), ("--no-stdin",), "You cannot attach to a paused container, unpause it first"),
    ):
        if prepare:
            tiffin(*prepare)
        done = tiffin("attach", *more, name, check=False, input="")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"error: {message}\n" in done.stderr


@on_root
def test_a_terminal_is_as_it_was_when_the_supervisor_is_killed(tiffin, busybox, name, shown):
    terminal = shown("run", "-it", *NO_NET, "--name", name, busybox, "sh")
    terminal.expect("# ")
    identity = tiffin("inspect", "--format", "{{.Id}}", name).stdout.strip()
    state = json.loads((tiffin.store / "containers" / identity / "state.json").read_text())
    os.kill(state["supervisor"][0], signal.SIGKILL)
    assert terminal.finish()[0] == 137
    assert terminal.after == terminal.before
