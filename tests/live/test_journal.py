"""The system's journal: a real one, in a mount namespace of its own, that containers write to."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

JOURNALD = Path("/lib/systemd/systemd-journald")
BEGINS = """
mount -t tmpfs none /run/systemd && mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log
mount -t tmpfs none /run/log && mkdir /run/log/journal
printf '[Journal]\\nStorage=volatile\\nAudit=no\\nReadKMsg=no\\n' > /run/systemd/journald.conf.d/test.conf
$0 2>/dev/null & journald=$!
until [ -S /run/systemd/journal/socket ]; do sleep 0.02; done
echo ready; read -r end; kill $journald; wait
"""


@pytest.fixture
def journal(tiffin):
    """The command, on a machine that has a journal."""
    if not JOURNALD.exists():
        pytest.skip("the package systemd is not installed")
    words = ["unshare", "--mount", "sh", "-c", BEGINS, str(JOURNALD)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "ready\n"
            yield tiffin._replace(command=("nsenter", "--mount", "-t", str(holder.pid), *tiffin.command))
        finally:
            holder.stdin.close()


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_what_goes_into_the_journal_comes_out_of_logs(journal, busybox):
    script = "echo one; sleep 0.1; echo two >&2; sleep 0.1; printf '\\377 three\\n'; printf half"
    run = ("run", "-d", "--network", "none", "--log-driver", "journald", "--name", "written")
    journal(*run, busybox, "sh", "-c", script)
    try:
        followed = journal("logs", "-f", "written", text=False)
        assert (followed.stdout, followed.stderr) == (b"one\n\xff three\nhalf", b"two\n")
        assert journal("logs", "--tail", "1", "written").stdout == "half"
        stamped = journal("logs", "-t", "written", text=False).stdout.splitlines()
        since = stamped[1][: len("2026-01-31T12:44:56.000")].decode() + "Z"
        assert journal("logs", "--since", since, "written", text=False).stdout == b"\xff three\nhalf"
        told = journal("inspect", "-f", "{{.HostConfig.LogConfig.Type}}|{{.LogPath}}", "written").stdout
        assert told == "journald|\n"
    finally:
        journal("rm", "-f", "written")


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_what_is_not_kept_cannot_be_read(tiffin, busybox):
    tiffin("create", "--network", "none", "--log-driver", "none", "--name", "silent", busybox, "true")
    try:
        done = tiffin("logs", "silent", check=False)
        assert (done.returncode, "does not support reading" in done.stderr) == (1, True)
    finally:
        tiffin("rm", "silent")
