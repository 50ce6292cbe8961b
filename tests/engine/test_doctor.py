"""What the doctor says of machines that are made up."""

import errno
import os

import pytest

from tiffin.engine import chrootdoctor, doctor, placedoctor
from tiffin.engine.settings import Settings
from tiffin.errors import UnsupportedError
from tiffin.linux import capability
from tiffin.linux.namespace import IdMap
from tiffin.linux.probe import Facts
from tiffin.network import plan

ROOT = Facts(
    euid=0,
    egid=0,
    user="root",
    capabilities=1 << capability.SYS_ADMIN,
    kernel=(6, 8),
    machine="x86_64",
    memory=1 << 34,
    uid_map=(IdMap(0, 0, 4294967295),),
    gid_map=(IdMap(0, 0, 4294967295),),
    cgroups="cgroup2",
    store_filesystem="ext4",
    user_namespaces="",
    overlay="",
    idmap="",
)
USER = ROOT._replace(
    euid=1000,
    egid=1000,
    user="ada",
    capabilities=0,
    subuids=(IdMap(0, 100000, 65536),),
    subgids=(IdMap(0, 100000, 65536),),
    map_tools=True,
    idmap=None,
)
ONLINE = plan.Facts(root=True, admin=True, nft="/usr/sbin/nft", pasta="/usr/bin/pasta", tun=True)
OFFLINE = plan.Facts(root=False, admin=False, nft="", pasta="", tun=False)


@pytest.fixture
def examine(monkeypatch, tmp_path):
    monkeypatch.setattr(chrootdoctor, "_groups", lambda: doctor.Check("cgroups", ok=True, found="yes"))
    monkeypatch.setattr(chrootdoctor.traceable, "check", lambda: None)

    def report(facts, network=ONLINE, isolation="auto"):
        monkeypatch.setattr(doctor.probe, "examine", lambda store, *, tries: facts)
        monkeypatch.setattr(doctor.attach, "examine", lambda *, root: network)
        monkeypatch.setattr(placedoctor, "limits", lambda version: doctor.Check("cgroups", True, version))
        return doctor.examine(Settings.load({"TIFFIN_HOME": str(tmp_path)}, isolation=isolation))

    return report


def failed(report):
    return {check.name: check for check in report.checks if not check.ok}


def test_where_all_is_well_nothing_is_to_be_mended(examine):
    report = examine(ROOT)
    assert (report.rung, failed(report)) == ("root", {})
    assert len(report.reasons) == 1
    report = examine(USER, ONLINE._replace(root=False, admin=False, nft=""))
    assert (report.rung, failed(report)) == ("rootless", {})
    assert report.reasons[1] == "not root: the user is not root"


@pytest.mark.parametrize(
    ("change", "name", "word", "remedy"),
    [
        ({"kernel": (4, 19), "missing_calls": ("pidfd_open",)}, "kernel", "4.19", "Linux 5.3"),
        ({"machine": "ppc"}, "machine", "ppc", "x86-64"),
        ({"overlay": "not on nfs"}, "overlayfs", "not on nfs", "TIFFIN_HOME"),
        ({"overlay": None}, "overlayfs", "not tried", "TIFFIN_HOME"),
        ({"subuids": ()}, "subordinate ids", "/etc/subuid", "usermod --add-subuids"),
        ({"subgids": ()}, "subordinate ids", "/etc/subgid", "--add-subgids 100000-165535 ada"),
        ({"map_tools": False}, "id mapping tools", "missing", "uidmap"),
        ({"map_refusal": "newuidmap has lost its set-user-ID bit"}, "id mapping tools", "lost", "chmod u+s"),
        (
            {"map_refusal": "no rights: no_new_privs is on"},
            "id mapping tools",
            "no rights",
            "NoNewPrivileges",
        ),
        ({"seccomp": False}, "seccomp", "not in this kernel", "kernel"),
        ({"cgroups": ""}, "cgroups", "none", "cgroup2"),
        (
            {"user_namespaces": "not permitted", "userns_restriction": "kernel.unprivileged_userns_clone=0"},
            "user namespaces",
            "not permitted",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            {
                "user_namespaces": "denied",
                "userns_restriction": "kernel.apparmor_restrict_unprivileged_userns=1",
            },
            "user namespaces",
            "denied",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"user_namespaces": "no space left", "max_user_namespaces": 0},
            "user namespaces",
            "no space left",
            "sysctl -w user.max_user_namespaces=10000",
        ),
        ({"user_namespaces": "not permitted"}, "user namespaces", "not permitted", "seccomp profile"),
    ],
)
def test_each_want_has_its_name_and_its_remedy(examine, change, name, word, remedy):
    found = failed(examine(USER._replace(**change)))
    assert list(found) == [name]
    assert word in found[name].found
    assert remedy in found[name].remedy


