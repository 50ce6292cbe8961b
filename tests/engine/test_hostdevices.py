"""Devices by path: found on this machine, and what they are in a spec."""

import os
import stat

import pytest

from tiffin.engine.hostdevices import check, described, find_nodes, rules_for, with_nodes
from tiffin.errors import DeniedError, InvalidError, NotFoundError, UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.oci.runtimespec import Device, DeviceRule, Mount, Process, Root, RuntimeSpec, User

SPEC = RuntimeSpec(Process(User(0, 0), "/"), Root("rootfs"))


def test_a_device_by_path_and_through_a_link(tmp_path):
    (tmp_path / "link").symlink_to("/dev/null")
    for path in ("/dev/null", str(tmp_path / "link")):
        (node,) = find_nodes([f"{path}:/dev/mine:r"])
        assert (node.source, node.target, node.access, node.kind) == ("/dev/null", "/dev/mine", "r", "c")


def test_the_last_of_two_in_one_place_counts():
    (node,) = find_nodes(["/dev/null:/dev/x", "/dev/zero:/dev/x"])
    assert node.source == "/dev/zero"


def test_a_directory_is_all_devices_in_it(tmp_path, monkeypatch):
    for name in ("b", "a", "sub/c", "pts/0", "console"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    status = os.stat("/dev/null")
    monkeypatch.setattr("tiffin.engine.hostdevices._is_device", lambda found: found.st_size == 0)
    monkeypatch.setattr("tiffin.engine.hostdevices.os.lstat", lambda _path: status)
    found = [
        (node.source.removeprefix(str(tmp_path)), node.target)
        for node in find_nodes([f"{tmp_path}:/dev/all"])
    ]
    assert found == [("/a", "/dev/all/a"), ("/b", "/dev/all/b"), ("/sub/c", "/dev/all/sub/c")]


def test_what_is_no_device(tmp_path):
    with pytest.raises(NotFoundError, match="No such file"):
        find_nodes(["/dev/nothing-here"])
    with pytest.raises(InvalidError, match=r"it is no device$"):
        find_nodes(["/etc/passwd"])
    with pytest.raises(InvalidError, match="there is none in it"):
        find_nodes([str(tmp_path)])


def test_as_root_nodes_are_made_and_otherwise_mounted():
    made = with_nodes(SPEC, Rung.ROOT, ["/dev/null:/dev/mine"])
    status = os.stat("/dev/null")
    owner = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    assert made.linux.devices == (Device("/dev/mine", "c", 1, 3, *owner),)
    assert made.mounts == ()
    mounted = with_nodes(SPEC, Rung.ROOTLESS, ["/dev/null:/dev/mine"])
    assert mounted.mounts == (
        Mount("/dev/mine", "bind", "/dev/null", ("bind", "rprivate", "nosuid", "noexec")),
    )
    assert mounted.linux.devices == ()


def test_rules_are_needed_only_for_less_than_all():
    assert rules_for(["/dev/null", "/dev/zero:rw"], ()) == ()
    limited = rules_for(["/dev/null:r"], ())
    assert limited[0] == DeviceRule(allow=False, access="rwm")
    assert limited[-1] == DeviceRule(allow=True, type="c", major=1, minor=3, access="r")
    assert rules_for((), ["c 1:11 r"])[-1] == DeviceRule(allow=True, type="c", major=1, minor=11, access="r")


def test_without_root_there_are_no_rules():
    check(Rung.ROOT, ["/dev/null:r"], ["c 1:3 r"])
    check(Rung.ROOTLESS, ["/dev/null"], ())
    with pytest.raises(UnsupportedError, match="access other than rw"):
        check(Rung.ROOTLESS, ["/dev/null:r"], ())
    with pytest.raises(UnsupportedError, match="--device-cgroup-rule needs root"):
        check(Rung.SINGLE_ID, (), ["c 1:3 r"])


def test_without_root_the_account_must_have_the_device(monkeypatch):
    monkeypatch.setattr(
        "tiffin.engine.hostdevices.os.access", lambda _path, wanted: wanted != os.R_OK | os.W_OK
    )
    with pytest.raises(DeniedError, match="your account may not use it"):
        check(Rung.ROOTLESS, ["/dev/null"], ())


def test_a_device_of_a_further_group_cannot_be_had_without_root(monkeypatch):
    status = os.stat_result((0o020660, 0, 0, 1, 0, 993, 0, 0, 0, 0))
    monkeypatch.setattr("tiffin.engine.hostdevices.Path.stat", lambda _path: status)
    monkeypatch.setattr("tiffin.engine.hostdevices.os.access", lambda _path, _wanted: True)
    for name in ("geteuid", "getegid"):
        monkeypatch.setattr(f"tiffin.engine.hostdevices.os.{name}", lambda: 1000)
    with pytest.raises(DeniedError, match="by a further group only"):
        check(Rung.ROOTLESS, ["/dev/null"], ())
    monkeypatch.setattr("tiffin.engine.hostdevices.os.getegid", lambda: 993)
    check(Rung.ROOTLESS, ["/dev/null"], ())


def test_in_the_words_of_inspect():
    found = {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}
    assert described(["/dev/a:/dev/b:r"]) == [found]
