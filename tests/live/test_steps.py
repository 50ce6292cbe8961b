"""How RUN steps are run: what they see besides their image, told by what they leave."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.live import cases
from tests.live.terminal import Terminal
from tests.live.test_faults import LONGEST_STEP, until

pytestmark = pytest.mark.live

UUID = "cat /proc/sys/kernel/random/uuid"
# Where it is the same on every rung.
ROOT = pytest.mark.parametrize("tiffin", ["root"], indirect=True)


def build(tiffin, folder, name, text, *options, **more):
    (folder / "Dockerfile").write_text(text)
    owner = folder.stat()
    os.chown(folder / "Dockerfile", owner.st_uid, owner.st_gid)
    return tiffin("build", "--progress", "plain", "-t", name, *options, folder, **more)


def show(tiffin, image, script):
    return tiffin("run", "--rm", "--network", "none", image, "sh", "-c", f"{script}; true").stdout


@contextmanager
def greeting():
    """A web server of this machine that says hello; yields its port."""
    with socket.create_server(("0.0.0.0", 0)) as server:

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.recv(4096)
                    client.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_what_options_give_to_steps(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\n"
        "RUN grep db.test /etc/hosts | awk '{print $1}' > /seen; df -k /dev/shm | awk 'END {print $2}' >> "
        f"/seen; ulimit -n >> /seen; ulimit -Hn >> /seen; {UUID} > /id\n"
        "RUN hostname > /name; env | grep -c ^HOSTNAME=; echo kept > /dev/shm/x\n"
    )
    options = ("--add-host", "db.test:10.1.2.3", "--shm-size", "3m", "--ulimit", "nofile=100:200")
    hostname = ("--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=cellar")
    build(tiffin, folder, "given", text, *options, *hostname)
    assert show(tiffin, "given", "cat /seen /name").split() == ["10.1.2.3", "3072", "100", "200", "cellar"]
    first = show(tiffin, "given", "cat /id")
    # The name is what the step knows of the host: where it is, and how much it may use, is in no key.
    build(tiffin, folder, "given", text, "--add-host", "db.test=10.1.2.4", *hostname)
    assert show(tiffin, "given", "cat /id") == first
    build(tiffin, folder, "given", text, "--add-host", "other.test=10.1.2.4", *hostname)
    assert show(tiffin, "given", "cat /id") != first


def test_the_way_to_this_machine(tiffin, busybox, folder):
    with greeting() as port:
        text = (
            f"FROM {busybox}\nRUN address=$(awk '/me.test$/ {{print $1}}' /etc/hosts); "
            f"wget -q -O /heard http://$address:{port}/\n"
            "RUN --network=none grep -c me.test /etc/hosts > /none; true\n"
        )
        build(tiffin, folder, "home", text, "--add-host", "me.test:host-gateway")
    assert show(tiffin, "home", "cat /heard /none") == "hello\n0\n"


@ROOT
def test_caches_of_a_name_space_are_others(tiffin, busybox, folder):
    mount = "--mount=type=cache,id=space,target=/c"
    text = f"FROM {busybox}\nARG N\nRUN {mount} ls /c > /seen; touch /c/$N\n"
    for n, spaces, seen in (
        (1, (), ""),
        (2, ("--build-arg", "BUILDKIT_CACHE_MOUNT_NS=own"), ""),
        (3, (), "1\n"),
    ):
        build(tiffin, folder, "spaces", text, "--build-arg", f"N={n}", *spaces)
        assert show(tiffin, "spaces", "cat /seen") == seen


@ROOT
def test_steps_know_the_time_that_is_asked_for(tiffin, busybox, folder):
    text = f"FROM {busybox}\nRUN echo [$SOURCE_DATE_EPOCH] > /seen\nRUN stat -c %Y /seen >> /seen\n"
    build(tiffin, folder, "usual", text)
    build(tiffin, folder, "environment", text, env={"SOURCE_DATE_EPOCH": "1700000000"})
    build(tiffin, folder, "argument", text, "--build-arg", "SOURCE_DATE_EPOCH=1700000001")
    assert show(tiffin, "usual", "cat /seen").split()[0] == "[]"
    for name, time in (("environment", "1700000000"), ("argument", "1700000001")):
        assert show(tiffin, name, "cat /seen").split() == [f"[{time}]", time]
    assert "SOURCE_DATE" not in tiffin("inspect", "argument").stdout


def test_how_a_step_begins_and_ends(tiffin, busybox, folder):
    """Nothing to read, the usual umask, no terminal; what it leaves running ends with it."""
    text = (
        f"FROM {busybox}\nRUN cat > /read; umask > /seen; tty >> /seen; (sleep 1000; touch /never) & true\n"
        "RUN sh -c 'kill -9 $$'; echo $? >> /seen\nRUN exit 42\n"
    )
    done = build(tiffin, folder, "ends", text, check=False, stdin=subprocess.PIPE)
    assert (done.returncode, "ended with exit status 42" in done.stderr) == (42, True)
    build(tiffin, folder, "ends", text.replace("RUN exit 42\n", ""))
    assert show(tiffin, "ends", "cat /read /seen; ls /never").split() == ["0022", "not", "a", "tty", "137"]


@pytest.fixture
def python(tiffin, busybox, folder):
    """An image with a Python of this machine."""
    program = shutil.which("python3", path="/usr/bin")
    ask = "import sys, sysconfig; print(sys.executable, sysconfig.get_path('stdlib'))"
    real, library = subprocess.run(
        [program, "-c", ask], capture_output=True, text=True, check=True
    ).stdout.split()
    tree = folder / "python/tree"
    cases.copy_program(os.path.realpath(real), tree)
    shutil.copytree(
        library,
        tree / library.lstrip("/"),
        ignore=shutil.ignore_patterns("__pycache__", "test", "config-*", "idlelib", "ensurepip", "tkinter"),
    )
    (tree / "usr/bin/python3").symlink_to(os.path.basename(os.path.realpath(real)))
    (folder / "python/Dockerfile").write_text(f"FROM {busybox}\nCOPY tree /\n")
    tiffin("build", "-q", "-t", "python", folder / "python")
    return "python"


@ROOT
def test_compiled_python_is_used_as_it_was_compiled(tiffin, folder, python):
    """By Python's own word: with -v it tells of each file whether it was valid."""
    modules = {
        "stamped": "timestamp",
        "stale": "timestamp",
        "sure": "unchecked-hash",
        "checked": "checked-hash",
    }
    makes = "".join(
        f"echo 'print(1)' > {name}.py; python3 -m compileall -q --invalidation-mode {mode} {name}.py; "
        for name, mode in modules.items()
    )
    text = f"FROM {python}\nWORKDIR /app\nRUN {makes} ls __pycache__\n"
    text += "RUN chmod 600 stamped.py; echo >> stale.py\n"
    build(tiffin, folder, "compiled", text)
    for name in modules:
        told = tiffin("run", "--rm", "compiled", "python3", "-v", "-c", f"import {name}").stderr
        about = [line for line in told.splitlines() if f"/app/__pycache__/{name}." in line]
        # The first line says that it matches its source, or that it was made anew.
        assert about
        assert ("matches" in about[0], "created" in about[0]) == (name != "stale", name == "stale")


