"""What goes wrong: commands killed at any moment, a full disk, archives that mean harm; what comes after."""

import io
import json
import os
import random
import re
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from tests.live import cases

pytestmark = pytest.mark.live

PATIENCE = 20
LONGEST_STEP = 300
"""How long a step of the tests beside us may take, in seconds: pip unpacks a framework."""
ROUNDS = 6
MARK = f"31337.{os.getpid()}"  # seconds that a container of these tests, and of no others, sleeps


def processes(tiffin):
    """All processes of this tiffin, and of the containers of these tests."""
    installed = os.fsencode(Path(tiffin.command[-1]).parent)
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if installed in words or MARK.encode() in words:
                found.add((entry.name, words))
    return found


def mounts(tiffin):
    """What is mounted in the account's folder, or from there; others mount at the same time."""
    places = (str(tiffin.home), str(tiffin.store))
    found = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line for line in found if any(place in line for place in places)}


def interfaces():
    """The network's devices but the bridge, which stays a moment for the next container."""
    return {name for name in os.listdir("/sys/class/net") if not name.startswith("tiffin")}


def until(condition, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {patience} s: {what()}")
        time.sleep(0.05)


@pytest.fixture
def tidy(tiffin, busybox):
    """Afterwards nothing more is mounted, runs or is connected than before."""
    before = processes(tiffin), mounts(tiffin), interfaces()
    yield
    for name in tiffin("ps", "-aq", "--filter", "label=killed").stdout.split():
        tiffin("rm", "-f", name)
    until(lambda: processes(tiffin) <= before[0], lambda: processes(tiffin) - before[0])
    assert mounts(tiffin) <= before[1]
    if tiffin.rung == "root":  # nobody else makes any, but for tests beside us, whose go too
        late = interfaces() - before[2]
        until(lambda: not late & interfaces(), lambda: late & interfaces(), LONGEST_STEP)


def killed(tiffin, moment, *arguments, **options):
    """Start a command and kill it without notice; how long it lasts is `moment`."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    process = tiffin.popen(*arguments, **quiet)
    time.sleep(moment)
    process.kill()
    process.wait()


def moments(longest):
    """Different ones each time; a failure names the one it came with."""
    return [random.uniform(0, longest) for _ in range(ROUNDS)]


def test_builds_killed_at_any_moment(tiffin, busybox, folder, tidy):
    step = "RUN cp -r /data /copy && sleep 0.2 && echo end > /copy/end"
    text = f"FROM {busybox}\nCOPY data /data\n{step}\nCOPY data /again\n"
    cases.write(folder, {"Dockerfile": text, **{f"data/{n}": f"{n}\n" * 1000 for n in range(50)}})
    for moment in moments(1.2):
        killed(tiffin, moment, "build", "-t", "killed", folder)
        assert tiffin("images", "-q").stdout, moment
    tiffin("build", "-q", "-t", "killed", folder)
    script = (
        "cd /data && for f in *; do cmp $f /copy/$f && cmp $f /again/$f && echo same; done; cat /copy/end"
    )
    shown = tiffin("run", "--rm", "killed", "sh", "-c", script).stdout.split()
    assert shown == ["same"] * 50 + ["end"]
    assert tiffin("system", "fsck").stdout.endswith("All is as it should be\n")
    # What the dead left is found and taken away.
    tiffin("system", "prune", "-f")
    assert not list((tiffin.store / "work").iterdir())


def test_containers_killed_at_any_moment(tiffin, busybox, folder, tidy):
    for moment in moments(0.8):
        options = ["--rm"] if moment < 0.4 else []
        killed(
            tiffin, moment, "run", *options, "-l", "killed", "-p", "127.0.0.1:0:80", busybox, "sleep", MARK,
        )  # fmt: skip
        listed = tiffin("ps", "-a", "--filter", "label=killed", "--format", "{{.Status}}").stdout
        assert "Up" not in listed or until_none_is_up(tiffin), moment
    tiffin("run", "--rm", busybox, "true")
    tiffin("system", "fsck")


def until_none_is_up(tiffin):
    def gone():
        return "Up" not in tiffin("ps", "--filter", "label=killed", "--format", "{{.Status}}").stdout

    until(gone, lambda: "a container without its command ends")
    return True


def test_a_killed_supervisor_takes_its_container_along(tiffin, busybox, tidy):
    tiffin("run", "-d", "-l", "killed", "--name", "orphan", "-p", "127.0.0.1:0:80", busybox, "sleep", MARK)
    pid = json.loads(tiffin("inspect", "orphan").stdout)[0]["State"]["Pid"]
    facts = Path(f"/proc/{pid}/status").read_text()
    os.kill(int(re.search(r"PPid:\t(\d+)", facts)[1]), 9)
    until(lambda: not Path(f"/proc/{pid}").exists(), lambda: "the container ends")
    assert "Exited" in tiffin("ps", "-a", "--filter", "name=orphan", "--format", "{{.Status}}").stdout
    tiffin("rm", "orphan")


def test_loads_killed_at_any_moment(tiffin, busybox, folder, tidy):
    cases.write(folder, {"Dockerfile": f"FROM {busybox}\nCOPY big /big\n"})
    (folder / "big").write_bytes(random.randbytes(1 << 20) * 64)
    cases.own(folder)
    tiffin("build", "-q", "-t", "loaded", folder)
    identity = tiffin("inspect", "--format", "{{.Id}}", "loaded").stdout
    archive = folder / "saved.tar"
    tiffin("save", "-o", archive, "loaded")
    (folder / "Dockerfile").unlink()
    for moment in moments(0.8):
        tiffin("rmi", "-f", "loaded", check=False)
        tiffin("builder", "prune", "-af", check=False)
        killed(tiffin, moment, "load", "-i", archive)
    tiffin("load", "-i", archive)
    assert tiffin("inspect", "--format", "{{.Id}}", "loaded").stdout == identity
    assert tiffin("run", "--rm", "loaded", "wc", "-c", "/big").stdout.split()[0] == str(64 << 20)


@pytest.fixture
def small(tiffin, busybox, folder):
    """The same account with a store on a disk that is nearly full."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", place], check=True)
    cases.own(place)
    archive = folder / "busybox.tar"
    tiffin("save", "-o", archive, busybox)
    other = tiffin._replace(env={**tiffin.env, "TIFFIN_HOME": str(place / "store")})
    other("load", "-i", archive)
    yield other
    # What ran a moment ago may still hold it.
    until(lambda: subprocess.run(["umount", place], check=False).returncode == 0, lambda: "umount")


