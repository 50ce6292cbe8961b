"""EXPOSE and STOPSIGNAL: what is a port, a range, a signal."""

import pytest

from tiffin.build.ports import parse_ports
from tiffin.build.signals import check_signal
from tiffin.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", ["80/tcp"]),
        ("80/udp", ["80/udp"]),
        ("80/TCP", ["80/tcp"]),
        ("80/sctp", ["80/sctp"]),
        ("80/", ["80/tcp"]),
        ("8000-8002", ["8000/tcp", "8001/tcp", "8002/tcp"]),
        ("9-9/udp", ["9/udp"]),
        ("8080:80", ["80/tcp"]),  # the host's port is let through and forgotten
        ("127.0.0.1:8080:80/udp", ["80/udp"]),
        ("65535", ["65535/tcp"]),
        ("0080", ["80/tcp"]),
    ],
)
def test_ports(text, ports):
    assert parse_ports(text) == ports


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "-1",
        "65536",
        "80-",
        "-80",
        "81-80",
        "80/icmp",
        "80/udpp",
        "80:",
        "1-2-3",
        "٨",
        "80 ",
        "999999",
    ],
)
def test_what_is_no_port(text):
    with pytest.raises(InvalidError) as caught:
        parse_ports(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["SIGTERM", "TERM", "sigint", "9", "64", "SIGRTMIN", "RTMIN+3", "SIGRTMAX-14", "CLD"]
)
def test_signals(text):
    check_signal(text)


@pytest.mark.parametrize(
    "text", ["", "SIGNOPE", "0", "65", "99999", "-9", "SIG", "RTMIN+16", "RTMAX-15", "9.5", "٩"]
)
def test_what_is_no_signal(text):
    with pytest.raises(InvalidError) as caught:
        check_signal(text)
    assert caught.value.hint


def test_the_nearest_signal_is_named():
    with pytest.raises(InvalidError) as caught:
        check_signal("SIGTREM")
    assert caught.value.hint == "did you mean SIGTERM?"
