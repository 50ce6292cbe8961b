"""Devices by CDI: what specifications say, which devices are meant, and what becomes of a spec."""

import json
import os

import pytest

from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.oci.runtimespec import Hook, Hooks, Mount, Process, Root, RuntimeSpec, User
from tiffin.runtime.cdi import parse_specification
from tiffin.runtime.cdifiles import check_devices, read_catalogue
from tiffin.runtime.gpu import Catalogue, apply_edits, edits_of

SPEC = RuntimeSpec(Process(User(1, 2, additional_gids=(5,)), "/", ("x",), env=("A=1", "B=2")), Root("r"))


def document(*names, kind="acme.com/gpu", edits=None, **device):
    return {
        "cdiVersion": "0.6.0",
        "kind": kind,
        "devices": [
            {"name": name, "containerEdits": {"env": [f"{name.upper()}=1"]}, **device} for name in names
        ],
        "containerEdits": edits or {},
    }


def catalogue(*levels):
    return Catalogue([[parse_specification(each, "f") for each in level] for level in levels])


def names(found):
    return [offer.name for offer in found]


# -- specifications ---------------------------------------------------------------------------------


def test_everything_that_a_specification_can_say():
    edits = {
        "env": ["A=b"],
        "deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/y", "major": 1, "permissions": "r"}],
        "mounts": [{"hostPath": "/h", "containerPath": "/c", "options": ["ro", "nosuid"]}],
        "hooks": [{"hookName": "createContainer", "path": "/b/h", "args": ["h", "-x"], "timeout": 3}],
        "additionalGids": [44],
        "annotations": None,
        "somethingNew": {},
    }
    found = parse_specification({**document("a", edits=edits), "annotations": {"k": "v"}}, "f")
    general = found.container_edits
    assert (general.env, general.additional_gids) == (("A=b",), (44,))
    assert (general.device_nodes[0].host_path, general.device_nodes[0].major) == ("/dev/y", 1)
    assert general.mounts[0].options == ("ro", "nosuid")
    assert general.hooks[0].args == ("h", "-x")
    assert found.devices[0].container_edits.env == ("A=1",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cdiVersion": "x"}, "no version"),
        ({"cdiVersion": 1}, "Expected `str`"),
        ({"kind": "acme"}, "not VENDOR/CLASS"),
        ({"kind": "acme.com/a/b"}, "not VENDOR/CLASS"),
        ({"devices": [{"name": "a="}]}, "no name of a device"),
        ({"devices": [{"name": "a"}, {"name": "a"}]}, "there twice"),
        ({"devices": [{}]}, "name"),
        ({"containerEdits": {"env": ["A"]}}, "no variable"),
        ({"containerEdits": {"deviceNodes": [{"path": "x"}]}}, "not absolute"),
        ({"containerEdits": {"mounts": [{"hostPath": "h", "containerPath": "/c"}]}}, "not absolute"),
        ({"containerEdits": {"hooks": [{"hookName": "prestart", "path": "h"}]}}, "not absolute"),
    ],
)
def test_what_is_no_specification(change, message):
    with pytest.raises(InvalidError, match=message):
        parse_specification({**document("a"), **change}, "/etc/cdi/f.json")


def test_a_version_to_come():
    with pytest.raises(UnsupportedError, match=r"2\.0\.0"):
        parse_specification({**document("a"), "cdiVersion": "2.0.0"}, "f")


# -- which devices ----------------------------------------------------------------------------------


def test_ways_to_ask():
    shelf = catalogue([document("10", "2", "all"), document("x", kind="acme.com/tpu")])
    assert names(shelf.find("acme.com/gpu=10")) == ["acme.com/gpu=10"]
    assert names(shelf.find("acme.com/gpu")) == ["acme.com/gpu=2"]
    assert names(shelf.find("acme.com/gpu=*")) == [f"acme.com/gpu={n}" for n in ("2", "10", "all")]
    assert shelf.find("acme.com/gpu=3") == shelf.find("acme.com/fpga") == shelf.find("gpu") == []
    with pytest.raises(NotFoundError) as caught:
        shelf.need("acme.com/gpu=3")
    assert "acme.com/tpu=x" in caught.value.hint
    with pytest.raises(NotFoundError) as caught:
        catalogue().need("acme.com/gpu=3")
    assert "/etc/cdi" in caught.value.hint


def test_a_class_of_devices():
    marked = {"annotations": {"org.mobyproject.buildkit.device.class": "accelerator"}}
    shelf = catalogue(
        [
            document("a", **marked),
            {**document("b", kind="acme.com/tpu"), **marked},
            document("c", kind="x.y/z"),
        ]
    )
    assert names(shelf.find("accelerator")) == ["acme.com/gpu=a", "acme.com/tpu=b"]


def test_a_later_directory_counts_more_and_two_of_one_are_none():
    shelf = catalogue([document("a", edits={"env": ["L=1"]})], [document("a", edits={"env": ["L=2"]})])
    assert edits_of(shelf.find("acme.com/gpu=a"))[0].env == ("L=2",)
    with pytest.raises(UnsupportedError, match="two CDI specifications"):
        catalogue([document("a"), document("a")]).find("acme.com/gpu=a")
    assert names(catalogue([document("a"), document("a")], [document("a")]).find("acme.com/gpu=a"))


