"""What other runtimes are given, and what is made of what they say."""

import errno
import os

import msgspec
import pytest

from tiffin.errors import FailedError, NotFoundError
from tiffin.oci.codec import decode, encode
from tiffin.oci.config import ContainerConfig
from tiffin.oci.runtimespec import (
    IDMapping,
    Linux,
    Memory,
    Mount,
    Namespace,
    Process,
    Resources,
    RuntimeSpec,
)
from tiffin.runtime import external, plan
from tiffin.runtime.model import UserMap
from tiffin.runtime.portable import external as for_others
from tiffin.runtime.portable import portable
from tiffin.runtime.spec import HOST, NEW, Options, Place, make_spec
from tiffin.runtime.users import User as ProcessUser

EVERYBODY = ((0, 0, 1 << 32),)


def spec(network):
    from tiffin.linux.namespace import IdMap

    place = Place("x86_64", (6, 1), 1 << 30, UserMap(), tuple(IdMap(*line) for line in EVERYBODY))
    resources = Resources(memory=Memory(limit=64 << 20))
    options = Options(command=("id",), network=network, resources=resources)
    return make_spec(ContainerConfig(), ProcessUser(0, 0, (), "/root"), options, place)


def test_cgroups_and_sys_are_said_so_that_all_understand():
    own, shared = (
        {entry.destination: entry for entry in portable(spec(mode)).mounts} for mode in (NEW, HOST)
    )
    assert own["/sys/fs/cgroup"].type == shared["/sys/fs/cgroup"].type == "cgroup"
    assert own["/sys"].type == "sysfs"
    assert shared["/sys"] == Mount(
        "/sys", "bind", "/sys", ("rbind", "rprivate", "nosuid", "noexec", "nodev", "ro")
    )


def test_a_joined_network_is_not_its_own():
    joined = msgspec.structs.replace(
        spec(NEW), linux=Linux(namespaces=(Namespace("network", "/proc/1/ns/net"),))
    )
    assert {entry.destination: entry.type for entry in portable(joined).mounts}["/sys"] == "bind"


def test_limits_are_ours_to_keep():
    assert portable(spec(NEW)).linux.resources is not None
    assert for_others(spec(NEW)).linux.resources is None


def test_root_of_this_machine_is_kept_from_its_devices():
    document = for_others(spec(NEW), guarded=False)
    assert [rule.allow for rule in document.linux.resources.devices] == [False]


def test_owners_are_shifted_only_where_there_is_a_user_namespace():
    mounts = (Mount("/a", "bind", "/a", ("rbind", "idmap")),)
    alone = msgspec.structs.replace(spec(NEW), mounts=mounts)
    assert portable(alone).mounts[0].options == ("rbind",)
    maps = (IDMapping(0, 100000, 1),)
    users = msgspec.structs.replace(alone, linux=Linux(uid_mappings=maps, gid_mappings=maps))
    assert portable(users).mounts == mounts


def test_the_document_is_old_enough_for_old_runtimes():
    assert portable(spec(NEW)).oci_version == "1.0.2"
    assert decode(encode(portable(spec(NEW))), RuntimeSpec, "it") == portable(spec(NEW))


def test_a_process_is_the_same_in_both_forms():
    limits = ({"type": "RLIMIT_NOFILE", "soft": 5, "hard": (1 << 64) - 1},)
    document = {
        "terminal": True,
        "user": {"uid": 5, "gid": 6, "umask": 0o27, "additionalGids": [6, 7]},
        "args": ["sh", "-c", "é"],
        "env": ["A=b"],
        "cwd": "/tmp",
        "capabilities": {
            kind: ["CAP_CHOWN", "CAP_NET_RAW"]
            for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")
        },
        "rlimits": list(limits),
        "noNewPrivileges": True,
        "oomScoreAdj": -5,
    }
    process = plan.make_process(msgspec.convert(document, Process), None, machine="x86_64")
    assert external.process_document(process) == document


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ('runc create failed: exec: "x": executable file not found in $PATH', 127),
        ('exec: "/x": stat /x: no such file or directory', 127),
        ("executable file `x` not found in $PATH: No such file or directory", 127),
        ("open executable: Permission denied", 126),
        ('exec: "/etc/passwd": permission denied', 126),
        ("exec /x: exec format error", 126),
        ('error mounting "/gone" to rootfs: no such file or directory', 125),
        ("unknown version specified", 125),
    ],
)
def test_what_a_runtime_says_decides_the_exit_status(said, status):
    error = external.failure(said)
    assert error.exit_status == status
    assert said in error.message
    assert isinstance(error, NotFoundError if status == 127 else FailedError)


def test_the_last_error_that_was_logged_since_counts(tmp_path):
    log = tmp_path / "log"
    log.write_text('{"level":"error","msg":"old"}\n')
    seen = log.stat().st_size
    with log.open("a") as file:
        file.write('{"level":"warning","msg":"careful"}\nno json\n{"level":"error","msg":"new"}\n')
    assert external.complaint(str(log), seen) == "new"
    assert external.complaint(str(log), log.stat().st_size) == ""
    assert external.complaint(str(tmp_path / "none"), 0) == ""


def test_a_runtime_that_fails_leaves_nothing(tmp_path):
    program = tmp_path / "runtime"
    program.write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    program.chmod(0o755)
    runtime = external.Runtime(str(program), (), "one", str(tmp_path / "place"))
    (tmp_path / "place").mkdir()
    keeper = external.Keeper(runtime)
    keeper.release()
    assert os.listdir(tmp_path) == ["runtime"]


def test_files_that_a_check_adds_while_all_is_removed_are_removed_too(tmp_path, monkeypatch):
    place = tmp_path / "place"
    place.mkdir()
    real, tries = external.remove_tree, []

    def remove(path):
        tries.append(path)
        if len(tries) == 1:  # as the kernel says of a directory that got a file just now
            (place / "exec-1.pid").write_text("1")
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))
        real(path)

    monkeypatch.setattr(external, "remove_tree", remove)
    external.clear(str(place))
    assert (len(tries), place.exists()) == (2, False)
