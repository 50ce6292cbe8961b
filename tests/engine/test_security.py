"""Options about what a container may do, in the user's words, and what they become."""

import pytest

from tiffin.engine.security import secure
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.runtime.spec import EVERY_PATH, HOST, NEW, NONE, Options


def read(*words, hostname=False, network=""):
    return secure(Options(), words, hostname=hostname, network=network)


def opt(*texts):
    return read(*(("security-opt", text) for text in texts))


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("no-new-privileges", {}),
        ("no-new-privileges:true", {}),
        ("no-new-privileges=false", {"no_new_privileges": False}),
        ("seccomp=unconfined", {"unconfined": True}),
        ("seccomp:unconfined", {"unconfined": True}),
        ("seccomp=builtin", {}),
        ("apparmor=unconfined", {}),
        ("label=disable", {}),
        ("label:disable", {}),
        ("systempaths=unconfined", {"show": (EVERY_PATH,)}),
        ("unmask=all", {"show": (EVERY_PATH,)}),
        ("unmask=/proc/sys/:/proc/kcore", {"show": ("/proc/sys", "/proc/kcore")}),
        ("mask=/etc/secret", {"hide": ("/etc/secret",)}),
    ],
)
def test_security_options(text, changed):
    assert opt(text) == Options(**changed)


def test_several_add_up_and_the_last_profile_counts(tmp_path):
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    found = opt("mask=/a", "seccomp=unconfined", "mask=/b", f"seccomp={profile}")
    assert (found.hide, found.unconfined) == (("/a", "/b"), False)
    assert found.profile.default_action == "SCMP_ACT_ALLOW"
    assert opt(f"seccomp={profile}", "seccomp=builtin").profile is None


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ([("security-opt", "x=y")], InvalidError, "no such option"),
        ([("security-opt", "seccomp")], InvalidError, "no such option"),
        ([("security-opt", "no-new-privileges:perhaps")], InvalidError, "no such option"),
        ([("security-opt", "seccomp=/nope")], NotFoundError, "No such file"),
        ([("security-opt", "seccomp=/etc/passwd")], InvalidError, "no seccomp profile"),
        ([("security-opt", "apparmor=mine")], UnsupportedError, "no AppArmor profile"),
        ([("security-opt", "label=type:t")], UnsupportedError, "no SELinux label"),
        ([("security-opt", "mask=etc")], InvalidError, "not an absolute path"),
        ([("security-opt", "unmask=/proc/../etc")], InvalidError, "not an absolute path"),
        ([("ipc", "container:")], InvalidError, "there is no such mode"),
        ([("uts", "shareable")], InvalidError, "there is no such mode"),
        ([("uts", "container:a")], InvalidError, "there is no such mode"),
        ([("pid", "none")], InvalidError, "there is no such mode"),
        ([("cgroupns", "nope")], InvalidError, "there is no such mode"),
        ([("ipc", "container:a"), ("sysctl", "kernel.shmmax=1")], InvalidError, "with --ipc container:a"),
        ([("sysctl", "net.core.somaxconn")], InvalidError, "name=value"),
        ([("sysctl", "kernel.panic=1")], InvalidError, "whole machine's"),
        ([("sysctl", "net.a/../../kernel/panic=1")], InvalidError, "whole machine's"),
        ([("sysctl", "kernel.core_pattern=|/x")], InvalidError, "whole machine's"),
        ([("ipc", "host"), ("sysctl", "kernel.shmmax=1")], InvalidError, "with --ipc host"),
    ],
)
def test_what_is_refused(words, error, message):
    with pytest.raises(error, match=message):
        read(*words)


def test_namespaces_and_parameters():
    assert (read(("ipc", "host"), ("uts", "host")).ipc, read(("uts", "private")).uts) == (HOST, NEW)
    assert (read(("ipc", "none")).ipc, read(("pid", "host")).pid) == (NONE, HOST)
    assert (read(("pid", "container:a")).pid, read(("cgroupns", "host")).cgroup) == (NEW, HOST)
    words = (("sysctl", "net.ipv4.ip_forward=1"), ("sysctl", "fs.mqueue.msg_max=20"))
    assert read(*words).sysctls == (("net.ipv4.ip_forward", "1"), ("fs.mqueue.msg_max", "20"))
    for network in ("host", "container:other"):
        with pytest.raises(InvalidError, match=f"with --network {network}"):
            read(*words, network=network)
    with pytest.raises(InvalidError, match="--hostname cannot"):
        read(("uts", "host"), hostname=True)


def test_privileged_is_one_word():
    assert read(("privileged", "")).privileged
    assert not read(("group-add", "5")).privileged