# -- limits -----------------------------------------------------------------------------------------

CGROUPS = Path("/sys/fs/cgroup")
HOG = "head -c 200m /dev/zero | tail > /dev/null"  # tail keeps it all, for want of a line's end


def test_limits_of_memory_and_processors(tiffin, busybox, folder):
    """Real on the rung root; an ordinary user whose group is not delegated hears so."""
    text = f"FROM {busybox}\nRUN {HOG}; nproc > /seen; {UUID} > /id\n"
    limits = ("--memory", "1g", "--cpuset-cpus", "0", "--cpu-quota", "90000")
    parent = f"tiffin-test-steps-{os.getpid()}"
    limits += ("--cgroup-parent", f"/{parent}")
    done = build(tiffin, folder, "limited", text, *limits, check=False)
    if tiffin.rung != "root":
        assert done.returncode == 1
        assert "the controller memory cannot be had for a limit" in done.stderr
        assert "Dockerfile:2" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert show(tiffin, "limited", "cat /seen") == "1\n"
    first = show(tiffin, "limited", "cat /id")
    build(tiffin, folder, "limited", text)  # what a step may use is in no key
    assert show(tiffin, "limited", "cat /id") == first
    # Nothing is left but the group that was asked for, which is whoever asked's.
    groups = [path for path in CGROUPS.rglob(parent) if path.is_dir()]
    assert groups
    for group in groups:
        assert not [path for path in group.iterdir() if path.is_dir()]
        group.rmdir()