# -- what becomes of a spec -------------------------------------------------------------------------


def test_what_all_devices_take_comes_first_and_once():
    shelf = catalogue([document("a", "b", edits={"env": ["ALL=1"]})])
    wanted = shelf.find("acme.com/gpu=*") + shelf.find("acme.com/gpu=a")
    assert [edits.env for edits in edits_of(wanted)] == [("ALL=1",), ("A=1",), ("B=1",)]


def test_edits_of_a_spec():
    edits = {
        "env": ["B=3", "C=4"],
        "deviceNodes": [{"path": "/dev/x"}, {"path": "/dev/y", "hostPath": "/dev/null"}],
        "mounts": [
            {"hostPath": "/lib/a", "containerPath": "/lib/b", "options": ["ro", "bind"]},
            {"hostPath": "tmpfs", "containerPath": "/t", "type": "tmpfs", "options": ["size=1m"]},
        ],
        "hooks": [
            {"hookName": "createContainer", "path": "/h", "args": ["h", "1"]},
            {"hookName": "prestart", "path": "/p", "timeout": 2},
        ],
        "additionalGids": [0, 44, 5, 99],
    }
    found = apply_edits(
        SPEC, edits_of(catalogue([document("a", edits=edits)]).find("acme.com/gpu=a")), {44, 5}.__contains__
    )
    assert found.process.env == ("A=1", "B=3", "C=4")  # what the device says counts more than the image
    assert found.process.user.additional_gids == (5, 44)
    assert found.mounts == (
        Mount("/dev/x", "bind", "/dev/x", ("bind", "rprivate", "nosuid", "noexec")),
        Mount("/dev/y", "bind", "/dev/null", ("bind", "rprivate", "nosuid", "noexec")),
        Mount("/lib/b", "bind", "/lib/a", ("ro", "bind")),
        Mount("/t", "tmpfs", "tmpfs", ("size=1m",)),
    )
    assert found.hooks == Hooks(prestart=(Hook("/p", timeout=2),), create_container=(Hook("/h", ("h", "1")),))


def test_nothing_is_nothing():
    assert apply_edits(SPEC, []) == SPEC


@pytest.mark.parametrize(
    ("edits", "what"),
    [
        ({"hooks": [{"hookName": "poststop", "path": "/h"}]}, "poststop"),
        ({"netDevices": [{"hostInterfaceName": "eth1"}]}, "network devices"),
        ({"intelRdt": {"closID": "x"}}, "intelRdt"),
    ],
)
def test_what_cannot_be_done(edits, what):
    found = catalogue([document("a", edits=edits)]).find("acme.com/gpu=a")
    with pytest.raises(UnsupportedError, match=what):
        apply_edits(SPEC, edits_of(found))


# -- files ------------------------------------------------------------------------------------------


def test_directories(tmp_path):
    told = []
    first, second = tmp_path / "etc", tmp_path / "run"
    for place in (first, second):
        place.mkdir()
    (first / "a.json").write_text(json.dumps(document("a")))
    (first / "b.yaml").write_text("cdiVersion: 0.5.0\nkind: acme.com/tpu\ndevices:\n- name: '0'\n")
    (first / "c.yml").write_text("a: [")
    (first / "d.json").write_text("[]")
    (first / "e.txt").write_text("nothing of ours")
    (first / "f.yaml").write_text("a: &a [*a]\n")
    (second / "a.json").write_text(json.dumps(document("a", edits={"env": ["RUN=1"]})))
    places = {"TIFFIN_CDI_DIRS": f"{first}:{second}:{tmp_path}/none"}
    found = read_catalogue(places, told.append)
    assert found.names == ["acme.com/gpu=a", "acme.com/tpu=0"]
    assert edits_of(found.find("acme.com/gpu=a"))[0].env == ("RUN=1",)
    assert [message.split()[0] for message in told] == [
        str(first / name) for name in ("c.yml", "d.json", "f.yaml")
    ]


@pytest.mark.parametrize(
    ("edits", "what"),
    [
        ({"deviceNodes": [{"path": "/dev/none-such"}]}, "/dev/none-such"),
        ({"deviceNodes": [{"path": "/dev/x", "hostPath": "/etc/passwd"}]}, "/etc/passwd"),
        ({"deviceNodes": [{"path": "/dev/null", "major": 9, "minor": 9}]}, "9:9"),
        ({"mounts": [{"hostPath": "/none/such", "containerPath": "/c"}]}, "/none/such"),
        ({"hooks": [{"hookName": "prestart", "path": "/none/such"}]}, "/none/such"),
    ],
)
def test_devices_that_are_there_in_name_only(edits, what):
    wanted = edits_of(catalogue([document("a", edits=edits)]).find("acme.com/gpu=a"))
    with pytest.raises(NotFoundError, match=what):
        check_devices(wanted)


def test_devices_that_are_there():
    null = os.stat("/dev/null").st_rdev
    node = {"path": "/dev/x", "hostPath": "/dev/null", "major": os.major(null), "minor": os.minor(null)}
    edits = {"deviceNodes": [node], "mounts": [{"hostPath": "/etc", "containerPath": "/c"}]}
    check_devices(edits_of(catalogue([document("a", edits=edits)]).find("acme.com/gpu=a")))
