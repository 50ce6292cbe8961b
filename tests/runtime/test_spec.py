"""From image and options to the runtime spec, as Docker would have it."""

import json

import msgspec
import pytest

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux.namespace import IdMap
from tiffin.oci import codec
from tiffin.oci.config import ContainerConfig
from tiffin.oci.runtimespec import Mount, RuntimeSpec
from tiffin.oci.runtimespec import User as ProcessUser
from tiffin.runtime.model import UserMap
from tiffin.runtime.spec import HOST, NONE, Options, Place, exec_process, make_spec
from tiffin.runtime.users import User

ROOT = User(0, 0, (), "/root")
IDS = (IdMap(0, 100000, 65536),)
PLACE = Place("x86_64", (6, 1), 8 << 30, UserMap(IDS, IDS), IDS)
ROOTLESS = PLACE._replace(users=UserMap())
SINGLE = ROOTLESS._replace(ids=(IdMap(0, 1, 1),), single_id=True)


def make(config=None, options=None, user=ROOT, place=PLACE):
    return make_spec(config or ContainerConfig(cmd=("sh",)), user, options or Options(), place)


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "given", "command", "expected"),
    [
        (None, ("a",), None, (), ("a",)),
        (("e",), ("a",), None, (), ("e", "a")),
        (("e",), ("a",), None, ("b", "c"), ("e", "b", "c")),
        (("e",), None, None, (), ("e",)),
        (("e",), ("a",), ("x",), (), ("x",)),
        (("e",), ("a",), ("x",), ("b",), ("x", "b")),
        (("e",), ("a",), ("",), ("b",), ("b",)),
    ],
)
def test_entrypoint_and_command(entrypoint, cmd, given, command, expected):
    config = ContainerConfig(entrypoint=entrypoint, cmd=cmd)
    assert make(config, Options(command=command, entrypoint=given)).process.args == expected


@pytest.mark.parametrize("options", [Options(), Options(entrypoint=("",))])
def test_nothing_to_run_is_an_error(options):
    config = ContainerConfig() if options.entrypoint is None else ContainerConfig(cmd=("a",))
    with pytest.raises(InvalidError, match="no command"):
        make(config, options)


def test_the_environment_is_layered():
    config = ContainerConfig(cmd=("a",), env=("PATH=/image", "A=1", "B=x=y", "HOME=/image"))
    options = Options(env=("A=2", "C="), hostname="h", terminal=True)
    assert make(config, options).process.env == (
        "PATH=/image",
        "HOSTNAME=h",
        "TERM=xterm",
        "HOME=/image",
        "A=2",
        "B=x=y",
        "C=",
    )


def test_the_least_environment():
    assert make().process.env == (
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
    )


@pytest.mark.parametrize(
    ("image", "given", "expected"), [("", "", "/"), ("/app", "", "/app"), ("/app", "/x", "/x")]
)
def test_the_working_directory(image, given, expected):
    config = ContainerConfig(cmd=("a",), working_dir=image)
    assert make(config, Options(working_dir=given)).process.cwd == expected


def test_a_relative_working_directory_is_refused():
    with pytest.raises(InvalidError, match="not an absolute path"):
        make(options=Options(working_dir="app"))


def test_users_that_are_not_mapped_are_refused():
    spec = make(user=User(65535, 1, (2,)))
    assert spec.process.user == ProcessUser(65535, 1, additional_gids=(1, 2))
    for user in (User(65536, 0), User(0, 65536), User(0, 0, (65536,))):
        with pytest.raises(UnsupportedError, match="65536 does not exist here"):
            make(user=user)


def test_with_a_single_id_everybody_is_root():
    spec = make(user=User(33, 33, (44,)), place=SINGLE)
    assert spec.process.user == ProcessUser(0, 0)
    assert ("chown" in spec.linux.seccomp.syscalls[0].names, spec.linux.seccomp.syscalls[0].errno_ret) == (
        True,
        0,
    )


def test_namespaces_are_new_shared_or_joined():
    kinds = {entry.type: entry.path for entry in make().linux.namespaces}
    assert kinds == dict.fromkeys(("mount", "cgroup", "network", "pid", "ipc", "uts", "user"), "")
    options = Options(network="/proc/5/ns/net", pid="host", uts="host")
    kinds = {entry.type: entry.path for entry in make(options=options, place=ROOTLESS).linux.namespaces}
    assert kinds == {"mount": "", "cgroup": "", "network": "/proc/5/ns/net", "ipc": ""}


def test_defaults_are_dockers():
    spec = make(options=Options(hostname="h"))
    assert spec.hostname == "h"
    assert spec.process.no_new_privileges
    assert len(spec.process.capabilities.bounding) == 14
    assert spec.process.capabilities.inheritable == spec.process.capabilities.ambient == ()
    assert "/proc/kcore" in spec.linux.masked_paths
    assert "/proc/sys" in spec.linux.readonly_paths
    assert spec.linux.sysctl["net.ipv4.ping_group_range"] == "0 65535"
    assert spec.linux.seccomp.default_action == "SCMP_ACT_ERRNO"
    mounts = {mount.destination: mount for mount in spec.mounts}
    assert f"size={4 << 30}" in mounts["/dev/shm"].options
    assert "ro" in mounts["/sys"].options
    assert {"newinstance", "ptmxmode=0666", "gid=5"} <= set(mounts["/dev/pts"].options)


