"""Devices in the user's words, the rules about them, and what becomes of nodes in a plan."""

import os
import stat

import pytest

from tiffin.errors import InvalidError
from tiffin.linux.namespace import IdMap
from tiffin.oci.runtimespec import (
    Device,
    DeviceRule,
    IDMapping,
    Linux,
    Process,
    Resources,
    Root,
    RuntimeSpec,
    User,
)
from tiffin.runtime import inlays, model
from tiffin.runtime.cgroups.limits import Writes
from tiffin.runtime.devices import DEFAULTS, DENY_ALL, HostDevice, parse_device, parse_rule
from tiffin.runtime.model import Rootfs
from tiffin.runtime.plan import make_plan
from tiffin.runtime.rare_steps import TakeDevices


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/x", ("/dev/x", "/dev/x", "rwm")),
        ("/dev/x:/dev/y", ("/dev/x", "/dev/y", "rwm")),
        ("/dev/x:r", ("/dev/x", "/dev/x", "r")),
        ("/dev/x:/opt/y:rw", ("/dev/x", "/opt/y", "rw")),
        ("/dev/x:mrw", ("/dev/x", "/dev/x", "mrw")),
    ],
)
def test_devices(text, expected):
    assert parse_device(text) == HostDevice(*expected)


@pytest.mark.parametrize(
    ("access", "limited"), [("rwm", False), ("rw", False), ("r", True), ("rm", True), ("w", True)]
)
def test_what_limits_a_device(access, limited):
    assert HostDevice("/dev/x", "/dev/x", access).limited is limited


@pytest.mark.parametrize("text", ["", "dev/x", "/dev/x:", "/dev/x:rr", "/dev/x:y", "/dev/x:/y:q", "/x:/../y"])
def test_no_devices(text):
    with pytest.raises(InvalidError):
        parse_device(text)
    with pytest.raises(InvalidError):
        parse_device(f"/dev/a:/dev/b:rw:{text}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c 189:* rwm", DeviceRule(allow=True, type="c", major=189, access="rwm")),
        ("b *:0 r", DeviceRule(allow=True, type="b", minor=0, access="r")),
        ("a *:* rwm", DeviceRule(allow=True, access="rwm")),
    ],
)
def test_rules(text, expected):
    assert parse_rule(text) == expected


@pytest.mark.parametrize("text", ["c 1:3", "d 1:3 r", "c 1:3 x", "c ٣:3 r", "c 1:3 r ", "c 4294967296:0 r"])
def test_no_rules(text):
    with pytest.raises(InvalidError, match="this is no rule"):
        parse_rule(text)


def test_rules_are_written_in_order_after_all_was_denied():
    rules = (DENY_ALL, *DEFAULTS, parse_rule("c 189:* rw"), parse_rule("a *:* rwm"))
    written = [
        (write.controller, write.file, write.value) for write in Writes.of(Resources(devices=rules)).v1
    ]
    assert written[0] == ("devices", "devices.deny", "a")
    assert written[1:3] == [("devices", "devices.allow", "c *:* m"), ("devices", "devices.allow", "b *:* m")]
    assert ("devices", "devices.allow", "c 136:* rwm") in written
    assert written[-2:] == [("devices", "devices.allow", "c 189:* rw"), ("devices", "devices.allow", "a")]


def planned(*devices, mapped=True):
    ids = (IDMapping(0, 100000, 65536),) if mapped else ()
    linux = Linux(devices=devices, uid_mappings=ids, gid_mappings=ids)
    spec = RuntimeSpec(Process(User(0, 0), "/", ("true",)), Root("rootfs"), linux=linux)
    return make_plan(spec, Rootfs(("/l",)), machine="x86_64")


def test_nodes_belong_to_the_users_of_the_container():
    devices = (Device("/dev/a", "c", 10, 232, 0o660, 0, 44), Device("/dev/b", "b", 7, 1, 0o600, 70000, 0))
    plan = planned(*devices)
    number = plan.sources.index(next(source for source in plan.sources if source.nodes))
    assert plan.sources[number].nodes == (
        (stat.S_IFCHR | 0o660, os.makedev(10, 232), 100000, 100044),
        (stat.S_IFBLK | 0o600, os.makedev(7, 1), 65534, 100000),
    )
    assert TakeDevices(number, ("/dev/a", "/dev/b")) in plan.steps
    assert inlays.AttachPrepared("/dev/b", False) in plan.steps
    assert model.unpack(model.pack(plan)) == plan


def test_nodes_without_a_user_namespace_keep_their_owners():
    (source,) = (
        source for source in planned(Device("/dev/a", "c", 1, 3, uid=7), mapped=False).sources if source.nodes
    )
    assert source.nodes == ((stat.S_IFCHR | 0o666, os.makedev(1, 3), 7, 0),)
    with pytest.raises(InvalidError, match="no type 'x'"):
        planned(Device("/dev/a", "x"))


def test_set_id_bits_are_no_part_of_a_node():
    (source,) = (source for source in planned(Device("/dev/a", "c", 1, 3, 0o4666)).sources if source.nodes)
    assert source.nodes[0][0] == stat.S_IFCHR | 0o666
    assert planned().uid_maps == (IdMap(0, 100000, 65536),)
