"""Known ways out of containers, tried. docs/isolation.md lists them, and how each is stopped.

What one system call or one file would do is in `attempts.py`: release_agent, core_pattern, uevent_helper,
open_by_handle_at, /dev/mem, debugfs. Archives that mean harm are in `test_faults.py`.
"""

import fcntl
import os
import pty
import shutil
import stat
import subprocess
import termios
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.live import cases

pytestmark = pytest.mark.live

PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin")
MARK = f"host-mark-{os.getpid()}"
ROUNDS = 4
# Where it is the same on every rung.
ROOT = pytest.mark.parametrize("tiffin", ["root"], indirect=True)
# Looks at every process that appears in the container until it is told to stop; then prints what those run.
WATCH = """
import os
found = set()
print("ready", flush=True)
while not os.path.exists("/tmp/stop"):
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                found.add(os.readlink(f"/proc/{name}/exe"))
            except OSError:
                pass
print(*sorted(found), sep="\\n")
"""
# Swaps what lies at a path, for a link and back, as fast as it can, until it is killed.
SWAP = """
import os, sys
path, link = sys.argv[1:]
os.makedirs(path)
os.symlink(link, path + ".link")
print("ready", flush=True)
while True:
    os.rename(path, path + ".real")
    os.rename(path + ".link", path)
    os.rename(path, path + ".link")
    os.rename(path + ".real", path)
"""


def python_of_the_host():
    """Options that give a container the Python of this machine."""
    folders = [folder for folder in ("/usr", "/lib", "/lib64") if Path(folder).is_dir()]
    return (
        "-e", "LD_LIBRARY_PATH=/usr/local/lib",
        *(word for folder in folders for word in ("-v", f"{folder}:{folder}:ro")),
    )  # fmt: skip


@contextmanager
def running(tiffin, name, *words):
    """A container that has said that it is ready."""
    tiffin("run", "-d", "--name", name, "--network", "none", *words)
    try:
        with tiffin.popen("logs", "-f", name, stdout=subprocess.PIPE) as logs:
            first = logs.stdout.readline()
            logs.terminate()
        assert first == "ready\n"
        yield
    finally:
        tiffin("rm", "-f", name)


@pytest.fixture
def mark(folder):
    """A file of the host with a name of its own, readable for everybody."""
    (folder / MARK).write_text("of the host")
    cases.own(folder / MARK)
    return folder / MARK


def test_the_runtime_is_not_seen_while_it_enters(tiffin, busybox):
    """CVE-2019-5736, CVE-2016-9962: whoever sees it can overwrite its binary, or take it over."""
    with running(tiffin, "watch", *python_of_the_host(), busybox, PYTHON, "-ISc", WATCH):
        for _ in range(ROUNDS):
            tiffin("exec", "watch", "/bin/busybox", "true")
        tiffin("exec", "watch", "/bin/busybox", "touch", "/tmp/stop")
        tiffin("wait", "watch")
        seen = tiffin("logs", "watch").stdout.split()[1:]
    assert set(seen) <= {"/bin/busybox"}


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_the_runtime_cannot_be_the_program(tiffin, busybox, verb):
    """CVE-2019-5736: #!/proc/self/exe would run the runtime's own binary, where it can be overwritten."""
    script = 'printf "#!/proc/self/exe\\n" > /evil; chmod +x /evil; echo ready; exec sleep 1000'
    with running(tiffin, "self", busybox, "sh", "-c", script):
        place = ("--rm", busybox) if verb == "run" else ("self",)
        for program in ("/proc/self/exe", *(["/evil"] if verb == "exec" else [])):
            done = tiffin(verb, *place, program, check=False)
            assert (done.returncode, "runtime itself" in done.stderr) == (126, True), done.stderr


