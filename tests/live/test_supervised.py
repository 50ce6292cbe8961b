"""What a supervisor does besides waiting: health checks, new starts, and telling those who wait."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from tests.live.test_run import row, until

pytestmark = pytest.mark.live

on_root = pytest.mark.parametrize("tiffin", ["root"], indirect=True)
IDLE = ("sleep", "1000")
CHECK = ("--health-cmd", "test -e /ok || { echo missing; exit 4; }", "--health-interval=100ms")


@pytest.fixture
def name(tiffin):
    """A name for one container, which is removed in the end."""
    given = f"guarded-{os.urandom(4).hex()}"
    yield given
    tiffin("rm", "-f", "-v", given, check=False)


def state(tiffin, name):
    return json.loads(tiffin("inspect", "--format", "{{json .State}}", name).stdout)


def test_a_health_check_is_run_in_the_container(tiffin, busybox, name):
    script = "touch /ok; exec sleep 1000"
    options = (*CHECK, "--health-retries=2", "--wait-healthy", "--name", name)
    tiffin("run", "-d", *options, busybox, "sh", "-c", script)
    assert "(healthy)" in row(tiffin, name)
    tiffin("exec", name, "rm", "/ok")
    assert tiffin("wait", "--condition=unhealthy", name).stdout == "0\n"
    assert "(unhealthy)" in row(tiffin, name)
    assert tiffin("ps", "-q", "--filter", "health=healthy", "--filter", f"name={name}").stdout == ""
    assert tiffin("ps", "-q", "--filter", "health=unhealthy", "--filter", f"name={name}").stdout
    health = state(tiffin, name)["Health"]
    assert health["FailingStreak"] >= 2
    assert health["Log"][-1]["ExitCode"] == 4
    assert health["Log"][-1]["Output"] == "missing\n"


def test_a_container_that_fails_is_started_again_so_often(tiffin, busybox, name):
    script = "echo once more; test -e /there && exit 5; touch /there; exit 3"
    tiffin("run", "-d", "--restart=on-failure:2", "--name", name, busybox, "sh", "-c", script)
    until(lambda: "Exited (5)" in row(tiffin, name), "the last end")
    assert tiffin("logs", name).stdout == "once more\n" * 3
    found = json.loads(tiffin("inspect", name).stdout)[0]
    assert found["RestartCount"] == 2
    assert found["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}


def test_an_init_passes_signals_on_reaps_and_lets_nobody_look_into_it(tiffin, busybox, name):
    script = """
        trap 'echo asked; exit 7' TERM
        (sleep 0.01 & exec true)  # an orphan
        cat /proc/1/comm; tr '\\0' '|' < /proc/1/cmdline | head -c 12; echo
        readlink /proc/1/exe || echo hidden
        cat /proc/1/environ >/dev/null 2>&1 || echo hidden too
        readlink /proc/1/fd/0 || echo and these
        while grep -q "^State:.Z" /proc/[0-9]*/status; do sleep 0.02; done
        echo ready; while true; do sleep 0.05; done
    """
    tiffin("run", "-d", "--init", "--name", name, busybox, "sh", "-c", script)
    seen = "tiffin-init\ntiffin-init|\nhidden\nhidden too\nand these\nready\n"
    until(lambda: "ready" in tiffin("logs", name).stdout, "readiness")
    assert tiffin("logs", name).stdout == seen
    assert tiffin("exec", name, "sh", "-c", "exit 3", check=False).returncode == 3
    tiffin("stop", name)
    assert tiffin("logs", name).stdout == seen + "asked\n"
    assert "Exited (7)" in row(tiffin, name)
    for command, code in (("exit 5", 5), ("kill -KILL $$", 137), ("exec no-such-program", 127)):
        done = tiffin("run", "--rm", "--init", busybox, "sh", "-c", command, check=False)
        assert done.returncode == code
    assert tiffin("run", "--rm", "--init", busybox, "no-such-program", check=False).returncode == 127


@on_root
def test_a_stop_ends_it_also_between_two_starts(tiffin, busybox, name):
    tiffin("run", "-d", "--restart=always", "--name", name, busybox, "false")
    assert tiffin("wait", name).stdout == "1\n"
    until(lambda: "Restarting (1)" in row(tiffin, name), "a pause")
    refused = tiffin("exec", name, "true", check=False)
    assert (refused.returncode, "not running" in refused.stderr) == (1, True)
    assert tiffin("rm", name, check=False).returncode == 1
    tiffin("stop", name)
    assert "Exited (1)" in row(tiffin, name)
    assert not state(tiffin, name)["Restarting"]
    tiffin("start", name)
    tiffin("rm", "-f", name)


@on_root
def test_a_kill_is_an_end_and_another_signal_is_none(tiffin, busybox, name):
    script = 'trap "exit 6" USR1; echo ready; while true; do sleep 0.05; done'
    tiffin("run", "-d", "--restart=unless-stopped", "--name", name, busybox, "sh", "-c", script)
    until(lambda: tiffin("logs", name).stdout == "ready\n", "the trap")
    tiffin("kill", "-s", "USR1", name)
    until(lambda: tiffin("logs", name).stdout == "ready\n" * 2, "another life")
    tiffin("stop", "-s", "USR1", name)  # of a stop it is the end
    assert "Exited (6)" in row(tiffin, name)
    tiffin("start", name)
    tiffin("kill", name)
    assert "Exited (137)" in row(tiffin, name)


@on_root
def test_restart(tiffin, busybox, folder, name):
    script = "echo $(cat /proc/sys/kernel/random/uuid); exec sleep 1000"
    tiffin(
        "run",
        "-d",
        "--pidfile",
        folder / "pid",
        "--stop-signal=KILL",
        "--name",
        name,
        busybox,
        "sh",
        "-c",
        script,
    )
    first = state(tiffin, name)["Pid"]
    assert (folder / "pid").read_text() == f"{first}\n"
    assert tiffin("restart", name).stdout == f"{name}\n"
    second = state(tiffin, name)["Pid"]
    assert second != first
    assert (folder / "pid").read_text() == f"{second}\n"
    until(lambda: len(tiffin("logs", name).stdout.split()) == 2, "both lives wrote")
    refused = tiffin("restart", "no-such", check=False)
    assert (refused.returncode, "no-such" in refused.stderr) == (1, True)


@on_root
def test_after_a_reboot_what_is_to_run_runs(tiffin, busybox, name):
    """A reboot is a killed supervisor and another boot id."""
    kept = tiffin("run", "-d", "--restart=unless-stopped", "--name", name, busybox, *IDLE).stdout.strip()
    path = tiffin.store / "containers" / kept / "state.json"
    before = json.loads(path.read_text())
    assert tiffin("system", "start-all").stdout == ""
    path.write_text(json.dumps({**before, "boot": "another", "supervisor": [os.getpid(), 0]}))
    assert state(tiffin, name)["Error"] == "the machine was started anew"
    os.kill(before["supervisor"][0], signal.SIGKILL)
    until(lambda: not Path(f"/proc/{before['pid']}").exists(), "the end of the container")
    assert tiffin("system", "start-all", "--dry-run").stdout == f"{name}\n"
    assert tiffin("system", "start-all").stdout == f"{name}\n"
    assert "Up" in row(tiffin, name)
    tiffin("stop", "-t", "0", name)
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "another"}))
    assert tiffin("system", "start-all").stdout == ""


@on_root
def test_a_check_that_hangs_and_one_that_cannot_be_run(tiffin, busybox, name):
    options = ("--health-interval=100ms", "--health-timeout=1500ms", "--health-retries=1", "--name", name)
    hangs = ("--health-cmd", "echo on my way; sleep 1000")
    failed = tiffin("run", "-d", "--wait", *hangs, *options, busybox, *IDLE, check=False)
    assert failed.returncode == 1
    assert "is unhealthy: Health check exceeded timeout (1.5s): on my way" in failed.stderr
    assert state(tiffin, name)["Health"]["Log"][0]["ExitCode"] == -1
    tiffin("rm", "-f", name)


@on_root
def test_the_check_of_an_image_and_none(tiffin, busybox, folder, name):
    (folder / "Dockerfile").write_text(
        f"FROM {busybox}\nHEALTHCHECK --interval=100ms CMD head -c 5000 /dev/zero | tr '\\0' x\n"
    )
    tiffin("build", "-q", "-t", "checked", folder)
    tiffin("run", "-d", "--wait", "--name", name, "checked", *IDLE)
    assert state(tiffin, name)["Health"]["Log"][0]["Output"] == "x" * 4096 + "..."
    tiffin("rm", "-f", name)
    tiffin("run", "-d", "--wait", "--no-healthcheck", "--name", name, "checked", *IDLE)
    assert "Health" not in state(tiffin, name)


def asks(process):
    """Whether the process is connected to a supervisor; what it was given are 0 to 2."""
    folder = Path(f"/proc/{process.pid}/fd")
    links = []
    for name in set(os.listdir(folder)) - {"0", "1", "2"}:
        with suppress(FileNotFoundError):  # closed since
            links.append(os.readlink(folder / name))
    return any(link.startswith("socket:") for link in links)


@on_root
def test_waiting_for_what_does_not_come(tiffin, busybox, name):
    failed = tiffin("run", "-d", "--wait", *CHECK, "--name", name, busybox, "sh", "-c", "exit 9", check=False)
    assert (failed.returncode, "ended with 9 before it was healthy" in failed.stderr) == (1, True)
    tiffin("rm", name)
    wanted = ("--wait", "--wait-timeout=1", "--health-cmd=true", "--health-interval=1h")
    failed = tiffin("run", "-d", *wanted, "--name", name, busybox, *IDLE, check=False)
    assert (failed.returncode, "not healthy within 1 seconds" in failed.stderr) == (1, True)
    waiter = tiffin.popen("wait", "--condition=removed", name)
    until(
        lambda: asks(waiter), "the command does not wait"
    )  # for what was gone before there is nothing to wait
    tiffin("rm", "-f", name)
    assert waiter.wait(30) == 0


@on_root
def test_what_excludes_each_other(tiffin, busybox):
    for options in (("-d",), ()):
        refused = tiffin("run", "--rm", *options, "--restart=always", busybox, "true", check=False)
        assert (refused.returncode, "--restart" in refused.stderr) == (125, True)
    refused = tiffin("run", "-d", "--wait-healthy", "--rm", busybox, *IDLE, check=False)
    assert (refused.returncode, "no health check" in refused.stderr) == (125, True)
    refused = tiffin("run", "--wait", busybox, "true", check=False)
    assert (refused.returncode, "--detach" in refused.stderr) == (125, True)


@on_root
def test_a_flood_stays_within_its_limit_and_the_newest_is_read(tiffin, busybox, name):
    script = "head -c 8000000 /dev/zero | tr '\\0' x | fold -w 999; echo; echo the end"
    limit = ("--log-opt", "max-size=100k", "--log-opt=max-file=3")
    tiffin(
        "run",
        "--name",
        name,
        *limit,
        busybox,
        "sh",
        "-c",
        script,
        stdout=subprocess.DEVNULL,
        capture_output=False,
    )
    directory = next(
        path for path in (tiffin.store / "containers").iterdir() if (path / "log.json.2").exists()
    )
    sizes = [path.stat().st_size for path in directory.glob("log.json*")]
    assert len(sizes) == 3
    assert max(sizes) <= 100 << 10
    assert tiffin("logs", "--tail=2", name).stdout == "x" * 8 + "\nthe end\n"
    assert 200 < len(tiffin("logs", name).stdout.splitlines()) < 300
    shown = json.loads(tiffin("inspect", "--format", "{{json .HostConfig.LogConfig}}", name).stdout)
    assert shown == {"Type": "json-file", "Config": {"max-size": "100k", "max-file": "3"}}


@on_root
def test_no_log_is_kept_when_none_is_wanted(tiffin, busybox, name):
    done = tiffin("run", "--log-driver=none", "--name", name, busybox, "echo", "seen")
    assert done.stdout == "seen\n"
    refused = tiffin("logs", name, check=False)
    assert (refused.returncode, "does not support reading" in refused.stderr) == (1, True)
    refused = tiffin("run", "--rm", "--log-driver=syslog", busybox, "true", check=False)
    assert (refused.returncode, "syslog" in refused.stderr) == (125, True)


@on_root
def test_the_unit_calls_this_very_program(tiffin):
    unit = tiffin("generate", "systemd").stdout
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    assert line == f"ExecStart={tiffin.command[-1]} system start-all"
    assert f"Environment=TIFFIN_HOME={tiffin.store}" in unit
    assert "WantedBy=multi-user.target" in unit
    assert "WantedBy=default.target" in tiffin("generate", "systemd", "--user").stdout
