"""What `info` says of a machine."""

from types import SimpleNamespace

import pytest

from tiffin.engine import hostinfo
from tiffin.engine.hostinfo import host_facts
from tiffin.linux.isolation import Rung

V1 = (
    "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "31 20 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
)
V2 = "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
FILES = {
    "/proc/self/mountinfo": V2,
    "/proc/self/cgroup": "0::/user.slice\n",
    "/sys/fs/cgroup/user.slice/cgroup.controllers": "cpu pids\n",
    "/proc/sys/net/ipv4/ip_forward": "1",
}


def facts(monkeypatch, files, rung=Rung.ROOT, **environ):
    monkeypatch.setattr(hostinfo, "_text", lambda path: files.get(path, "").strip())
    settings = SimpleNamespace(environ={"PATH": "/nowhere", **environ}, runtime="", runtimes="kata=/bin/true")
    return host_facts(SimpleNamespace(settings=settings, rung=rung))


@pytest.mark.parametrize(
    ("files", "version", "limits"),
    [
        (
            {"/proc/self/mountinfo": V1, "/proc/self/cgroup": "2:memory:/\n3:cpu,cpuacct:/\n"},
            "1",
            (True, True, False),
        ),
        (FILES, "2", (False, True, True)),
        ({}, "", (False, False, False)),
    ],
)
def test_cgroups_of_either_version(monkeypatch, files, version, limits):
    found = facts(monkeypatch, files)
    assert found["CgroupVersion"] == version
    assert (found["CgroupDriver"] == "none") == (not version)
    assert (found["MemoryLimit"], found["CPUShares"], found["PidsLimit"]) == limits


def test_the_rest(monkeypatch):
    found = facts(
        monkeypatch, FILES, Rung.ROOTLESS, http_proxy="http://p", NO_PROXY="a", TIFFIN_CDI_DIRS="/a:/b"
    )
    assert (found["HttpProxy"], found["HttpsProxy"], found["NoProxy"]) == ("http://p", "", "a")
    assert "name=rootless" in found["SecurityOptions"]
    assert "name=rootless" not in facts(monkeypatch, FILES)["SecurityOptions"]
    assert found["IPv4Forwarding"]
    assert found["CDISpecDirs"] == ["/a", "/b"]
    assert {"tiffin", "kata"} <= found["Runtimes"].keys()
    assert found["DefaultRuntime"] == "tiffin"