def test_no_directory_of_the_caller_is_entered(tiffin, busybox, folder, mark):
    """CVE-2024-21626: a working directory below /proc/self/fd, from an option and from an image."""
    opened = os.open(folder, os.O_RDONLY)
    (folder / "context").mkdir()
    cases.write(folder / "context", {"Dockerfile": f"FROM {busybox}\nWORKDIR /proc/self/fd/{opened}\n"})
    built = tiffin("build", "-q", "-t", "leak", folder / "context", check=False)
    place, command = f"/proc/self/fd/{opened}", ("sh", "-c", f"cat {MARK} ../*/{MARK}; pwd")
    tiffin("run", "-d", "--name", "entered", busybox, "sleep", "1000", pass_fds=(opened,))
    try:
        tries = [
            ("run", "--rm", "-w", place, busybox, *command),
            ("run", "--rm", "-w", f"{place}/made", busybox, *command),
            ("exec", "-w", place, "entered", *command),
            ("exec", "-w", f"{place}/made", "entered", *command),
            *([("run", "--rm", "leak", *command)] if built.returncode == 0 else []),
        ]
        for words in tries:
            done = tiffin(*words, check=False, pass_fds=(opened,))
            assert "of the host" not in done.stdout
            assert done.returncode != 0
    finally:
        tiffin("rm", "-f", "entered")
        os.close(opened)
    assert not (folder / "made").exists()


def test_a_detached_container_keeps_nothing_of_its_caller_open(tiffin, busybox, folder):
    """Neither in the container nor in its supervisor: a lock of a CI job would be held for days."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tiffin("run", "-d", "--name", "keeps", busybox, "sleep", "1000", pass_fds=(lock.fileno(),))
    try:
        with (folder / "lock").open("w") as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        tiffin("rm", "-f", "keeps")


@ROOT
def test_a_target_that_another_container_swaps(tiffin, busybox, folder, mark):
    """CVE-2021-30465: where a volume is mounted is found and then mounted on; meanwhile it becomes a link."""
    shared = folder / "shared"
    shared.mkdir()
    (folder / "mine").mkdir()
    cases.write(folder / "mine", {"f": "mounted"})
    cases.own(shared)
    swap = (busybox, PYTHON, "-ISc", SWAP, "/data/target", "/")
    with running(tiffin, "swaps", "-v", f"{shared}:/data", *python_of_the_host(), *swap):
        for _ in range(ROUNDS):
            mounts = ("-v", f"{shared}:/data", "-v", f"{folder}/mine:/data/target")
            script = f"cat /data/target{mark} /{mark} /data/target.real{mark}; cat /f /data/target/f"
            done = tiffin(
                "run", "--rm", "--network", "none", *mounts, busybox, "sh", "-c", script, check=False
            )
            assert "of the host" not in done.stdout
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()


@ROOT
def test_a_null_device_that_is_a_link(tiffin, busybox, folder, mark):
    """CVE-2025-31133: what hides a file of /proc is bound from /dev/null, which a volume brings."""
    hostile = folder / "dev"
    hostile.mkdir()
    (hostile / "null").symlink_to("/proc/sys/kernel/core_pattern")
    cases.own(hostile)
    words = ("--rm", "--network", "none", "-v", f"{hostile}:/dev", busybox, "cat", "/proc/keys")
    done = tiffin("run", *words, check=False)
    assert (done.returncode, done.stdout) == (125, "")
    assert "/dev/null" in done.stderr
    (hostile / "null").unlink()
    (hostile / "null").write_text("no device")
    done = tiffin("run", *words, check=False)
    assert (done.returncode, "is not the null device" in done.stderr) == (125, True)


@ROOT
def test_a_terminal_that_a_volume_brings(tiffin, busybox, folder):
    """CVE-2025-52565: /dev/console and /dev/ptmx are never those that a volume or an image has."""
    hostile = folder / "dev"
    hostile.mkdir()
    for name in ("console", "ptmx", "null"):
        (hostile / name).symlink_to("/proc/sysrq-trigger")
    (hostile / "pts").symlink_to("/proc/sys")
    cases.own(hostile)
    words = ("run", "-t", "--rm", "--network", "none", "-v", f"{hostile}:/dev", busybox, "true")
    assert tiffin(*words, check=False).returncode == 125


@ROOT
def test_a_parameter_whose_file_is_a_link(tiffin, busybox, folder, mark):
    """CVE-2025-52881, CVE-2019-19921: what the runtime writes below /proc is led elsewhere."""
    hostile = folder / "sys"
    (hostile / "net/core").mkdir(parents=True)
    (hostile / "net/core/somaxconn").symlink_to("/data/" + MARK)
    cases.own(hostile)
    mounts = ("-v", f"{hostile}:/proc/sys", "-v", f"{folder}:/data", "--network", "none")
    words = ("run", "--rm", *mounts, "--sysctl", "net.core.somaxconn=777", busybox, "true")
    assert tiffin(*words, check=False).returncode == 125
    assert mark.read_text() == "of the host"


def test_copies_through_a_path_that_is_swapped(tiffin, busybox, folder, mark):
    """CVE-2018-15664: `cp` finds a directory, and a link to the host's root is there when it opens it."""
    (folder / "new").write_text("new")
    cases.own(folder / "new")
    swap = (busybox, PYTHON, "-ISc", SWAP, "/swapped", "/")
    with running(tiffin, "swaps", *python_of_the_host(), *swap):
        for number in range(ROUNDS):
            out = folder / f"out{number}"
            tiffin("cp", f"swaps:/swapped{mark}", out, check=False)
            tiffin("cp", folder / "new", f"swaps:/swapped{folder}/{number}", check=False)
            tiffin("cp", folder / "new", f"swaps:/swapped{mark}", check=False)
            assert not out.exists()
            assert not (folder / str(number)).exists()
    assert mark.read_text() == "of the host"


