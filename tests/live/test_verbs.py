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


def test_what_a_container_wrote_in_all_its_forms(tiffin, busybox, folder):
    script = "echo new > /etc/new; chown 0:0 /etc/new; rm /etc/passwd; echo in > /etc/hosts"
    tiffin("run", "--name", "writer", busybox, "sh", "-c", script)
    try:
        assert tiffin("diff", "writer").stdout == "C /etc\nA /etc/new\nD /etc/passwd\n"
        tiffin("export", "-o", folder / "all.tar", "writer")
        tiffin("import", "-c", 'CMD ["cat", "/etc/new"]', folder / "all.tar", "taken-in")
        assert tiffin("run", "--rm", "taken-in").stdout == "new\n"
        identity = tiffin("commit", "-c", "CMD cat /etc/new; ls /etc/passwd", "writer", "kept").stdout
        done = tiffin("run", "--rm", "kept", check=False)
        assert done.stdout == "new\n"
        assert done.returncode == 1
        assert tiffin("image", "inspect", "-f", "{{.Id}}", "kept").stdout == identity
        assert tiffin("commit", "-c", "CMD cat /etc/new; ls /etc/passwd", "writer").stdout == identity
    finally:
        tiffin("rm", "-f", "writer")
        tiffin("rmi", "taken-in", "kept", check=False)