def test_root_is_told_of_mapped_mounts_and_not_of_subordinate_ids(examine):
    names = [check.name for check in examine(ROOT._replace(idmap="not supported by zfs")).checks]
    assert "subordinate ids" in names  # the rung is not root then
    report = examine(ROOT._replace(idmap="not supported by zfs"), isolation="root")
    assert report.rung == ""
    assert failed(report)["idmapped mounts"].found == "not supported by zfs"
    assert "subordinate ids" not in {check.name for check in report.checks}


def test_an_older_kernel_is_told_of_what_a_newer_one_gives(examine):
    old = ROOT._replace(kernel=(5, 10), old=True, overlay="Not permitted", idmap="Function not implemented")
    report = examine(old)
    assert report.rung == "root"
    assert report.reasons[0].startswith("containers have the ids of this machine")
    assert "Linux 5.11" in failed(report)["overlayfs"].remedy
    assert "Linux 5.19" in failed(report)["idmapped mounts"].remedy
    assert "kernel" not in failed(report)


def test_where_nothing_works_the_reason_comes_first(examine):
    report = examine(USER._replace(kernel=(4, 18), missing_calls=("fsopen",)), isolation="rootless")
    assert (report.rung, "kernel" in failed(report)) == ("", True)
    assert "4.18" in report.reasons[0]
    assert report.reasons[1]


def test_what_stands_in_the_way_of_higher_rungs_is_said(examine):
    report = examine(USER._replace(subuids=()))
    assert report.rung == "single-id"
    text = "\n".join(report.reasons)
    assert "not rootless: /etc/subuid has no entry for ada" in text
    assert "to change that: usermod" in text


def test_without_namespaces_programs_are_traced(examine, monkeypatch):
    shut = USER._replace(user_namespaces="Operation not permitted", store_filesystem="overlay")
    report = examine(shut)
    assert (report.rung, list(failed(report))) == ("traced", ["user namespaces"])
    assert "not chroot: the user is not root" in report.reasons

    def refuse():
        raise UnsupportedError("they cannot be traced", hint="allow ptrace")

    monkeypatch.setattr(chrootdoctor.traceable, "check", refuse)
    found = failed(examine(shut))["programs"]
    assert (found.found, found.remedy) == ("they cannot be traced", "allow ptrace")


def test_what_could_not_be_tried_is_no_second_want(examine):
    inside = ROOT._replace(uid_map=(IdMap(0, 1000, 65536),), capabilities=(1 << 41) - 1)
    report = examine(inside._replace(user_namespaces="no space left", overlay="no space left"))
    assert (report.rung, list(failed(report))) == ("rootless", ["user namespaces"])


def test_a_machine_without_a_network_tool_is_told_so(examine):
    found = failed(examine(USER, OFFLINE))
    assert list(found) == ["network"]
    assert (found["network"].found, "pasta" in found["network"].remedy) == ("loopback", True)


def shut(*_arguments, **_options):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def bare(*_arguments, **_options):
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@pytest.mark.parametrize(
    ("name", "instead", "found"),
    [("mkdir", shut, "cannot be written: Read-only file system"), ("setxattr", bare, "keep no attributes")],
)
def test_without_a_place_for_the_store_nothing_runs(examine, monkeypatch, name, instead, found):
    with monkeypatch.context() as patched:
        patched.setattr(os, name, instead)
        report = examine(USER)
    assert (report.rung, list(failed(report))) == ("", ["store"])
    assert found in report.reasons[0]
    assert (
        f"TIFFIN_HOME to a directory of yours on a local disk, such as /var/tmp/tiffin-{os.geteuid()}"
        in (report.reasons[1])
    )
    assert "overlayfs" not in {check.name for check in report.checks}


def test_a_store_with_other_owners_is_told_with_the_way_back(examine, tmp_path):
    (tmp_path / "owners").write_text("recorded\n")
    report = examine(USER)
    assert (report.rung, list(failed(report))) == ("", ["store"])
    assert "made with recorded owners, and the rung rootless" in report.reasons[0]
    assert "TIFFIN_ISOLATION=single-id" in report.reasons[1]
    assert examine(USER, isolation="single-id").rung == "single-id"


def test_limits_that_cannot_be_kept_are_told(monkeypatch):
    def refuse(_resources):
        raise UnsupportedError("no group can be made in /sys/fs/cgroup", hint="mount it writable")

    monkeypatch.setattr("tiffin.runtime.cgroups.manager.make_group", refuse)
    found = placedoctor.limits("v2")
    assert (found.ok, found.remedy) == (False, "mount it writable")
    assert found.found == "no limits (--memory, --cpus): no group can be made in /sys/fs/cgroup"
