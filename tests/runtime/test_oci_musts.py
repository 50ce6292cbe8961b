"""What the runtime-spec says a runtime MUST do, each with the section that says so (rung root)."""

import json
import os
import shutil
import socket
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiffin.errors import ConflictError, InvalidError, NotFoundError, TiffinError, UnsupportedError
from tiffin.runtime import bundle, lifecycle
from tiffin.runtime.entering import Wanted, enter
from tiffin.runtime.lifecycle import Creation
from tiffin.runtime.ocistate import Directory, containers, document

pytestmark = pytest.mark.live

KINDS = ("mount", "pid", "ipc", "uts", "network")
PROC = {"destination": "/proc", "type": "proc", "source": "proc"}
DEV = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}
PTS = {
    "destination": "/dev/pts",
    "type": "devpts",
    "source": "devpts",
    "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
}
CAPABILITIES = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE"]


def sets(*names):
    """The sets of capabilities with these names."""
    return {kind: list(names) for kind in ("bounding", "effective", "permitted")}


class Bundle:
    """A bundle in a folder, and the containers that are made of it below a root of their own."""

    def __init__(self, layer, folder) -> None:
        self.folder = folder / "bundle"
        self.root = folder / "state"
        shutil.copytree(layer, self.folder / "rootfs", symlinks=True)
        self.output = folder / "output"
        self.said = []
        self.name = f"test-{os.getpid()}-{folder.name}"[-60:]
        self.config = {
            "ociVersion": "1.2.0",
            "root": {"path": "rootfs"},
            "process": {
                "user": {"uid": 0, "gid": 0},
                "cwd": "/",
                "args": ["true"],
                "env": ["PATH=/bin"],
                "capabilities": sets(*CAPABILITIES),
            },
            "mounts": [PROC, DEV, PTS],
            "linux": {"namespaces": [{"type": kind} for kind in KINDS]},
        }

    @property
    def directory(self):
        return Directory(self.root, self.name)

    @property
    def linux(self):
        return self.config["linux"]

    @property
    def process(self):
        return self.config["process"]

    def shell(self, script):
        self.process["args"] = ["sh", "-c", script]

    def create(self, **how):
        (self.folder / "config.json").write_text(json.dumps(self.config))
        with self.streams():
            self.child = lifecycle.create(self.directory, str(self.folder), Creation(self.said.append, **how))
        return self.child

    @contextmanager
    def streams(self):
        """Our standard streams are those of the container."""
        kept = [os.dup(number) for number in (0, 1, 2)]
        null = os.open("/dev/null", os.O_RDONLY)
        file = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for fd, number in ((null, 0), (file, 1), (file, 2)):
            os.dup2(fd, number)
        try:
            yield
        finally:
            for number, fd in enumerate(kept):
                os.dup2(fd, number)
                os.close(fd)
            os.close(null)
            os.close(file)

    def start(self):
        lifecycle.start(self.directory, self.said.append)

    def state(self):
        directory = self.directory
        return document(directory, directory.read())

    def run(self, script=None):
        """All of its life; what it wrote, by lines."""
        if script is not None:
            self.shell(script)
        child = self.create()
        self.start()
        self.code = child.wait()
        lifecycle.delete(self.directory, self.said.append)
        return self.output.read_text().splitlines()

    def open(self):
        """Give the files to another user, root of a user namespace, who can pass there."""
        for path in [self.folder / "rootfs", *(self.folder / "rootfs").rglob("*")]:
            os.chown(path, 300000, 300000, follow_symlinks=False)
        for path in self.folder.parents:
            if path.stat().st_mode & 0o011 != 0o011:
                path.chmod(path.stat().st_mode | 0o011)

    def end(self):
        for directory, _ in containers(self.root):
            lifecycle.delete(directory, self.said.append, force=True)


@pytest.fixture
def made(box, tmp_path):
    bundle = Bundle(box.layer, tmp_path)
    yield bundle
    bundle.end()