def test_what_depends_on_the_ids():
    assert make(place=SINGLE).linux.sysctl["net.ipv4.ping_group_range"] == "0 0"
    mounts = {mount.destination: mount for mount in make(place=SINGLE).mounts}
    assert "gid=5" not in mounts["/dev/pts"].options
    assert make(place=ROOTLESS).linux.uid_mappings == ()
    assert make().linux.uid_mappings[0].host_id == 100000


def test_the_hosts_network_keeps_its_parameters():
    assert make(options=Options(network="host")).linux.sysctl == {}


def test_privileged():
    spec = make(options=Options(privileged=True))
    assert len(spec.process.capabilities.effective) == 41
    assert spec.linux.seccomp is None
    assert spec.linux.masked_paths == spec.linux.readonly_paths == ()
    assert not spec.process.no_new_privileges
    assert "ro" not in {mount.destination: mount for mount in spec.mounts}["/sys"].options
    assert (
        make(options=Options(privileged=True), place=SINGLE).linux.seccomp.default_action == "SCMP_ACT_ALLOW"
    )


def test_security_options():
    assert make(options=Options(unconfined=True)).linux.seccomp is None
    assert not make(options=Options(no_new_privileges=False)).process.no_new_privileges
    sets = make(options=Options(cap_drop=("ALL",), cap_add=("NET_BIND_SERVICE",))).process.capabilities
    assert sets.bounding == sets.permitted == sets.effective == ("CAP_NET_BIND_SERVICE",)


def test_own_mounts_come_after_the_default_ones():
    mount = Mount("/data", "bind", "/srv", ("rbind",))
    assert make(options=Options(mounts=(mount,))).mounts[-1] == mount


def test_exec_is_the_first_process_with_changes():
    first = make(options=Options(env=("A=1",), terminal=True, size=(1, 2)))
    process = exec_process(first, ("id",), User(33, 44, (55,), "/home"), env=("A=2", "B=3"), working_dir="/x")
    assert process.args == ("id",)
    assert process.user == ProcessUser(33, 44, additional_gids=(44, 55))
    assert process.cwd == "/x"
    assert not process.terminal
    assert set(process.env) >= {"A=2", "B=3", "HOME=/home"}
    assert not {"A=1", "HOME=/root"} & set(process.env)
    assert process.capabilities == first.process.capabilities
    assert len(exec_process(first, ("id",), ROOT, privileged=True).capabilities.effective) == 41
    assert exec_process(first, ("id",), ROOT).cwd == "/"


def test_the_document_has_the_words_of_the_specification():
    document = json.loads(codec.encode(make(options=Options(hostname="h", terminal=True, size=(24, 80)))))
    assert document["ociVersion"]
    assert document["process"]["noNewPrivileges"] is True
    assert document["process"]["consoleSize"] == {"height": 24, "width": 80}
    assert document["process"]["user"] == {"uid": 0, "gid": 0, "additionalGids": [0]}
    assert document["root"] == {"path": "rootfs"}
    assert document["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 100000, "size": 65536}]
    assert document["linux"]["maskedPaths"][0] == "/proc/acpi"
    assert {"type": "pid"} in document["linux"]["namespaces"]


def test_the_document_is_read_as_it_was_written():
    spec = make(options=Options(hostname="h", mounts=(Mount("/a", "bind", "/b", ("ro",)),)))
    assert codec.decode(codec.encode(spec), RuntimeSpec, "config.json") == spec
    assert msgspec.json.decode(codec.encode(spec), type=RuntimeSpec) == spec


def test_paths_that_are_hidden_besides_and_those_that_are_not():
    usual = make().linux
    shown = make(options=Options(show=("/proc/sys", "/proc/kcore", "/sys"), hide=("/etc/secret",))).linux
    assert set(usual.masked_paths) - set(shown.masked_paths) == {
        *("/proc/kcore", "/sys/devices/virtual/powercap", "/sys/firmware")
    }
    assert "/etc/secret" in shown.masked_paths
    assert set(usual.readonly_paths) - set(shown.readonly_paths) == {"/proc/sys"}
    everything = make(options=Options(show=("ALL",))).linux
    assert (everything.masked_paths, everything.readonly_paths) == ((), ())


def test_namespaces_of_the_machine_show_what_is_in_them():
    spec = make(options=Options(pid=HOST, ipc=HOST, cgroup=HOST))
    assert {space.type for space in spec.linux.namespaces} == {"mount", "network", "uts", "user"}
    mounts = {entry.destination: entry for entry in spec.mounts}
    for path in ("/proc", "/dev/shm", "/sys/fs/cgroup"):
        assert (mounts[path].type, mounts[path].source, mounts[path].options[0]) == ("bind", path, "rbind")
    assert "ro" in mounts["/sys/fs/cgroup"].options
    assert "/dev/mqueue" not in mounts


def test_ipc_none_has_no_shared_memory():
    spec = make(options=Options(ipc=NONE))
    assert "ipc" in {space.type for space in spec.linux.namespaces}
    assert "/dev/shm" not in {entry.destination for entry in spec.mounts}