def free(place):
    facts = os.statvfs(place)
    return facts.f_bavail * facts.f_bsize


def test_a_full_disk(tiffin, busybox, folder, small):
    place = folder / "disk"
    (folder / "context").mkdir()
    cases.write(folder / "context", {"Dockerfile": f"FROM {busybox}\nCOPY big /big\n"})
    (folder / "context/big").write_bytes(random.randbytes(1 << 20) * 16)
    before = small("images", "-aq").stdout
    done = small("build", "-t", "full", folder / "context", check=False)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, done.stderr
    assert "copies 16.8 MB, and the disk of" in errors[0]
    assert "Traceback" not in done.stderr
    assert small("images", "-aq").stdout == before

    text = f"FROM {busybox}\nRUN dd if=/dev/zero of=/big bs=1M count=16\n"
    done = small("build", "-f", "-", folder / "context", input=text, check=False)
    assert done.returncode == 1
    assert "No space left" in done.stderr
    # A failed write leaves its room to the next one, which fits.
    small(
        "build", "-q", "-t", "fits", "-f", "-", folder / "context", input=f"FROM {busybox}\nRUN echo 1 > /f\n"
    )
    assert small("run", "--rm", "fits", "cat", "/f").stdout == "1\n"
    assert free(place) > 1 << 20


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_containers_on_a_full_disk(tiffin, busybox, folder, small):
    """Nothing begins, and what runs goes on to its end, which is told."""
    script = "until test -e /dev/shm/go; do sleep 0.05; done; yes no room | head -c 3000000; exit 7"
    small("run", "-d", "--name", "early", "--network", "none", busybox, "sh", "-c", script)
    with (folder / "disk/filler").open("wb", buffering=0) as filler:
        cases.fill(filler)
    done = small("run", "-d", "--name", "late", "--network", "none", busybox, "true", check=False)
    assert (done.returncode, done.stdout) == (125, "")
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert small("ps", "-a", "--format", "{{.Names}}").stdout == "early\n"
    small("exec", "early", "touch", "/dev/shm/go")
    (states,) = small.store.glob("containers/*/state.json")
    until(lambda: json.loads(states.read_text())["status"] == "exited", states.read_text)
    (folder / "disk/filler").unlink()
    assert small("wait", "early").stdout == "7\n"
    assert small("inspect", "--format", "{{.State.ExitCode}} {{.State.Error}}", "early").stdout == "7 \n"
    assert small("start", "early").stdout == "early\n"
    small("rm", "-f", "early")
    small("run", "--rm", "--network", "none", busybox, "true")


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_a_full_disk_lets_things_be_taken_away(tiffin, busybox, folder, small):
    """Which takes room itself, a little: some is kept for it."""
    small("run", "-d", "--name", "early", "--network", "none", busybox, "sleep", "1000")
    filled = folder / "disk/filler"
    with filled.open("wb", buffering=0) as filler:
        cases.fill(filler)
    assert small("run", "-d", "--network", "none", busybox, "true", check=False).returncode == 125
    for words in (("kill", "early"), ("rm", "early"), ("system", "prune", "-af")):
        small(*words)
    assert small("images", "-aq").stdout == ""
    filled.unlink()
    small("system", "prune", "-f")
    assert (small.store / "reserve").stat().st_size > 0


