"""Devices by path, used from inside."""

import json

import pytest

pytestmark = pytest.mark.live


def run(tiffin, *words):
    return tiffin("run", "--rm", "--network", "none", *words, check=False)


def test_a_device_in_another_place_and_no_others(tiffin, busybox):
    script = "head -c 3 /opt/mine | wc -c; ls /dev/kmsg"
    done = run(tiffin, "--device", "/dev/zero:/opt/mine", busybox, "sh", "-c", script)
    assert done.stdout.split() == ["3"], done.stderr
    assert "/dev/kmsg: No such file" in done.stderr


def test_a_device_of_root_alone(tiffin, busybox):
    """/dev/kmsg can be written by its owner, root. As root it can be used, and read only if that is all."""
    script = "stat -c %u:%g:%t:%T /dev/k; dd if=/dev/null of=/dev/k count=0"
    done = run(tiffin, "--device", "/dev/kmsg:/dev/k", busybox, "sh", "-c", script)
    limited = run(tiffin, "--device", "/dev/kmsg:/dev/k:r", busybox, "sh", "-c", script)
    ruled = run(
        tiffin,
        "--device-cgroup-rule",
        "c 1:11 w",
        "--device",
        "/dev/kmsg:/dev/k:r",
        busybox,
        "sh",
        "-c",
        script,
    )
    if tiffin.rung == "root":
        assert (done.returncode, done.stdout.strip()) == (0, "0:0:1:b"), done.stderr
        assert "Operation not permitted" in limited.stderr
        assert ruled.returncode == 0, ruled.stderr
    else:
        assert done.returncode == limited.returncode == ruled.returncode == 125
        assert "your account may not use it" in done.stderr
        assert "needs root" in limited.stderr
        assert "needs root" in ruled.stderr


def test_inspect_tells_of_devices(tiffin, busybox):
    tiffin("create", "--name", "with-devices", "--device", "/dev/null:/dev/x", busybox)
    try:
        (document,) = json.loads(tiffin("inspect", "with-devices").stdout)
        (device,) = document["HostConfig"]["Devices"]
        assert device == {"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}
    finally:
        tiffin("rm", "with-devices")