@ROOT
def test_a_step_that_runs_out_of_memory(tiffin, busybox, folder):
    text = f"FROM {busybox}\nRUN {HOG}; exit $?\n"
    before = set(CGROUPS.rglob("tiffin-[0-9]*"))
    done = build(tiffin, folder, "hungry", text, "-m", "64m", "--memory-swap", "64m", check=False)
    assert done.returncode == 137
    assert "out of memory" in done.stderr
    assert "at the limit of 64 MB; at most 64 MB were used" in done.stderr
    assert "--memory" in done.stderr
    late = set(CGROUPS.rglob("tiffin-[0-9]*")) - before
    until(lambda: not any(map(Path.exists, late)), lambda: late, LONGEST_STEP)


@ROOT
def test_a_limit_that_cannot_be_had_says_why(tiffin, busybox, folder):
    text = f"FROM {busybox}\nRUN true\n"
    done = build(tiffin, folder, "x", text, "--cpuset-cpus", "4000", check=False)
    assert done.returncode == 1
    assert "cpuset" in done.stderr
    for options in (("-m", "1m"), ("--memory-swap", "1g"), ("--cpuset-cpus", "x")):
        done = build(tiffin, folder, "x", text, *options, check=False)
        assert (done.returncode, "error:" in done.stderr, "RUN" in done.stderr) == (1, True, False)


# -- entitlements -----------------------------------------------------------------------------------

ALL = (1 << int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1) - 1


def test_a_privileged_step_has_all_rights_in_its_user_namespace(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\n"
        "RUN --security=insecure grep -E 'CapEff|NoNewPrivs' /proc/self/status > /seen; "
        "mkdir /m && mount -t tmpfs none /m && echo mounted >> /seen; umount /m; "
        "test -w /proc/sys/kernel && echo unprotected >> /seen; grep ' /proc/' /proc/mounts >> /seen; "
        # As root of the machine itself it could: that it is not.
        "echo x > /proc/sysrq-trigger || echo walled >> /seen; head -n 1 /proc/self/uid_map >> /seen\n"
        "RUN grep CapEff /proc/self/status >> /seen; mount -t tmpfs none /m || echo denied >> /seen\n"
    )
    done = build(tiffin, folder, "insecure", text, check=False)
    assert done.returncode == 1
    assert "Dockerfile:2" in done.stderr
    assert "--allow security.insecure" in done.stderr
    build(tiffin, folder, "insecure", text, "--allow", "security.insecure")
    lines = show(tiffin, "insecure", "cat /seen").splitlines()
    assert int(lines[0].split()[1], 16) == ALL
    assert lines[1].split() == ["NoNewPrivs:", "0"]
    assert lines[2:5] == ["mounted", "unprotected", "walled"]
    assert lines[5].split()[1] != "0" or tiffin.rung != "root"
    assert int(lines[6].split()[1], 16) not in (0, ALL)
    assert lines[7:] == ["denied"]


def test_the_network_of_this_machine(tiffin, busybox, folder):
    text = f"FROM {busybox}\nRUN --network=host readlink /proc/self/ns/net > /seen\n"
    done = build(tiffin, folder, "hosted", text, check=False)
    assert (done.returncode, "--allow network.host" in done.stderr) == (1, True)
    build(tiffin, folder, "hosted", text, "--allow", "network.host")
    assert show(tiffin, "hosted", "cat /seen").strip() == str(Path("/proc/self/ns/net").readlink())


# -- devices ----------------------------------------------------------------------------------------


@pytest.fixture
def vendor(tiffin):
    """The directory of a vendor's specification, and of a hook, which everybody can read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "hook").write_text(
            '#!/bin/sh\nPATH=/usr/bin:/bin\nbundle=$(sed \'s/.*bundle": *"//; s/".*//\')\n'
            'root=$(sed \'s/.*path": *"//; s/".*//\' $bundle/config.json)\n'
            "ln -s /opt/acme/lib $root/acme-$1\n"
        )
        (folder / "hook").chmod(0o755)
        (folder / "library").write_text("from the host\n")
        (folder / "acme.yaml").write_text(
            f"""
cdiVersion: "0.6.0"
kind: acme.com/gpu
containerEdits:
  env: [ACME_DRIVER=1]
  mounts:
  - {{hostPath: {folder}/library, containerPath: /opt/acme/lib, options: [ro, nosuid, nodev, bind]}}
  additionalGids: [7]
