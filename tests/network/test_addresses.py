from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import UnavailableError
from tiffin.network.addresses import CANDIDATES, Subnet, choose_subnet, next_address


def test_subnets_read_and_print():
    subnet = Subnet.parse("10.88.3.4/16")
    assert (str(subnet), subnet.gateway, subnet.broadcast) == ("10.88.0.0/16", "10.88.0.1", "10.88.255.255")


networks = st.builds(
    lambda number, prefix: ipaddress.ip_network((number, prefix), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)


@given(networks, networks)
def test_overlap_agrees_with_the_standard_library(one, other):
    assert Subnet.parse(str(one)).overlaps(Subnet.parse(str(other))) == one.overlaps(other)


def test_all_candidates_are_private_and_apart():
    found = [ipaddress.ip_network(str(candidate)) for candidate in CANDIDATES]
    assert all(network.is_private for network in found)
    assert not any(a.overlaps(b) for place, a in enumerate(found) for b in found[place + 1 :])


def test_routes_in_use_are_avoided_but_the_default_route_is_none():
    routes = [Subnet.parse(text) for text in ("0.0.0.0/0", "10.88.0.0/24", "10.89.128.0/17", "10.90.1.2/32")]
    assert str(choose_subnet([])) == "10.88.0.0/16"
    assert str(choose_subnet(routes)) == "10.91.0.0/16"
    assert str(choose_subnet([Subnet.parse("10.0.0.0/8")])).startswith("172.")


def test_nothing_free_is_said():
    everything = [Subnet.parse(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    with pytest.raises(UnavailableError, match="no private network is free"):
        choose_subnet(everything)


def test_addresses_go_round_before_they_are_used_again():
    subnet = Subnet.parse("192.168.200.0/29")
    assert next_address(subnet, []) == "192.168.200.2"
    assert next_address(subnet, [], last="192.168.200.2") == "192.168.200.3"
    assert next_address(subnet, ["192.168.200.3"], last="192.168.200.2") == "192.168.200.4"
    assert next_address(subnet, ["192.168.200.2"], last="192.168.200.6") == "192.168.200.3"
    assert next_address(subnet, [], last="10.1.1.1") == "192.168.200.2"
    with pytest.raises(UnavailableError, match=r"all addresses of 192\.168\.200\.0/29"):
        next_address(subnet, [f"192.168.200.{last}" for last in range(2, 7)])