def test_copies_run_no_code_of_the_container(tiffin, busybox, folder):
    """CVE-2019-14271: names of users looked up with libraries of the container. Here opening those hangs."""
    files = "/etc/nsswitch.conf /etc/ld.so.cache /etc/ld.so.preload /etc/localtime /lib/libnss_files.so.2"
    files += f" /lib/{os.uname().machine}-linux-gnu/libnss_files.so.2 /lib64/libnss_files.so.2"
    script = "mkdir /data; echo 1 > /data/f; chown 1000:1000 /data/f; "
    script += f'for f in {files}; do mkdir -p "$(dirname "$f")"; rm -f "$f"; mkfifo "$f"; done; '
    script += "rm /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group; echo ready; exec sleep 1000"
    (folder / "in").write_text("in")
    cases.own(folder / "in")
    with running(tiffin, "traps", busybox, "sh", "-c", script):
        tiffin("cp", "traps:/data", folder / "out", timeout=60)
        tiffin("cp", folder / "in", "traps:/data/in", timeout=60)
        assert tiffin("exec", "traps", "cat", "/data/in").stdout == "in"
    assert (folder / "out/f").read_text() == "1\n"


@ROOT
@pytest.mark.parametrize("options", [(), ("-t",), ("-i",)], ids=["plain", "terminal", "input"])
def test_nothing_is_typed_into_the_terminal_of_the_host(tiffin, busybox, options):
    """TIOCSTI and TIOCLINUX: the container has a terminal of its own, or pipes."""
    script = (
        "import fcntl, os, termios\n"
        "for fd in (0, 1, 2):\n"
        "    for call, data in ((termios.TIOCSTI, b'\\n'), (termios.TIOCLINUX, b'\\3')):\n"
        "        try: fcntl.ioctl(fd, call, data)\n"
        "        except OSError: pass\n"
        "print('tried', *(os.ttyname(fd) for fd in (0, 1, 2) if os.isatty(fd)))\n"
    )
    words = (
        "run",
        "--rm",
        "--network",
        "none",
        *options,
        *python_of_the_host(),
        busybox,
        PYTHON,
        "-ISc",
        script,
    )
    ours, theirs = pty.openpty()
    try:
        done = tiffin(*words, check=False, capture_output=False, stdin=theirs, stdout=theirs, stderr=theirs)
        os.write(theirs, b"END")
        shown = ""
        while "END" not in shown:
            shown += os.read(ours, 65536).decode()
        assert done.returncode == 0, shown
        terminals = next(line.split()[1:] for line in shown.splitlines() if line.startswith("tried"))
        assert terminals == (["/dev/pts/0"] * 3 if "-t" in options else [])
        waiting = fcntl.ioctl(theirs, termios.FIONREAD, bytes(4))
        assert int.from_bytes(waiting, "little") == 0
    finally:
        os.close(ours)
        os.close(theirs)


