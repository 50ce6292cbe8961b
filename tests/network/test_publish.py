from __future__ import annotations

import pytest

from tiffin.errors import InvalidError
from tiffin.network.publish import Published, all_exposed, parse, parse_all, parse_exposed, spelled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8000", [Published(8000)]),
        ("8000:80", [Published(80, 8000)]),
        (":80", [Published(80)]),
        ("0:80", [Published(80)]),
        ("80/tcp", [Published(80)]),
        ("53:53/udp", [Published(53, 53, protocol="udp")]),
        ("53:53/UDP", [Published(53, 53, protocol="udp")]),
        ("127.0.0.1:8000:8000/tcp", [Published(8000, 8000, "127.0.0.1")]),
        ("127.0.0.1::8000", [Published(8000, 0, "127.0.0.1")]),
        ("0.0.0.0:8000:80", [Published(80, 8000, "0.0.0.0")]),
        ("::80", [Published(80)]),
        ("[::1]:80:80", [Published(80, 80, "::1")]),
        ("[::1]::80", [Published(80, 0, "::1")]),
        ("[0:0:0:0:0:0:0:1]:80:81", [Published(81, 80, "::1")]),
        ("7000-7002", [Published(7000), Published(7001), Published(7002)]),
        ("8000-8001:9000-9001", [Published(9000, 8000), Published(9001, 8001)]),
        ("8000-8010:80", [Published(80, 0, "", "tcp", (8000, 8010))]),
        ("127.0.0.1:1-2:3-4/udp", [Published(3, 1, "127.0.0.1", "udp"), Published(4, 2, "127.0.0.1", "udp")]),
        ("65535:65535", [Published(65535, 65535)]),
    ],
)
def test_docker_forms(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a number"),
        ("http", "container port 'http' is not a number"),
        ("80:http", "container port 'http'"),
        ("http:80", "host port 'http'"),
        ("80:", "container port ''"),
        ("0", "container port 0 is not between 1 and 65535"),
        ("65536", "not between"),
        ("80:70000", "not between"),
        ("-5", "not a number"),
        ("5-", "not a number"),
        ("\u0665:80", "not a number"),
        ("9000-8000", "runs backwards"),
        ("8000-8001:9000-9002", "2 host ports 8000-8001 do not match 3 container ports 9000-9002"),
        ("80/sctp", "unknown protocol 'sctp'"),
        ("localhost:80:80", "'localhost' is not an IP address"),
        ("999.0.0.1:80:80", "is not an IP address"),
        ("::1:80:80", "too many colons"),
        ("[::1]", "not followed by a port"),
        ("[::1:80:80", "not followed by a port"),
        ("[1.2.3.4:5]:80:80", "is not an IP address"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(InvalidError, match="-p ") as caught:
        parse(text)
    assert message in caught.value.message
    assert caught.value.hint


def test_the_same_binding_twice_is_one_but_random_ports_add_up():
    assert parse_all(["80:80", "80:80", "80", "80"]) == [Published(80, 80), Published(80), Published(80)]


def test_publish_all_adds_the_exposed_ports_that_are_missing():
    exposed = ["9000/tcp", "8000", "53/udp", "8000/tcp", "7000-7001/tcp"]
    assert all_exposed(exposed, [Published(8000, 8000)]) == [
        Published(53, protocol="udp"),
        Published(7000),
        Published(7001),
        Published(9000),
    ]


def test_exposed_ports():
    (first, last), protocol = parse_exposed("7000-7010/udp")
    assert (first, last, protocol) == (7000, 7010, "udp")


def test_bindings_print_as_docker_prints_them():
    assert str(Published(80, 8000)) == "0.0.0.0:8000->80/tcp"
    assert str(Published(80, 8000, "::1", "udp")) == "[::1]:8000->80/udp"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ((), ()),
        (("80", "80/tcp", "53/udp"), ("53/udp", "80/tcp")),
        (("8001-8003/TCP",), ("8001/tcp", "8002/tcp", "8003/tcp")),
        (("http", "9/sctp", "0", "1/tcp"), ("1/tcp",)),
    ],
)
def test_exposed_ports_are_spelled_one_by_one(texts, found):
    assert spelled(texts) == found
