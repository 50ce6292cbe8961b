from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import ConflictError, InvalidError, UnavailableError
from tiffin.network.subnets import Net, choose, free_address, given_address, number_of, private_ipv6, text_of

NETS = st.builds(
    lambda number, prefix, bits: Net.parse(f"{text_of(number >> 128 - bits, bits)}/{min(prefix, bits)}"),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
    st.sampled_from([32, 128]),
)


@given(NETS)
def test_printing_is_the_inverse_of_parsing(net):
    assert Net.parse(str(net)) == net
    assert net.holds(text_of(net.base, net.bits))
    assert net.holds(text_of(net.last, net.bits))
    assert net.contains(net)


@given(NETS, NETS)
def test_networks_overlap_if_and_only_if_one_contains_the_other(one, two):
    assert one.overlaps(two) == (one.contains(two) or two.contains(one))


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0", "10.0.0/8", "10.0.0.0/33", "fd00::/129", "10.0.0.0/x", "a/8"]
)
def test_what_is_no_network(text):
    with pytest.raises(ValueError, match="is not"):
        Net.parse(text)


def test_the_first_subnet_that_is_free_is_chosen():
    assert str(choose([])) == "172.18.0.0/16"
    taken = [Net.parse(text) for text in ("0.0.0.0/0", "172.16.0.0/13", "172.24.5.0/24", "fd00::/8")]
    assert str(choose(taken)) == "172.25.0.0/16"
    with pytest.raises(UnavailableError, match="no private network is free"):
        choose([Net.parse("172.16.0.0/12"), Net.parse("192.168.0.0/16")])


def test_a_private_ipv6_network_is_one_of_rfc_4193():
    net = private_ipv6(bytes(range(8)))
    assert str(net) == "fd00:102:304:506::/64"


@pytest.mark.parametrize(
    ("net", "span", "taken", "last", "found"),
    [
        ("10.1.0.0/24", "10.1.0.0/24", ["10.1.0.1"], "10.1.0.0", "10.1.0.2"),
        ("10.1.0.0/24", "10.1.0.0/24", ["10.1.0.1"], "10.1.0.7", "10.1.0.8"),
        ("10.1.0.0/24", "10.1.0.0/24", ["10.1.0.1"], "10.1.0.254", "10.1.0.2"),
        ("10.1.0.0/24", "10.1.0.128/30", ["10.1.0.128"], "10.1.0.0", "10.1.0.129"),
        ("10.1.0.0/24", "10.1.0.248/29", ["10.1.0.248"], "10.1.0.253", "10.1.0.254"),
        ("10.1.0.0/24", "10.1.0.248/29", ["10.1.0.248"], "10.1.0.254", "10.1.0.249"),
        ("fd00::/64", "fd00::/64", ["fd00::1"], "::", "fd00::2"),
    ],
)
def test_addresses_are_given_out_in_turn(net, span, taken, last, found):
    numbers = {number_of(address) for address in taken}
    given_out = free_address(Net.parse(net), Net.parse(span), numbers, number_of(last))
    assert given_out == number_of(found)


def test_a_network_that_is_full():
    net = Net.parse("10.1.0.0/30")
    with pytest.raises(UnavailableError, match=r"all addresses of 10\.1\.0\.0/30 are in use"):
        free_address(net, net, {net.base + 1, net.base + 2})


def test_an_address_that_is_asked_for():
    net = Net.parse("10.1.0.0/24")
    assert given_address(net, "10.1.0.9", {net.base + 1}, "--network web") == net.base + 9
    with pytest.raises(InvalidError, match=r"--network web: 10\.2\.0\.9 is not in the subnet 10\.1\.0\.0/24"):
        given_address(net, "10.2.0.9", (), "--network web")
    for address in ("10.1.0.0", "10.1.0.255", "10.1.0.1"):
        with pytest.raises(ConflictError, match="already in use"):
            given_address(net, address, {net.base + 1}, "--network web")