def test_a_load_onto_a_full_disk(tiffin, busybox, folder, small):
    cases.write(folder, {"big/Dockerfile": f"FROM {busybox}\nCOPY f /f\n"})
    (folder / "big/f").write_bytes(random.randbytes(1 << 20) * 16)
    tiffin("build", "-q", "-t", "big", folder / "big")
    tiffin("save", "-o", folder / "big.tar", "big")
    before = small("images", "-aq").stdout
    done = small("load", "-i", folder / "big.tar", check=False)
    assert done.returncode == 1
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1
    assert "Traceback" not in done.stderr
    assert small("images", "-aq").stdout == before
    small("run", "--rm", busybox, "true")


# --- archives that mean harm --------------------------------------------------------------------------------


def member(name, data=b"", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, data


def pack(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sha256(data):
    import hashlib

    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def archive(layer, *, layers=("layer.tar",), diff_id=None, extra=()):
    """What `docker save` would write of an image with this one layer."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id or sha256(layer)]},
        "history": [{"created_by": "hand"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": ["hostile:latest"], "Layers": list(layers)}]
    return pack(
        member("manifest.json", json.dumps(manifest).encode()),
        member("config.json", json.dumps(config).encode()),
        member("layer.tar", layer),
        *extra,
    )


CANARY = "/var/tmp/tiffin-canary"
UP = "../" * 20
ESCAPES = {
    "dots": [member(f"{UP}{CANARY[1:]}", b"evil")],
    "absolute": [member(CANARY, b"evil")],
    "link-then-file": [
        member("a", kind=tarfile.SYMTYPE, link="/var/tmp"), member("a/tiffin-canary", b"evil"),
    ],
    "relative-link": [
        member("a", kind=tarfile.SYMTYPE, link=f"{UP}var/tmp"), member("a/tiffin-canary", b"evil"),
    ],
    "hard-link": [
        member("a", kind=tarfile.LNKTYPE, link=f"{UP}{CANARY[1:]}"), member("a", b"evil"),
    ],
    "hard-link-through-link": [
        member("d", kind=tarfile.SYMTYPE, link="/var/tmp"),
        member("a", kind=tarfile.LNKTYPE, link="d/tiffin-canary"),
    ],
    "whiteout": [member(f"{UP}var/tmp/.wh.tiffin-canary")],
    "whiteout-through-link": [
        member("d", kind=tarfile.SYMTYPE, link="/var/tmp"), member("d/.wh.tiffin-canary"),
    ],
}  # fmt: skip


@pytest.fixture
def canary():
    place = Path(CANARY)
    place.write_text("of the host")
    place.chmod(0o666)
    yield place
    place.unlink()


@pytest.mark.parametrize("name", ESCAPES)
def test_no_archive_leaves_the_store(tiffin, busybox, folder, canary, name):
    saved = folder / "hostile.tar"
    saved.write_bytes(archive(pack(*ESCAPES[name])))
    cases.own(saved)
    before = canary.stat()
    done = tiffin("load", "-i", saved, check=False)
    assert "Traceback" not in done.stderr
    assert canary.read_text() == "of the host"
    after = canary.stat()
    assert (after.st_nlink, after.st_ctime_ns) == (before.st_nlink, before.st_ctime_ns)
    if done.returncode == 0:  # what it is lies inside
        tiffin("rmi", "hostile")
    else:
        assert done.returncode == 1
        assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1


GOOD = pack(member("f", b"1"))
BROKEN = {
    "empty": b"",
    "text": b"this is no archive\n" * 100,
    "a tar of something else": pack(member("readme", b"x")),
    "cut off": archive(GOOD)[:2600],
    "no json": pack(member("manifest.json", b"{not json")),
    "another document": pack(member("manifest.json", b'{"a": 1}')),
    "no such layer": archive(GOOD, layers=["missing.tar"]),
    "too few layers": archive(GOOD, layers=[]),
    "a layer of the host": archive(GOOD, layers=["../../../../etc/passwd"]),
    "a link to the host": archive(
        GOOD, layers=["link"], extra=[member("link", kind=tarfile.SYMTYPE, link="/etc/passwd")]
    ),
    "another digest": archive(GOOD, diff_id="sha256:" + "0" * 64),
    "no digest": archive(GOOD, diff_id="sha256:../../etc/passwd"),
    "a layer that is no tar": archive(b"no tar at all" * 100),
    "a layer cut off": archive(GOOD[:700]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_archive_is_one_line_and_changes_nothing(tiffin, busybox, folder, name):
    saved = folder / "broken.tar"
    saved.write_bytes(BROKEN[name])
    cases.own(saved)
    before = tiffin("images", "-aq").stdout
    done = tiffin("load", "-i", saved, check=False)
    assert done.returncode == 1, done.stdout
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "root:x:0" not in done.stderr
    assert tiffin("images", "-aq").stdout == before
