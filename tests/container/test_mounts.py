from __future__ import annotations

import signal

import pytest

from tiffin.container.mounts import VolumeMount, parse_tmpfs, parse_volume
from tiffin.container.signals import parse_signal
from tiffin.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", VolumeMount("volume", "", "/data")),
        ("models:/data", VolumeMount("volume", "models", "/data")),
        ("models:/data:ro", VolumeMount("volume", "models", "/data", read_only=True)),
        ("models:/data:nocopy", VolumeMount("volume", "models", "/data", copy=False)),
        ("/srv:/data", VolumeMount("bind", "/srv", "/data")),
        ("/srv/../a/:/data/", VolumeMount("bind", "/a", "/data")),
        ("./here:/data", VolumeMount("bind", "/work dir/here", "/data")),
        (".:/data", VolumeMount("bind", "/work dir", "/data")),
        ("/srv:/data:ro,z", VolumeMount("bind", "/srv", "/data", read_only=True, relabel=True)),
        ("/srv:/data:rw,rprivate,cached", VolumeMount("bind", "/srv", "/data", propagation="rprivate")),
        ("/srv:/data:rslave,U", VolumeMount("bind", "/srv", "/data", propagation="rslave", owned=True)),
        ("/srv:/data:rro", VolumeMount("bind", "/srv", "/data", read_only=True, recursion="readonly")),
        ("//srv:/data", VolumeMount("bind", "/srv", "/data")),
        ("models:/data:U,private", VolumeMount("volume", "models", "/data", owned=True)),
    ],
)
def test_docker_forms(text, expected):
    mode = text.split(":")[2] if text.count(":") == 2 else ""
    assert parse_volume(text, "/work dir") == expected._replace(mode=mode)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is no mount"),
        (":/data", "this is no mount"),
        ("a:/b:ro:x", "this is no mount"),
        ("data", "'data' in the container is not absolute"),
        ("models:data", "'data' in the container is not absolute"),
        ("/srv:/", "root of the container"),
        ("/srv:/a/..", "root of the container"),
        ("/srv:/../..", "root of the container"),
        ("/srv:/proc/", "/proc of the container cannot be mounted over"),
        ("/a/../proc", "/proc of the container cannot be mounted over"),
        ("some/folder:/data", "neither an absolute path nor the name of a volume"),
        ("~/x:/data", "neither an absolute path nor the name of a volume"),
        ("x:/data", "neither an absolute path nor the name of a volume"),
        ("/srv:/data:rx", "unknown option 'rx'"),
        ("/srv:/data:ro,rw", "ro and rw exclude each other"),
        ("/srv:/data:rslave,rshared", "rslave and rshared exclude each other"),
        ("/srv:/data:nocopy", "nocopy is for volumes"),
        ("models:/data:rshared", "rshared is for folders of this machine"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(InvalidError) as caught:
        parse_volume(text, "/")
    assert message in caught.value.message


def test_tmpfs():
    assert parse_tmpfs("/run") == ("/run", ("nosuid", "nodev", "noexec"))
    assert parse_tmpfs("/run:size=64m,mode=1777,exec") == (
        "/run",
        ("nosuid", "nodev", "size=64m", "mode=1777"),
    )
    with pytest.raises(InvalidError, match="unknown option 'colour=1'"):
        parse_tmpfs("/run:colour=1")
    with pytest.raises(InvalidError, match="not absolute"):
        parse_tmpfs("run")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("KILL", signal.SIGKILL),
        ("SIGKILL", signal.SIGKILL),
        ("sigterm", signal.SIGTERM),
        ("9", signal.SIGKILL),
        ("RTMIN+3", signal.SIGRTMIN + 3),
        ("SIGRTMAX-2", signal.SIGRTMAX - 2),
        ("SIGRTMIN", signal.SIGRTMIN),
    ],
)
def test_signals(text, number):
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-9", "SIGNOPE", "TERM+1", "RTMIN+40", "SIG", "\u0669"])
def test_no_signals(text):
    with pytest.raises(InvalidError, match="there is no signal"):
        parse_signal(text)
