"""Addresses that steps do not reach through the relay."""

import socket

import pytest

from tiffin.build.relay.guard import connect, is_refused, refuse_literal
from tiffin.errors import DeniedError


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("0.0.0.0", True),
        ("169.254.169.254", True),
        ("224.0.0.1", True),
        ("255.255.255.255", True),
        ("::1", True),
        ("::", True),
        ("fe80::1%eth0", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:169.254.169.254", True),
        ("64:ff9b::7f00:1", True),
        ("2002:7f00:1::", True),
        ("fd00:ec2::254", True),
        ("10.0.0.5", False),
        ("151.101.0.223", False),
        ("2a04:4e42::223", False),
        ("fd12::1", False),
    ],
)
def test_addresses(address, refused):
    assert is_refused(address) is refused


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "x.localhost", "[::1]", "127.0.0.1"])
def test_this_machine_by_its_names(host):
    with pytest.raises(DeniedError):
        refuse_literal(host)


def test_a_name_is_looked_at_by_what_it_leads_to(monkeypatch):
    def resolve(*_arguments, **_options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(DeniedError):
            connect("innocent.example.org", port, 5, trusted=False)
        connect("index.example.org", port, 5, trusted=True).close()
