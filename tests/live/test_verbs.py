"""The verbs around containers as a user types them, on every rung."""

import io
import json
import os
import re
import tarfile
from pathlib import Path

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
    used = json.loads(tiffin("stats", "--no-stream", "--format", "json", "renamed").stdout)
    assert (used["Name"], used["PIDs"], used["ID"]) == ("renamed", "1", made[:12])
    assert re.fullmatch(r"[\d.]+[KM]iB / [\d.]+[GT]iB", used["MemUsage"])
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


@pytest.fixture(scope="module", params=["running", "stopped"])
def target(tiffin, busybox, request):
    """A container with a folder, and with links that lead out of it for who follows them on this machine."""
    script = (
        "mkdir -p /srv/in; cd /srv; echo one > in/one; ln in/one in/two; ln -s /etc/passwd in/link; "
        f"ln -s {tiffin.home} out; ln -s ../../../../../../../{tiffin.home} up; ln -s in alias; "
        "touch /srv/ready; exec sleep 1000"
    )
    tiffin("run", "-d", "--name", request.param, busybox, "sh", "-c", script)
    tiffin("exec", request.param, "sh", "-c", "until [ -e /srv/ready ]; do sleep 0.01; done")
    if request.param == "stopped":
        tiffin("kill", request.param)
    yield request.param
    tiffin("rm", "-f", request.param)


def test_copies_there_and_back(tiffin, target, folder):
    source = folder / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep/file").write_text("text")
    (source / "deep/file").chmod(0o640)
    (source / "deep/link").symlink_to("file")
    owner = folder.stat()
    for each in (source, *source.rglob("*")):
        os.chown(each, owner.st_uid, owner.st_gid, follow_symlinks=False)
    tiffin("cp", source, f"{target}:/srv/alias")
    tiffin("cp", f"{source}/.", f"{target}:/srv/new")
    tiffin("cp", source / "deep/file", f"{target}:/srv/in/named")
    tiffin("cp", f"{target}:/srv/in", folder / "back")
    back = folder / "back"
    assert sorted(each.name for each in back.iterdir()) == ["link", "named", "one", "source", "two"]
    assert (back / "source/deep/file").read_text() == (back / "named").read_text() == "text"
    assert (back / "named").stat().st_mode & 0o7777 == 0o640
    assert (back / "named").stat().st_uid == owner.st_uid
    assert (back / "one").stat().st_ino == (back / "two").stat().st_ino
    assert str((back / "source/deep/link").readlink()) == "file"
    tiffin("cp", f"{target}:/srv/new/deep/file", f"{back}/one")
    assert (back / "one").read_text() == "text"
    packed = tiffin("cp", f"{target}:/srv/new", "-", text=False).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert tar.getnames() == ["new", "new/deep", "new/deep/file", "new/deep/link"]
        assert {(member.uid, member.gid) for member in tar} == {(0, 0)}
    tiffin("cp", "-", f"{target}:/tmp", input=packed, text=False)
    tiffin("cp", f"{target}:/tmp/new/deep/file", folder / "again")
    assert (folder / "again").read_text() == "text"


def test_links_that_a_container_made_lead_nowhere_else(tiffin, target, folder):
    secret = tiffin.home / "secret"
    secret.write_text("of this machine")
    (folder / "file").write_text("text")
    for link in ("out", "up"):
        read = tiffin("cp", "-L", f"{target}:/srv/{link}/secret", folder / "stolen", check=False)
        assert read.returncode == 1
        assert "Traceback" not in read.stderr
        written = tiffin("cp", folder / "file", f"{target}:/srv/{link}/file", check=False)
        assert (written.returncode, (tiffin.home / "file").exists()) == (1, False)
    tiffin("cp", f"{target}:/srv/in/link", folder / "link")
    assert str((folder / "link").readlink()) == "/etc/passwd"
    tiffin("cp", "-L", f"{target}:/srv/in/link", folder / "followed")
    assert (folder / "followed").read_text().startswith("root:")
    assert (folder / "followed").read_text() != Path("/etc/passwd").read_text()
    for wrong in ("/srv/nothing", "/srv/in/one/deeper"):
        missed = tiffin("cp", f"{target}:{wrong}", folder, check=False)
        assert (missed.returncode, wrong in missed.stderr) == (1, True)
