"""Records of containers as they are written, and as an earlier or a later tiffin wrote them."""

import json

from tiffin.container.record import MountRecord, Record

RECORD = Record(
    "a" * 64,
    "web",
    "serving",
    "sha256:0",
    5,
    ("sh",),
    ("sha256:1",),
    mounts=(
        MountRecord("bind", "/a", "/b", read_only=True, propagation="rslave", recursion="disabled"),
        MountRecord("image", "/i", "other", image_id="sha256:2", layers=("sha256:3",), asked="mount"),
        MountRecord("volume", "/v", "", "quick", options=("size=1m",)),
    ),
    volumes_from=("db:ro",),
)


def test_what_is_written_is_read():
    assert Record.from_wire(json.loads(json.dumps(RECORD.to_wire()))) == RECORD


def test_what_a_later_tiffin_knows_is_left_out():
    wire = json.loads(json.dumps(RECORD.to_wire()))
    wire["colour"] = "red"
    wire["mounts"][0]["colour"] = "red"
    assert Record.from_wire(wire) == RECORD


def test_what_an_earlier_one_did_not_know_is_as_it_is_by_default():
    wire = json.loads(json.dumps(RECORD.to_wire()))
    wire["mounts"] = [{"kind": "bind", "target": "/a", "source": "/b"}]
    assert Record.from_wire(wire).mounts == (MountRecord("bind", "/a", "/b"),)
