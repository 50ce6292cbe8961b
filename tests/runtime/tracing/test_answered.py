"""Programs whose calls are answered, with real effects: tried from inside by `inside.py`."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.runtime.tracing.place import NOBODY, PYTHON, Place

from tiffin.linux.sysnum import numbers

pytestmark = pytest.mark.live

ASKED = (
    "openat",
    "newfstatat",
    "fchmodat",
    "unlinkat",
    "readlinkat",
    "execve",
    "openat2",
    "setrlimit",
    "capget",
    "capset",
)


@pytest.fixture(scope="module")
def place():
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else, who has no rights")
    # Not in pytest's own folder, which the next run closes for others again.
    folder = Path(tempfile.mkdtemp(prefix="tiffin-traced-", dir="/var/tmp"))
    yield Place(folder)
    shutil.rmtree(folder)


def test_what_programs_try_comes_to_what_it_should(place):
    secret = place.folder / "secret"
    secret.write_text("secret")
    asked = json.dumps({name: numbers(os.uname().machine)[name] for name in ASKED})
    (place.root / "inside.py").write_bytes((Path(__file__).parent / "inside.py").read_bytes())
    done = place.run(str(PYTHON), "-IS", "/inside.py", asked, str(secret))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) > 60
    assert [name for name, holds in found.items() if not holds] == []


@pytest.mark.parametrize(
    ("refused", "reason"), [("", ""), ("ptrace", "traced"), ("seccomp", "permitted"), ("prctl", "permitted")]
)
def test_whether_calls_can_be_answered_is_found_by_trying(place, refused, reason):
    said = place.missing(refused)
    assert said == "" if not refused else reason in said


@pytest.mark.parametrize(
    ("command", "status"),
    [("exit 3", 3), ("kill -9 $$", 137), ("exec /none", 127), ("exec /etc/passwd", 126)],
)
def test_how_a_program_ended_is_told(place, command, status):
    assert place.run("/bin/sh", "-c", command).returncode == status


def test_users_have_what_is_theirs(place):
    script = (
        "chown app:app /home/app; su app -c 'id -u; touch /home/app/x; mkdir /etc/y; chown root /home/app/x'"
    )
    done = place.run("/bin/sh", "-c", f"{script}; stat -c %u:%g /home/app/x")
    assert done.stdout.split() == ["7", "7:8"]
    assert done.stderr.count("ermission denied") + done.stderr.count("not permitted") == 2
    assert place.run("/bin/id", "-u", uid=12).stdout == "12\n"
    made = [path for path in place.root.rglob("*") if path.lstat().st_uid != NOBODY]
    assert made in ([], [place.root / "inside.py"])


def test_a_program_that_is_no_program_is_an_error(place):
    done = place.run("/etc/passwd")
    assert done.returncode != 0
    assert "not executable" in done.stderr or "ermission" in done.stderr


def test_those_who_are_left_behind_are_answered_until_the_end(place):
    script = "(while :; do cat /etc/passwd > /dev/null; done) & sleep 0.1 2>/dev/null; echo end"
    assert place.run("/bin/sh", "-c", script).stdout == "end\n"
    left = subprocess.run(
        ["pgrep", "-u", str(NOBODY), "-f", str(place.root)], capture_output=True, check=False
    )
    assert left.stdout == b""
