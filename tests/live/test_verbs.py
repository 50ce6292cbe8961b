"""The verbs around containers as a user types them, on every rung."""

import re

import pytest

pytestmark = pytest.mark.live


@pytest.fixture
def made(tiffin, busybox):
    """A container that was made and does not run yet."""
    command = ("sh", "-c", "echo begun; exec sleep 1234")
    identity = tiffin("create", "--name", "made", "-p", "127.0.0.1::8000", busybox, *command).stdout.strip()
    yield identity
    tiffin("rm", "-f", identity)


def test_from_made_to_gone(tiffin, made):
    assert tiffin("ps", "-a", "--filter", f"id={made}", "--format", "{{.State}}").stdout == "created\n"
    assert tiffin("top", "made", check=False).returncode == 1
    tiffin("container", "rename", "made", "renamed")
    assert tiffin("start", "renamed").stdout == "renamed\n"
    found = re.fullmatch(r"8000/tcp -> (127\.0\.0\.1:\d+)\n", tiffin("port", "renamed").stdout)
    assert found is not None
    assert tiffin("port", made[:12], "8000/tcp").stdout == f"{found[1]}\n"
    titles, row = tiffin("top", "renamed").stdout.splitlines()
    assert titles.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert row.endswith(" sleep 1234")
    missed = tiffin("port", "renamd", check=False)
    assert (missed.returncode, "renamed" in missed.stderr) == (1, True)