def test_what_a_step_puts_in_the_place_of_a_target_is_not_taken_away(tiffin, busybox, folder, mark):
    """CVE-2024-23652: an empty target is removed after the step, by way of a link that the step has made."""
    (folder / "victim").mkdir()
    (folder / "victimfile").touch()
    (folder / "secret").write_text("secret")
    text = f"""
        FROM {busybox}
        RUN --mount=type=tmpfs,target=/a/victim mv /a /c && ln -s {folder} /a
        RUN --mount=type=secret,id=s,target=/b/victimfile mv /b /d && ln -s {folder} /b
        RUN --mount=type=cache,target=/e/victim mv /e /f && ln -s {folder} /e
    """
    cases.write(folder, {"context/Dockerfile": text})
    tiffin("build", "-q", "--secret", f"id=s,src={folder}/secret", "-t", "vessels", folder / "context")
    assert (folder / "victim").is_dir()
    assert (folder / "victimfile").is_file()
    done = tiffin("run", "--rm", "--network", "none", "vessels", "cat", f"/a/{MARK}", check=False)
    assert "of the host" not in done.stdout


@ROOT
@pytest.mark.parametrize(
    "step",
    [
        "RUN --mount=type=bind,from=stage,source=/link,target=/m cat /m/{mark}",
        "RUN --mount=type=bind,source=link,target=/m cat /m/{mark}",
        "RUN --mount=type=cache,from=stage,source=/link,target=/m cat /m/{mark}",
        "COPY --from=stage /link/{mark} /f",
        "COPY link/{mark} /f",
    ],
)
def test_steps_do_not_reach_out_by_links(tiffin, busybox, folder, mark, step):
    """CVE-2024-23651: the source of a mount or a copy is a link to the host, in a stage or the context."""
    stages = f"FROM {busybox} AS stage\nRUN ln -s {folder} /link\nFROM {busybox}\n"
    cases.write(folder, {"context/Dockerfile": stages + step.format(mark=MARK) + "\nRUN cat /f\n"})
    (folder / "context/link").symlink_to(folder)
    done = tiffin("build", "--progress", "plain", folder / "context", check=False)
    assert done.returncode == 1
    assert "of the host" not in done.stdout + done.stderr


def test_programs_with_set_user_id_stay_in_the_store(tiffin, busybox, folder):
    """A layer's files keep their owners and modes, so nobody else may come near them."""
    (folder / "context").mkdir()
    text = f"FROM {busybox}\nRUN cp /bin/busybox /su && chmod 4755 /su\n"
    cases.write(folder / "context", {"Dockerfile": text})
    tiffin("build", "-q", "-t", "setuid", folder / "context")
    open_to_others = stat.S_IRWXG | stat.S_IRWXO
    assert tiffin.store.stat().st_mode & open_to_others == 0
    found = subprocess.run(
        ["find", tiffin.store, "-perm", "-4000"], capture_output=True, text=True, check=True
    )
    assert found.stdout
    for path in found.stdout.splitlines():
        with pytest.raises(PermissionError):
            subprocess.run([path], user=65534, group=65534, extra_groups=[], check=False)


def test_a_store_in_a_directory_that_was_open_to_all(tiffin, folder):
    (folder / "store").mkdir(mode=0o755)
    cases.own(folder / "store")
    tiffin("images", env={"TIFFIN_HOME": str(folder / "store")})
    assert stat.S_IMODE((folder / "store").stat().st_mode) == 0o700
