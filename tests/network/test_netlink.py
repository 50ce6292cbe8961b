from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from tiffin.linux import netlink, netns

pytestmark = pytest.mark.live


def test_a_new_namespace_has_a_loopback_that_is_down_until_brought_up(fresh_namespace):
    with fresh_namespace() as namespace, netns.within(namespace, netlink.Netlink) as inside:
        loopback = inside.link("lo")
        assert loopback is not None
        assert not loopback.up
        assert loopback.mtu == 65536
        inside.set_up(loopback.number)
        assert inside.link("lo").up
        assert [(found.address, found.prefix) for found in inside.addresses()] == [("127.0.0.1", 8)]
        assert inside.addresses(socket.AF_INET6)[0].address == "::1"


def test_a_veth_pair_joins_a_bridge_to_another_namespace(fresh_namespace):
    with (
        fresh_namespace() as host,
        fresh_namespace() as guest,
        netns.within(host, netlink.Netlink) as outside,
        netns.within(guest, netlink.Netlink) as inside,
    ):
        outside.add_bridge("br-test", bytes.fromhex("02aabbccddee"), 1400)
        bridge = outside.link("br-test")
        assert (bridge.mac.hex(), bridge.mtu) == ("02aabbccddee", 1400)
        outside.add_address(bridge.number, "10.77.0.1", 24, "10.77.0.255")
        outside.set_up(bridge.number)
        outside.add_veth("veth-test", "eth0", guest, 1400, bytes.fromhex("020000000001"))
        outside.set_master(outside.link("veth-test").number, bridge.number)
        outside.set_up(outside.link("veth-test").number)
        inner = inside.link("eth0")
        assert (inner.mac.hex(), inner.mtu) == ("020000000001", 1400)
        inside.add_address(inner.number, "10.77.0.2", 24)
        inside.set_up(inner.number)
        inside.add_default_route("10.77.0.1", inner.number)
        assert netlink.Route("", 0, "10.77.0.1", inner.number) in inside.routes()
        assert netlink.Route("10.77.0.0", 24, "", bridge.number) in outside.routes()

        listener = netns.within(host, lambda: socket.create_server(("10.77.0.1", 7000)))
        client = netns.within(guest, lambda: socket.create_connection(("10.77.0.1", 7000), 10))
        with listener, client:
            assert client.getsockname()[0] == "10.77.0.2"

        outside.delete_link(outside.link("veth-test").number)
        assert inside.link("eth0") is None


def test_a_refusal_names_the_object_and_keeps_errno(fresh_namespace):
    with fresh_namespace() as namespace, netns.within(namespace, netlink.Netlink) as inside:
        inside.add_bridge("twice", bytes.fromhex("020000000002"), 1500)
        with pytest.raises(OSError, match="make bridge twice: File exists") as caught:
            inside.add_bridge("twice", bytes.fromhex("020000000002"), 1500)
        assert caught.value.errno == errno.EEXIST
        with pytest.raises(OSError, match="exceeds 15 characters"):
            inside.add_bridge("a-name-of-16-chr", bytes(6), 1500)


def test_joining_changes_only_the_working_thread(fresh_namespace):
    before = Path("/proc/thread-self/ns/net").readlink()
    with fresh_namespace() as namespace:
        seen = netns.within(namespace, lambda: Path("/proc/thread-self/ns/net").readlink())
        assert seen != before
        assert Path("/proc/thread-self/ns/net").readlink() == before
        with pytest.raises(ValueError, match="from inside"):
            netns.within(namespace, lambda: int("from inside"))