devices:
- name: "0"
  containerEdits:
    env: [ACME_VISIBLE=0]
    deviceNodes: [{{path: /dev/acme0, hostPath: /dev/null, type: c, major: 1, minor: 3}}]
    hooks: [{{hookName: createContainer, path: {folder}/hook, args: [hook, link]}}]
- name: "1"
  containerEdits: {{env: [ACME_VISIBLE=1]}}
- name: gone
  containerEdits: {{deviceNodes: [{{path: /dev/acme-gone}}]}}
"""
        )
        yield {"TIFFIN_CDI_DIRS": str(folder)}


def test_a_device_with_all_that_it_takes(tiffin, busybox, folder, vendor):
    text = (
        f"FROM {busybox}\n"
        "RUN --device=acme.com/gpu=0,required { echo $ACME_DRIVER $ACME_VISIBLE; cat /acme-link; "
        "echo away > /dev/acme0 && stat -c '%F %t:%T' /dev/acme0; "
        "(echo x > /opt/acme/lib) 2>/dev/null || echo ro; id -G; } > /seen; rm /acme-link\n"
        'RUN echo "[$ACME_VISIBLE]" >> /seen; ls -d /dev/acme0 /opt /acme-link 2>/dev/null >> /seen; true\n'
    )
    done = build(tiffin, folder, "device", text, check=False, env=vendor)
    assert (done.returncode, "--allow device=acme.com/gpu=0" in done.stderr) == (1, True)
    build(tiffin, folder, "device", text, "--allow", "device=acme.com/gpu=0", env=vendor)
    assert show(tiffin, "device", "cat /seen").splitlines() == [
        "1 0", "from the host", "character special file 1:3", "ro", "0 7", "[]",
    ]  # fmt: skip


@ROOT
def test_devices_that_are_not_there(tiffin, busybox, folder, vendor):
    text = f'FROM {busybox}\nRUN --device=acme.com/gpu=7 --device=nobody echo "[$ACME_DRIVER]" > /seen\n'
    build(tiffin, folder, "optional", text, "--allow", "device", env=vendor)
    assert show(tiffin, "optional", "cat /seen") == "[]\n"
    for name, told in (("acme.com/gpu=7", "acme.com/gpu=1"), ("acme.com/gpu=gone", "/dev/acme-gone")):
        text = f"FROM {busybox}\nRUN --device={name},required true\n"
        done = build(tiffin, folder, "x", text, "--allow", "device", check=False, env=vendor)
        assert (done.returncode, told in done.stderr) == (1, True)


def test_a_container_is_given_devices(tiffin, busybox, vendor):
    script = (
        "echo $ACME_DRIVER $ACME_VISIBLE; cat /acme-link; "
        "echo away > /dev/acme0 && stat -c '%F %t:%T' /dev/acme0; "
        "(echo x > /opt/acme/lib) 2>/dev/null || echo ro"
    )
    seen = ["1 0", "from the host", "character special file 1:3", "ro"]
    words = ("--network", "none", "--device", "acme.com/gpu=0", busybox, "sh", "-c", script)
    assert tiffin("run", "--rm", *words, env=vendor).stdout.splitlines() == seen
    if tiffin.rung != "root":
        return  # what follows is the same on every rung
    tiffin("create", "--name", "given", *words, env=vendor)
    try:
        assert tiffin("start", "-a", "given", env=vendor).stdout.splitlines() == seen
        (document,) = json.loads(tiffin("inspect", "given").stdout)
        assert document["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["acme.com/gpu=0"]
        done = tiffin("start", "-a", "given", env={"TIFFIN_CDI_DIRS": "/nowhere"}, check=False)
        assert (done.returncode != 0, "no device acme.com/gpu=0" in done.stderr) == (True, True)
    finally:
        tiffin("rm", "-f", "given")


@ROOT
def test_gpus_of_a_vendor_and_none(tiffin, busybox, vendor):
    words = ("run", "--rm", "--network", "none", "--gpus")
    told = tiffin(*words, "all", busybox, "true", env=vendor, check=False)
    assert (told.returncode, "offers no GPU" in told.stderr) == (125, True)
    (file,) = Path(vendor["TIFFIN_CDI_DIRS"]).glob("*.yaml")
    file.write_text(file.read_text().replace("acme.com/gpu", "nvidia.com/gpu"))
    for which, visible in (("1", "0"), ("device=1", "1")):
        done = tiffin(*words, which, busybox, "sh", "-c", "echo $ACME_VISIBLE", env=vendor)
        assert done.stdout.split() == [visible]
    done = tiffin(*words, "1,capabilities=utility", busybox, "true", env=vendor)
    assert "--gpus capabilities=utility selects nothing" in done.stderr
    told = tiffin(*words, "4", busybox, "true", env=vendor, check=False)
    assert (told.returncode, "offers 2 of nvidia.com/gpu" in told.stderr) == (125, True)
    for code, *verb in ((125, "run", "--rm"), (1, "create")):
        told = tiffin(*verb, "--device", "nvidia.com/gpu=gone", busybox, "true", env=vendor, check=False)
        assert (told.returncode, "/dev/acme-gone" in told.stderr) == (code, True)


# -- --debug-shell ----------------------------------------------------------------------------------

FAILING = (
    "FROM {base} AS other\nRUN mkdir /o && echo of-another > /o/f\n"
    "FROM {base}\nARG COLOUR=red\nENV GRAPE=merlot\nRUN mkdir -m 777 /work\nWORKDIR /work\nUSER {user}\n"
    "RUN --mount=type=secret,id=key,mode=0444 --mount=type=cache,target=/c,mode=0777 "
    "--mount=from=other,source=/o,target=/m,rw "
    "echo half-done > state; echo cached > /c/f; echo over > /m/f 2>/dev/null; exit 7\n"
)


def open_shell(tiffin, folder, text, *options):
    (folder / "Dockerfile").write_text(text)
    cases.own(folder)
    command = [*tiffin.command, "build", "--secret", "id=key,env=KEY", *options, str(folder)]
    return Terminal(command, env={**tiffin.env, "KEY": "vintage", "TERM": "xterm"}, cwd=tiffin.home)


@pytest.mark.parametrize("user", ["root", "anna"])
def test_a_shell_is_opened_where_a_step_failed(tiffin, busybox, folder, user):
    shell = open_shell(tiffin, folder, FAILING.format(base=busybox, user=user), "--debug-shell")
    shown = shell.expect("`exit` ends the build")
    assert "ended with exit status 7" in shown
    shell.type("echo [$(pwd) $(cat state /run/secrets/key /c/f /m/f) $GRAPE $COLOUR $(id -un) $(tty)]")
    merged = "over" if user == "root" else "of-another"
    said = shell.expect(r"\[/work .*?]")
    assert f"[/work half-done vintagecached {merged} merlot red {user} /dev/pts/0]" in said.replace(
        "\r\n", " "
    )
    shell.type("stty size; echo spilt > lost; exit 3")
    assert "40 200" in shell.expect("40 200")
    status, shown = shell.finish()
    assert status == 7
    assert "exit 7" in shown
    # Nothing of it is kept: neither the failed state nor what was done in the shell.
    assert not list((tiffin.store / "work").iterdir())
    again = open_shell(tiffin, folder, FAILING.format(base=busybox, user=user), "--debug-shell=ls -m")
    again.expect("ls -m where it was left")
    status, shown = again.finish()
    assert (status, "lost" in shown, "state" in shown) == (7, False, True)


def test_the_shell_is_the_steps_own_and_remembers_its_command(tiffin, busybox, folder):
    cases.copy_program("/bin/bash", folder / "tree")
    text = (
        f'FROM {busybox}\nCOPY tree /\nSHELL ["/bin/bash", "-o", "pipefail", "-c"]\n'
        "RUN false | echo pinot && \\\n    true\n"
    )
    shell = open_shell(tiffin, folder, text, "--debug-shell")
    assert "this is /bin/bash where" in " ".join(shell.expect("ends the build").split())
    shell.expect(r"[#$] ")
    os.write(shell.fd, b"\x1b[A")  # the arrow that goes back
    shell.expect("false | echo pinot && +true")
    shell.type("\x15exit")
    assert shell.finish()[0] == 1


def test_no_shell_no_terminal_no_failure(tiffin, busybox, folder):
    text = f"FROM {busybox}\nRUN exit 9\n"
    done = build(tiffin, folder, "none", text, "--debug-shell", check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, "needs a terminal" in done.stderr) == (1, True)
    assert "RUN" not in done.stderr
    shell = open_shell(tiffin, folder, text, "--debug-shell=/bin/nosuch")
    status, shown = shell.finish()
    assert (status, "--debug-shell=COMMAND" in shown) == (9, True)
    shell = open_shell(tiffin, folder, f"FROM {busybox}\nRUN exit 0\n", "--debug-shell")
    assert shell.finish()[0] == 0
