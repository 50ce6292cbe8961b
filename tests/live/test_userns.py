"""Whose the ids of a container's users are, and the files that it makes."""

import os
import pwd
from pathlib import Path

import pytest

pytestmark = pytest.mark.live


def run(tiffin, *words):
    return tiffin("run", "--rm", "--network", "none", *words, check=False)


@pytest.fixture(scope="session")
def notebook(tiffin, busybox):
    """An image with a user 1234, who has a directory; and the numbers of the account."""
    place = tiffin.home / "notebook"
    place.mkdir()
    (place / "Dockerfile").write_text(
        f"FROM {busybox}\nRUN mkdir -p /home/nb && echo nb:x:1234:1234::/home/nb:/bin/sh >> /etc/passwd "
        "&& echo mine > /home/nb/f && chown -R 1234:1234 /home/nb\nUSER nb\nWORKDIR /home/nb\n"
    )
    owner = tiffin.home.stat()
    for path in (place, place / "Dockerfile"):
        os.chown(path, owner.st_uid, owner.st_gid)
    tiffin("build", "-q", "-t", "notebook", place)
    return "notebook"


def test_the_account_keeps_its_id_and_its_files(tiffin, busybox, folder):
    script = "id -u; id -g; whoami; echo $HOME; echo new > made; echo x > /etc/x && echo written"
    script += "; ls -nd /data"
    words = ("--userns", "keep-id", "-v", f"{folder}:/data", "-w", "/data", busybox, "sh", "-c", script)
    done = run(tiffin, *words)
    if tiffin.rung == "root":
        assert done.returncode == 125
        assert "that is root" in done.stderr
        return
    uid, gid = (folder.stat().st_uid, folder.stat().st_gid)
    name = pwd.getpwuid(uid).pw_name
    assert done.stdout.split()[:5] == [str(uid), str(gid), name, "/data", "written"], done.stderr
    assert done.stdout.splitlines()[5].split()[2:4] == [str(uid), str(gid)]
    assert (folder / "made").stat().st_uid == uid


def test_such_a_container_reaches_out_as_others_do(tiffin, busybox):
    if tiffin.rung == "root":
        return
    look = (busybox, "sh", "-c", "ip route | grep -c default; ip link | grep -c eth0")
    assert tiffin("run", "--rm", "--userns", "keep-id", *look, check=False).stdout == (
        tiffin("run", "--rm", *look, check=False).stdout
    )


def test_the_account_is_the_user_of_the_image(tiffin, notebook, folder):
    """What belongs to that user in the image belongs to it in the container, and root has another id."""
    if tiffin.rung == "root":
        assert run(tiffin, "--userns", "keep-id:uid=1234", notebook, "true").returncode == 125
        return
    script = "id -u; cat f; echo more >> f && stat -c %u:%g f; echo x > /data/made; stat -c %u /data"
    words = ("--userns", "keep-id:uid=1234,gid=1234", "-v", f"{folder}:/data", notebook, "sh", "-c", script)
    for _ in range(2):  # a copy of the layer is made once
        done = run(tiffin, *words)
        assert done.stdout.split() == ["1234", "mine", "1234:1234", "1234"], done.stderr
    assert (folder / "made").stat().st_uid == folder.stat().st_uid


def test_such_a_container_is_entered_and_copied_but_not_committed(tiffin, notebook):
    if tiffin.rung == "root":
        assert tiffin("create", "--userns", "keep-id", notebook, check=False).returncode == 125
        return
    words = ("--name", "kept", "--network", "none", "--userns", "keep-id:uid=1234,gid=1234")
    tiffin("run", "-d", *words, notebook, "sleep", "1000")
    try:
        assert tiffin("exec", "kept", "id", "-u").stdout.strip() == "1234"
        tiffin("exec", "kept", "sh", "-c", "echo out > /tmp/file")
        tiffin("cp", "kept:/tmp/file", tiffin.home / "copied")
        assert (tiffin.home / "copied").read_text() == "out\n"
        other = "0" if tiffin.rung == "rootless" else "1234"
        assert tiffin("exec", "-u", "0", "kept", "id", "-u").stdout.strip() == other
        tiffin("stop", "-t", "0", "kept")
        tiffin("start", "kept")
        assert tiffin("exec", "kept", "cat", "/tmp/file").stdout == "out\n"
        done = tiffin("commit", "kept", "again", check=False)
        assert (done.returncode, "keep-id" in done.stderr) == (1, True), done.stderr
    finally:
        tiffin("rm", "-f", "kept")


def test_ids_of_its_own(tiffin, busybox):
    shown = [run(tiffin, "--userns", "auto:size=3000", busybox, "cat", "/proc/self/uid_map")]
    if tiffin.rung != "root":
        assert shown[0].returncode == 125
        assert "--userns auto needs root" in shown[0].stderr
        return
    try:
        for name in ("auto-1", "auto-2"):
            tiffin(
                "create", "--name", name, "--userns", "auto:size=3000", busybox, "cat", "/proc/self/uid_map"
            )
        shown = [tiffin("start", "-a", name).stdout.split() for name in ("auto-1", "auto-2")]
        assert [line[2] for line in shown] == ["3000", "3000"]
        assert abs(int(shown[0][1]) - int(shown[1][1])) >= 3000
    finally:
        tiffin("rm", "-f", "auto-1", "auto-2", check=False)


def test_the_ids_of_the_machine(tiffin, busybox):
    """Root of this machine has no devices but those it was given, also where it makes nodes."""
    script = "cat /proc/self/uid_map; for d in /dev /tmp /data; do mknod $d/k c 1 11; "
    script += "head -c 1 $d/k && echo read; done"
    script += "; echo x > /proc/sys/kernel/core_pattern; head -c 1 /dev/zero | wc -c"
    done = run(tiffin, "--userns", "host", "-v", "/data", busybox, "sh", "-c", script)
    lines = done.stdout.split()
    if tiffin.rung == "root":
        assert lines[:3] == ["0", "0", "4294967295"], done.stderr
        assert done.stderr.count("Permission denied") == 3
    else:
        assert lines[0] == "0"
        assert int(lines[2]) < 4294967295
    if tiffin.rung != "single-id":  # there a file stands for the node
        assert "read" not in lines
    assert lines[-1] == "1"
    assert "core_pattern: Read-only file system" in done.stderr


def test_a_privileged_container_of_the_machine_s_ids_has_what_we_have(tiffin, busybox):
    options = ("--userns", "host", "--privileged", "--network", "none", "--name", "privileged")
    tiffin("run", "-d", *options, busybox, "sleep", "1000")
    try:
        line = "grep CapBnd /proc/self/status"
        inside = tiffin("exec", "--privileged", "privileged", "sh", "-c", line).stdout.split()[1]
        outside = Path("/proc/self/status").read_text().partition("CapBnd:")[2].split()[0]
        assert tiffin.rung != "root" or inside == outside
        assert tiffin("exec", "privileged", "sh", "-c", "mount -t tmpfs t /tmp && echo yes").stdout == "yes\n"
    finally:
        tiffin("rm", "-f", "privileged")
