"""Owners, whoever keeps them: what steps do to them is in the layers, and each rung makes the same of it."""

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.live import hostile, kept, trees
from tests.live.cases import own

from tiffin.linux.sysnum import numbers

pytestmark = pytest.mark.live

NUMBERS = {
    name: numbers(os.uname().machine)[name]
    for name in ("fchownat", "newfstatat", "setgroups", "symlinkat", "getresuid", "mkdirat", "openat")
}
STEPS = """\
FROM {base}
RUN echo app:x:700:700::/home/app:/bin/sh >> /etc/passwd && echo data:x:701:app >> /etc/group && \\
    echo app:x:700: >> /etc/group && mkdir -p /home/app /srv/a /var/shared && chmod 1777 /tmp && \\
    chown app:app /home/app && touch /srv/a/f && ln -s f /srv/a/link && ln -s f /srv/a/gone && \\
    ln /srv/a/f /srv/a/second && \\
    mkfifo /srv/a/fifo && cp /bin/busybox /bin/tool && chown app:data /bin/tool && chmod 4750 /bin/tool && \\
    chown -R app:data /srv && chown -h 5:6 /srv/a/link && chgrp data /var/shared && \\
    chmod 2775 /var/shared && touch /var/shared/f && mkdir /var/shared/d
RUN test "$(stat -c %u:%g /srv/a/f /srv/a/link /srv/a/fifo /var/shared/f /var/shared/d | xargs)" = \\
    "700:701 5:6 700:701 0:701 0:701" && su app -c 'id -u > /tmp/id; touch /tmp/su; ln -s su /tmp/link' && \\
    mv /tmp/link /tmp/moved && rm /srv/a/gone && ln -s f /srv/a/gone && chown -h 8:9 /bin/vi && \\
    test "$(stat -c %u:%g /srv/a/gone)" = 0:0 && chown 0:0 /srv/a/second && \\
    tar -C / -cf /tmp/t.tar srv && mkdir /again && tar -p -C /again -xf /tmp/t.tar && rm /tmp/t.tar && \\
    chown 700 /srv/a/f && chmod 4755 /srv/a/f && cp -a /var/shared /copy
USER app
WORKDIR /home/app
RUN id > who && umask 027 && mkdir -p d/e && echo x > d/e/f && ln -s e d/l && mkfifo d/p && cp who again && \
    ! touch /etc/none && ! chown 0 who && ! test -w /etc && test -w . && ! (echo x > /etc/passwd) && rm again
"""


def build(tiffin, folder, text, *options):
    (folder / "Dockerfile").write_text(text)
    own(folder)
    return tiffin("build", "-q", "-t", "owned", *options, folder)


def test_steps_give_files_away_and_each_rung_makes_the_same_layers(tiffin, busybox, folder, first):
    build(tiffin, folder, STEPS.format(base=busybox))
    layers = tiffin("image", "inspect", "-f", "{{json .RootFS.Layers}}", "owned").stdout
    archive = folder / "owned.tar"
    tiffin("save", "-o", archive, "owned")
    tree = trees.tree(trees.documents(archive)[1])
    found = {
        path: (tree[path].owner, tree[path].mode) for path in ("bin/tool", "srv/a/f", "again/srv/a/second")
    }
    assert {path: owner for path, (owner, _) in found.items()} == {
        "bin/tool": "700:701",
        "srv/a/f": "700:701",
        "again/srv/a/second": "0:0",
    }
    assert [
        tree[path].owner for path in ("srv/a/link", "bin/vi", "tmp/moved", "home/app/d/l", "home/app/d/p")
    ] == [
        "5:6",
        "8:9",
        "700:700",
        "700:700",
        "700:700",
    ]
    assert first("layers", layers.encode()) == layers.encode()


def test_containers_see_owners_and_keep_what_is_changed(tiffin, busybox):
    script = "touch /f; ln -s f /l; chown 7:8 /f; chown -h 9:9 /l; touch /started; sleep 100"
    tiffin("run", "-d", "--name", "owning", busybox, "sh", "-c", f"umask 0; {script}")
    try:
        tiffin("exec", "owning", "sh", "-c", "until test -e /started; do sleep 0.1; done")
        seen = tiffin("exec", "owning", "stat", "-c", "%u:%g", "/f", "/l").stdout.split()
        mine = tiffin(
            "exec", "-u", "anna", "owning", "sh", "-c", "id -u; touch /tmp/m; stat -c %u /tmp/m", check=False
        )
        tiffin("commit", "owning", "committed")
    finally:
        tiffin("rm", "-f", "owning")
    assert seen == ["7:8", "9:9"]
    assert mine.stdout.split()[0] == "1000"
    kept = tiffin("run", "--rm", "committed", "stat", "-c", "%u:%g", "/f", "/l").stdout.split()
    assert kept == ["7:8", "9:9"]


@pytest.fixture(scope="module")
def python():
    """Options and command that give a container the Python of this machine."""
    program = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    folders = [folder for folder in ("/usr", "/lib", "/lib64") if Path(folder).is_dir()]
    mounts = [word for folder in folders for word in ("-v", f"{folder}:{folder}:ro")]
    return (*mounts, "-e", "LD_LIBRARY_PATH=/usr/local/lib"), (program, "-IS", "-")


@pytest.mark.parametrize("tiffin", ["single-id"], indirect=True)
def test_who_answers_is_not_led_out_and_does_not_fall(tiffin, busybox, python, folder):
    outside = folder / "outside"
    outside.write_text("of the host")
    outside.chmod(0o666)
    before = outside.stat()
    options, command = python
    script = f"{Path(hostile.__file__).read_text()}\n\nmain({str(outside)!r}, {NUMBERS!r})\n"
    done = tiffin("run", "--rm", "-i", "--network", "none", *options, busybox, *command, input=script)
    assert done.stdout.splitlines()[-1].strip() == "still answered", done.stdout
    assert "failed" not in done.stdout
    after = outside.stat()
    assert (after.st_uid, after.st_mode, after.st_ctime_ns) == (
        before.st_uid,
        before.st_mode,
        before.st_ctime_ns,
    )
    assert not [name for name in os.listxattr(outside) if name.startswith("user.tiffin")]


@pytest.mark.parametrize("tiffin", ["single-id"], indirect=True)
def test_programs_see_what_is_kept(tiffin, busybox, python):
    options, command = python
    script = f"{Path(kept.__file__).read_text()}\n\nmain()\n"
    done = tiffin("run", "--rm", "-i", "--network", "none", *options, busybox, *command, input=script)
    assert json.loads(done.stdout) == {
        "attributes": [["user.mine"], "Operation not supported", "5:6"],
        "another_root": ["9:9", "10:10"],
        "as_another": {
            "ids": [[7, 7, 7], [7, 7, 7], [8]],
            "limit": [-1, -1],
            "made": ["7:7", "7:7"],
            "failed": ["Operation not permitted", "Permission denied", "Operation not permitted"],
            "may": [False, False, True, True],
        },
        "capable": [[8, 8, 8], 1, [7, 8]],
        "handed_on": ["0:50"] * 4,
    }