# What is set in the document, what the container is asked, and what it has to answer.
EFFECTS = {
    "config.md#root path may be relative": ({}, "ls /etc", "passwd"),
    "config.md#root readonly": (
        {"root": {"path": "rootfs", "readonly": True}},
        "touch /x 2>/dev/null; echo $?",
        "1",
    ),
    "config.md#process cwd": ({"process.cwd": "/etc"}, "pwd", "/etc"),
    "config.md#process env": ({"process.env": ["PATH=/bin", "A=b c"]}, "echo $A", "b c"),
    "config.md#process consoleSize is ignored without a terminal": (
        {"process.consoleSize": {"height": 5, "width": 6}},
        "tty; true",
        "not a tty",
    ),
    "config.md#posix-process rlimits": (
        {"process.rlimits": [{"type": "RLIMIT_NOFILE", "soft": 555, "hard": 666}]},
        "ulimit -Sn; ulimit -Hn",
        "555 666",
    ),
    "config.md#linux-process noNewPrivileges": (
        {"process.noNewPrivileges": True},
        "grep NoNewPrivs /proc/self/status",
        "NoNewPrivs:\t1",
    ),
    "config.md#linux-process oomScoreAdj": (
        {"process.oomScoreAdj": 77},
        "cat /proc/self/oom_score_adj",
        "77",
    ),
    "config.md#linux-process capabilities": (
        {"process.capabilities": sets("CAP_CHOWN")},
        "grep CapBnd /proc/self/status",
        "CapBnd:\t0000000000000001",
    ),
    "config.md#user uid, gid and additionalGids": (
        {"process.user": {"uid": 5, "gid": 6, "additionalGids": [7, 8]}},
        "id -u; id -g; grep Groups /proc/self/status",
        "5 6 Groups:\t7 8 ",
    ),
    "config.md#user umask": ({"process.user": {"uid": 0, "gid": 0, "umask": 0o77}}, "umask", "0077"),
    "config.md#hostname": ({"hostname": "box"}, "hostname", "box"),
    "config.md#domainname": ({"domainname": "vineyard"}, "cat /proc/sys/kernel/domainname", "vineyard"),
    "config.md#mounts are made in the listed order": (
        {
            "mounts": [
                PROC,
                *({"destination": "/m", "type": "tmpfs", "options": [f"size={size}k"]} for size in (64, 128)),
            ]
        },
        "df -k /m | grep -c ' 128 '; grep -c ' /m ' /proc/mounts",
        "1 2",
    ),
    "config.md#mounts destination may be relative to /": (
        {"mounts": [PROC, {"destination": "m/n", "type": "tmpfs"}]},
        "grep -c ' /m/n tmpfs' /proc/mounts",
        "1",
    ),
    "config.md#mounts a bind source may be relative to the bundle": (
        {
            "mounts": [
                PROC,
                {"destination": "/c", "type": "bind", "source": "config.json", "options": ["bind", "ro"]},
            ]
        },
        "head -c 1 /c; echo; echo x 2>/dev/null >/c || echo denied",
        "{ denied",
    ),
    "config.md#mounts options": (
        {
            "mounts": [
                PROC,
                {"destination": "/m", "type": "tmpfs", "options": ["ro", "noexec", "nosuid", "nodev"]},
            ]
        },
        "grep -o ' /m tmpfs ro,nosuid,nodev,noexec' /proc/mounts",
        " /m tmpfs ro,nosuid,nodev,noexec",
    ),
    "config.md#mounts tmpcopyup": (
        {"mounts": [PROC, {"destination": "/etc", "type": "tmpfs", "options": ["tmpcopyup", "rw"]}]},
        "cut -c1-4 /etc/passwd; grep -c ' /etc tmpfs' /proc/mounts",
        "root 1",
    ),
    "config.md#extensibility unknown properties are ignored": (
        {"vineyard": {"slope": 3}, "process.cork": True, "linux.barrel": []},
        "echo fine",
        "fine",
    ),
    "config-linux.md#default-devices": (
        {},
        "cd /dev; stat -c '%n %t,%T' null zero full random urandom tty; readlink ptmx",
        "null 1,3 zero 1,5 full 1,7 random 1,8 urandom 1,9 tty 5,0 pts/ptmx",
    ),
    "config-linux.md#default-filesystems links of /dev": (
        {},
        "for name in fd stdin stdout stderr; do readlink /dev/$name; done",
        "/proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2",
    ),
    "config-linux.md#devices": (
        {
            "linux.devices": [
                {
                    "path": "/dev/wine",
                    "type": "c",
                    "major": 1,
                    "minor": 5,
                    "fileMode": 0o640,
                    "uid": 3,
                    "gid": 4,
                }
            ]
        },
        "stat -c '%t,%T %a %u %g' /dev/wine; head -c 3 /dev/wine | wc -c",
        "1,5 640 3 4 3",
    ),
    "config-linux.md#sysctl": (
        {"linux.sysctl": {"net.ipv4.ip_forward": "1"}},
        "cat /proc/sys/net/ipv4/ip_forward",
        "1",
    ),
    "config-linux.md#masked-paths": (
        {"linux.maskedPaths": ["/etc/passwd", "/none"]},
        "wc -c < /etc/passwd",
        "0",
    ),
    "config-linux.md#readonly-paths": (
        {"linux.readonlyPaths": ["/etc", "/none"]},
        "touch /etc/x 2>/dev/null || echo denied",
        "denied",
    ),
    "config-linux.md#rootfs-mount-propagation": (
        {"linux.rootfsPropagation": "shared", "mounts": [PROC]},
        "grep -c ' / [^ ]* shared:' /proc/self/mountinfo",
        "1",
    ),
    "config-linux.md#seccomp": (
        {
            "linux.seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
            }
        },
        "mkdir /x 2>&1 | grep -o 'No space left on device'",
        "No space left on device",
    ),
}


@pytest.mark.parametrize("must", EFFECTS)
def test_what_the_document_says_is_so(made, must):
    changes, script, expected = EFFECTS[must]
    for path, value in changes.items():
        place = made.config
        *parents, last = path.split(".")
        for name in parents:
            place = place[name]
        place[last] = value
    assert " ".join(made.run(script)) == expected


# What is wrong in the document, and a word of the error.
ERRORS = {
    "config.md#specification-version": ({"ociVersion": "2.0.0"}, "ociVersion"),
    "config.md#root must exist": ({"root.path": "nowhere"}, "nowhere"),
    "config.md#process cwd is absolute": ({"process.cwd": "etc"}, "absolute"),
    "config.md#process args has an entry": ({"process.args": []}, "args"),
    "config.md#posix-process rlimits no type twice": (
        {"process.rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2},
        "twice",
    ),
    "config.md#posix-process rlimits must be known": (
        {"process.rlimits": [{"type": "RLIMIT_WINE", "soft": 1, "hard": 1}]},
        "RLIMIT_WINE",
    ),
    "config.md#posix-platform-hooks path is absolute": ({"hooks": {"prestart": [{"path": "x"}]}}, "absolute"),
    "config.md#posix-platform-hooks timeout is above 0": (
        {"hooks": {"prestart": [{"path": "/x", "timeout": 0}]}},
        "timeout",
    ),
    "config.md#annotations keys are not empty": ({"annotations": {"": "x"}}, "empty key"),
    "config-linux.md#namespaces no type twice": ({"linux.namespaces": [{"type": "mount"}] * 2}, "twice"),
    "config-linux.md#namespaces path is absolute": (
        {"linux.namespaces": [{"type": "mount"}, {"type": "network", "path": "x"}]},
        "absolute",
    ),
    "config-linux.md#namespaces path must be one of its type": (
        {"linux.namespaces": [{"type": "mount"}, {"type": "network", "path": "/proc/self/ns/uts"}]},
        "Invalid argument",
    ),
    "config-linux.md#user-namespace-mappings go with the namespace": (
        {"linux.uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]},
        "user namespace",
    ),
    "config-linux.md#cgroups-path stays in the hierarchy": ({"linux.cgroupsPath": "/../x"}, "leads out"),
    "config-linux.md#rootfs-mount-propagation has four values": ({"linux.rootfsPropagation": "wild"}, "wild"),
    "config-linux.md#devices type": ({"linux.devices": [{"path": "/dev/x", "type": "z"}]}, "type"),
    "runtime.md#create the command must be there": ({"process.args": ["nosuch"]}, "nosuch"),
}


@pytest.mark.parametrize("must", ERRORS)
def test_what_cannot_be_is_an_error_and_leaves_nothing(made, must):
    changes, word = ERRORS[must]
    for path, value in changes.items():
        place = made.config
        *parents, last = path.split(".")
        for name in parents:
            place = place[name]
        place[last] = value
    with pytest.raises(TiffinError, match=word):
        made.create()
    assert not list(containers(made.root))
    assert not made.directory.path.exists()
    assert not groups(made.name)


def groups(name):
    """The cgroups of this name."""
    return [place for place, _, _ in os.walk("/sys/fs/cgroup") if place.endswith(f"/{name}")]


@pytest.mark.parametrize("path", bundle.UNSUPPORTED)
def test_what_is_not_supported_is_refused_and_what_asks_for_nothing_is_not(path):
    def parse(value):
        document = {
            "ociVersion": "1.2.0",
            "root": {"path": "r"},
            "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/"},
        }
        document["process"]["args"] = ["x"]
        document["linux"] = {"namespaces": [{"type": "mount"}]}
        place = document
        *parents, last = path.split(".")
        for name in parents:
            place = place.setdefault(name, {"defaultAction": "SCMP_ACT_ALLOW"} if name == "seccomp" else {})
        place[last] = value
        return bundle.parse(json.dumps(document).encode(), "/b")

    with pytest.raises(UnsupportedError, match=f"{path} is not supported"):
        parse(1)
    for nothing in (None, 0, False, "", [], {}):
        parse(nothing)


def test_state_md_has_what_it_must(made):
    """runtime.md#state: version, id, status, pid, an absolute bundle and the annotations."""
    made.config["annotations"] = {"com.example.wine": "red"}
    made.shell("sleep 100")
    child = made.create()
    assert made.state() == {
        "ociVersion": "1.2.0",
        "id": made.name,
        "status": "created",
        "pid": child.pid,
        "bundle": str(made.folder),
        "annotations": {"com.example.wine": "red"},
    }
    made.start()
    assert made.state()["status"] == "running"
    lifecycle.kill(made.directory, 9)
    assert child.wait() == 137
    assert (made.state()["status"], made.state()["pid"]) == ("stopped", 0)


def test_nothing_runs_before_the_start_and_config_json_counts_no_more(made):
    """runtime.md#lifecycle 2 and runtime.md#create."""
    made.shell("echo ran")
    child = made.create()
    (made.folder / "config.json").write_text("{}")
    assert made.output.read_text() == ""
    made.start()
    assert child.wait() == 0
    assert made.output.read_text() == "ran\n"


def test_ids_are_unique_and_valid(made):
    """runtime.md#create: an id that is taken or invalid is an error, and no container is made."""
    made.create()
    before = made.state()
    with pytest.raises(ConflictError, match="already exists"):
        lifecycle.create(made.directory, str(made.folder), Creation(made.said.append))
    assert made.state() == before
    for name in ("", ".", "..", "a/b", "a b", "é"):
        with pytest.raises(InvalidError, match="invalid container id"):
            Directory(made.root, name)
    with pytest.raises(NotFoundError, match=r"config\.json"):
        lifecycle.create(Directory(made.root, "other"), str(made.root), Creation(made.said.append))


def test_operations_on_what_is_not_there_or_in_another_state_are_errors(made):
    """runtime.md#query-state, #start, #kill and #delete."""
    nobody = Directory(made.root, "nobody")
    for operation in (
        nobody.read,
        lambda: lifecycle.start(nobody, made.said.append),
        lambda: lifecycle.kill(nobody, 9),
        lambda: lifecycle.delete(nobody, made.said.append),
    ):
        with pytest.raises(NotFoundError, match="container nobody does not exist"):
            operation()
    made.shell("sleep 100")
    child = made.create()
    with pytest.raises(ConflictError, match="created"):
        lifecycle.delete(made.directory, made.said.append)
    made.start()
    with pytest.raises(ConflictError, match="been started"):
        made.start()
    with pytest.raises(ConflictError, match="not stopped"):
        lifecycle.delete(made.directory, made.said.append)
    assert made.state()["status"] == "running"
    lifecycle.kill(made.directory, 9)
    child.wait()
    for operation in (lambda: lifecycle.kill(made.directory, 9), made.start):
        with pytest.raises(ConflictError, match=r"not running|stopped"):
            operation()
    lifecycle.delete(made.directory, made.said.append)
    assert not groups(made.name)
    made.run("true")  # the id may be used again


def test_what_a_create_left_that_was_killed_is_deleted_and_never_signalled(made, monkeypatch):
    """There is no process yet, and 0 would mean our own group."""
    signals = []
    monkeypatch.setattr(os, "kill", lambda *words: signals.append(words))
    (made.folder / "config.json").write_text(json.dumps(made.config))

    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "launch", die)
    monkeypatch.setattr(Directory, "remove", lambda _: None)
    monkeypatch.setattr(lifecycle.Groups, "delete", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        lifecycle.create(made.directory, str(made.folder), Creation(made.said.append))
    monkeypatch.undo()
    monkeypatch.setattr(os, "kill", lambda *words: signals.append(words))
    assert groups(made.name)
    with made.directory.locked():
        assert made.state()["status"] == "creating"
        with pytest.raises(ConflictError, match="not running"):
            lifecycle.kill(made.directory, 9)
    assert made.state()["status"] == "stopped"
    lifecycle.delete(made.directory, made.said.append, force=True)
    assert signals == groups(made.name) == []


def test_kill_sends_that_very_signal(made):
    """runtime.md#kill."""
    made.shell("trap 'echo usr1; exit 3' USR1; echo up; while :; do sleep 0.05; done")
    child = made.create()
    made.start()
    while made.output.read_text() != "up\n":
        os.sched_yield()
    lifecycle.kill(made.directory, 10)
    assert child.wait() == 3
    assert made.output.read_text() == "up\nusr1\n"


def test_a_created_container_can_be_killed(made):
    child = made.create()
    lifecycle.kill(made.directory, 9)
    assert child.wait() == 137
    assert made.state()["status"] == "stopped"


def hook(made, name, log, more=""):
    path = made.folder / name
    path.write_text(f"#!/bin/sh\nread -r s; echo {name} $(readlink /proc/self/ns/mnt) $s >> {log}\n{more}\n")
    path.chmod(0o755)
    return {"path": str(path), "args": [name], "env": ["PATH=/bin:/usr/bin"]}


def test_hooks_are_run_in_their_order_and_namespaces_with_the_state(made, tmp_path):
    """config.md#posix-platform-hooks and runtime.md#lifecycle."""
    log = tmp_path / "log"
    outside = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    made.config["hooks"] = {name: [hook(made, name, log)] for name in outside}
    inside = made.folder / "rootfs/hook"
    inside.write_text("#!/bin/sh\nread -r s; echo startContainer $(readlink /proc/self/ns/mnt) $s\n")
    inside.chmod(0o755)
    made.config["hooks"]["startContainer"] = [{"path": "/hook", "env": ["PATH=/bin"]}]
    made.shell("readlink /proc/self/ns/mnt; sleep 100")
    child = made.create()
    own = os.readlink("/proc/self/ns/mnt")
    lines = [line.split(" ", 2) for line in log.read_text().splitlines()]
    assert [line[0] for line in lines] == ["prestart", "createRuntime", "createContainer"]
    theirs = os.readlink(f"/proc/{child.pid}/ns/mnt")
    assert [line[1] for line in lines] == [own, own, theirs]
    for *_, text in lines:
        told = json.loads(text)
        assert (told["id"], told["status"], told["pid"]) == (made.name, "creating", child.pid)
        assert told["bundle"] == str(made.folder)
    made.start()
    poststart = log.read_text().splitlines()[3].split(" ", 2)
    assert poststart[:2] == ["poststart", own]
    assert json.loads(poststart[2])["status"] == "running"
    while len(written := made.output.read_text().splitlines()) < 2:
        os.sched_yield()
    assert written[0].split(" ", 2)[:2] == ["startContainer", theirs]
    assert json.loads(written[0].split(" ", 2)[2])["status"] == "created"
    assert written[1] == theirs
    child.end()
    lifecycle.delete(made.directory, made.said.append)
    poststop = log.read_text().splitlines()[4].split(" ", 2)
    assert poststop[:2] == ["poststop", own]
    assert json.loads(poststop[2])["status"] == "stopped"


def test_hooks_find_the_root_filesystem_at_its_path(made, tmp_path):
    """config.md#createcontainer-hooks: before the root is changed, with what is mounted in it."""
    log = tmp_path / "log"
    made.config["mounts"].append({"destination": "/new/place", "type": "tmpfs"})
    place = f"{made.folder}/rootfs/new/place"
    test = f"test -d {place} && grep -q {place} /proc/self/mounts || exit 1"
    made.config["hooks"] = {"createContainer": [hook(made, "createContainer", log, test)]}
    assert made.run("echo fine") == ["fine"]


@pytest.mark.parametrize("name", ["prestart", "createRuntime", "createContainer"])
def test_a_hook_that_fails_ends_the_creation(made, name, tmp_path):
    made.config["hooks"] = {name: [hook(made, name, tmp_path / "log", "exit 3")]}
    with pytest.raises(TiffinError, match=f"{name} ended with exit status 3"):
        made.create()
    assert not made.directory.path.exists()
    assert not groups(made.name)


def test_hooks_of_the_start_that_fail(made, tmp_path):
    """Of startContainer it is an error; of poststart and poststop a warning, and life goes on."""
    made.config["hooks"] = {
        name: [hook(made, name, tmp_path / "log", "exit 3")] for name in ("poststart", "poststop")
    }
    assert made.run("echo fine") == ["fine"]
    assert ["exit status 3" in text for text in made.said] == [True, True]
    made.config["hooks"] = {"startContainer": [{"path": "/bin/false"}]}
    child = made.create()
    with pytest.raises(TiffinError, match="false ended with exit status 1"):
        made.start()
    child.wait()
    assert made.output.read_text() == "fine\n"


def test_namespaces_are_new_inherited_or_those_of_a_path(made):
    """config-linux.md#namespaces."""
    made.linux["namespaces"] = [{"type": kind} for kind in ("mount", "pid", "network")]
    kinds = ("ipc", "uts", "net", "pid")
    lines = made.run("; ".join(f"readlink /proc/self/ns/{kind}" for kind in kinds))
    found = dict(zip(kinds, lines, strict=True))
    for kind in ("ipc", "uts"):
        assert found[kind] == os.readlink(f"/proc/self/ns/{kind}")
    for kind in ("net", "pid"):
        assert found[kind] != os.readlink(f"/proc/self/ns/{kind}")


def test_namespaces_of_another_container_are_joined(made, tmp_path, box):
    """config-linux.md#namespaces: with a path the process is placed there; the cgroup namespace too."""
    made.shell("sleep 100")
    made.linux["namespaces"].append({"type": "cgroup"})
    first = made.create()
    made.start()
    (tmp_path / "second").mkdir()
    second = Bundle(box.layer, tmp_path / "second")
    names = {"network": "net", "pid": "pid", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup"}
    second.linux["namespaces"] = [
        {"type": "mount"},
        *({"type": kind, "path": f"/proc/{first.pid}/ns/{name}"} for kind, name in names.items()),
    ]
    try:
        lines = second.run("; ".join(f"readlink /proc/self/ns/{name}" for name in names.values()))
    finally:
        second.end()
    assert lines == [os.readlink(f"/proc/{first.pid}/ns/{name}") for name in names.values()]
    first.end()


def test_a_user_namespace_maps_the_ids(made):
    """config-linux.md#user-namespace-mappings."""
    maps = [{"containerID": 0, "hostID": 300000, "size": 1000}]
    made.linux.update(uidMappings=maps, gidMappings=maps)
    made.linux["namespaces"].append({"type": "user"})
    made.open()
    assert made.run("cat /proc/self/uid_map; touch /x; stat -c %u /x /dev/null") == [
        "         0     300000       1000",
        "0",
        "65534",
    ]
    assert (made.folder / "rootfs/x").stat().st_uid == 300000


def test_an_existing_user_namespace_is_joined(made, tmp_path, box):
    """config-linux.md#namespaces: with those of its kind that belong to it; the mappings need not be told."""
    maps = [{"containerID": 0, "hostID": 300000, "size": 1000}]
    made.linux.update(uidMappings=maps, gidMappings=maps)
    made.linux["namespaces"].append({"type": "user"})
    made.shell("sleep 100")
    made.open()
    first = made.create()
    made.start()
    (tmp_path / "second").mkdir()
    second = Bundle(box.layer, tmp_path / "second")
    second.open()
    names = {"user": "user", "network": "net", "ipc": "ipc"}
    second.linux["namespaces"] = [
        *({"type": kind} for kind in ("mount", "pid", "uts")),
        *({"type": kind, "path": f"/proc/{first.pid}/ns/{name}"} for kind, name in names.items()),
    ]
    script = "; ".join(f"readlink /proc/self/ns/{name}" for name in names.values())
    try:
        lines = second.run(f"{script}; cat /proc/self/uid_map; touch /x && id -u")
    finally:
        second.end()
    assert lines[:3] == [os.readlink(f"/proc/{first.pid}/ns/{name}") for name in names.values()]
    assert lines[3].split() == ["0", "300000", "1000"]
    assert lines[4] == "0"
    assert (second.folder / "rootfs/x").stat().st_uid == 300000
    first.end()


def test_cgroups_are_at_their_path_with_their_limits(made):
    """config-linux.md#cgroups-path, #memory, #pids, #allowed-device-list: a path begins at the top."""
    made.linux["cgroupsPath"] = f"/tiffin-test/{made.name}"
    made.linux["resources"] = {
        "pids": {"limit": 33},
        "memory": {"limit": 64 << 20},
        "devices": [{"allow": False, "access": "rwm"}],
    }
    made.process["capabilities"] = sets(*CAPABILITIES, "CAP_MKNOD")
    try:
        written = made.run(
            "grep -E ':(pids|memory|):' /proc/self/cgroup; mknod /x b 1 0; head -c 1 /x 2>&1; "
            "head -c 1 /dev/zero | wc -c"
        )
        assert any(line.endswith(f":/tiffin-test/{made.name}") for line in written[:2])
        assert written[-2:] == ["head: /x: Operation not permitted", "1"]
        made.shell("sleep 100")
        child = made.create()
        limits = {
            Path(place, name).read_text().strip()
            for place in groups(made.name)
            for name in ("pids.max", "memory.limit_in_bytes", "memory.max")
            if Path(place, name).exists()
        }
        assert limits == {"33", str(64 << 20)}
        lifecycle.update(made.directory, b'{"pids": {"limit": 44}}')
        assert {
            Path(place, "pids.max").read_text()
            for place in groups(made.name)
            if Path(place, "pids.max").exists()
        } == {"44\n"}
        with pytest.raises(UnsupportedError, match=r"linux\.resources\.unified"):
            lifecycle.update(made.directory, b'{"pids": {"limit": 55}, "unified": {"x": "y"}}')
        child.end()
        with pytest.raises(ConflictError, match="not running"):
            lifecycle.update(made.directory, b'{"pids": {"limit": 44}}')
    finally:
        made.end()
        for place in groups("tiffin-test"):
            os.rmdir(place)


def test_an_unknown_capability_is_a_warning(made):
    """config.md#linux-process: what cannot be mapped is logged, and does not fail."""
    made.process["capabilities"] = sets("CAP_CHOWN", "CAP_WINE")
    assert made.run("grep CapBnd /proc/self/status") == ["CapBnd:\t0000000000000001"]
    assert made.said == ["there is no capability CAP_WINE here"]


def test_a_terminal_goes_to_the_socket_and_is_the_console(made, tmp_path):
    """config.md#process terminal and config-linux.md#default-devices: /dev/console is the terminal."""
    made.process.update(terminal=True, consoleSize={"height": 7, "width": 70})
    made.shell("stty size; tty; stat -c %t,%T /dev/console; cat /etc/passwd > /dev/console")
    with socket.socket(socket.AF_UNIX) as listener:
        path = str(tmp_path / "console.sock")
        listener.bind(path)
        listener.listen(1)
        with pytest.raises(InvalidError, match="needs --console-socket"):
            made.create()
        child = made.create(console=path, pid_file=str(tmp_path / "pid"))
        assert (tmp_path / "pid").read_text() == str(child.pid)
        connection, _ = listener.accept()
        with connection:
            _, (console,), _, _ = socket.recv_fds(connection, 100, 1)
    made.start()
    data = b""
    while b"root:" not in data:
        data += os.read(console, 1000)
    child.wait()
    os.close(console)
    lines = data.decode().split("\r\n")
    assert lines[:2] == ["7 70", "/dev/pts/0"]
    assert lines[2].startswith("88,")
    assert stat.S_ISSOCK(os.stat(path).st_mode)


def test_descriptors_are_preserved_if_they_are_asked_for(made, tmp_path):
    """As with --preserve-fds: those from 3 on, and no others."""
    file = os.open(tmp_path / "given", os.O_WRONLY | os.O_CREAT)
    third = os.dup(3) if os.path.exists("/proc/self/fd/3") else -1
    os.dup2(file, 3)
    made.shell("echo kept >&3; ls /proc/self/fd")
    try:
        child = made.create(preserved=1)
    finally:
        if third >= 0:
            os.dup2(third, 3)
            os.close(third)
        else:
            os.close(3)
        os.close(file)
    made.start()
    child.wait()
    assert (tmp_path / "given").read_text() == "kept\n"
    assert made.output.read_text().split() == ["0", "1", "2", "3", "4"]  # the last is of ls itself


def test_a_further_process(made):
    made.shell("sleep 100")
    child = made.create()
    with pytest.raises(ConflictError, match="created"):
        enter(made.directory, Wanted(args=("id",)))
    made.start()
    with made.streams():
        second = enter(
            made.directory,
            Wanted(args=("sh", "-c", "id -u; echo $A; pwd; exit 3"), env=("A=b",), cwd="/etc", user="5:6"),
        )
    assert second.wait() == 3
    assert made.output.read_text().split() == ["5", "b", "/etc"]
    assert sorted(lifecycle.pids(made.directory)) == [child.pid]
    lifecycle.freeze(made.directory, on=True)
    assert made.state()["status"] == "paused"
    lifecycle.delete(made.directory, made.said.append, force=True)
    assert child.wait() == 137
