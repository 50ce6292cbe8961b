from __future__ import annotations

import json

import pytest

from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.network.plan import Endpoint, Facts, NetworkPlan, choose, parse_mac
from tiffin.network.publish import Published

ROOT = Facts(root=True, admin=True, nft="/usr/sbin/nft", pasta="/usr/bin/pasta", tun=True)
USER = ROOT._replace(root=False, admin=False)


@pytest.mark.parametrize("asked", ["", "default", "bridge"])
@pytest.mark.parametrize(
    ("facts", "mode", "reason"),
    [
        (ROOT, "bridge", ""),
        (ROOT._replace(nft=""), "pasta", ""),
        (ROOT._replace(admin=False), "pasta", ""),
        (ROOT._replace(nft="", pasta=""), "loopback", "nft is not installed"),
        (ROOT._replace(admin=False, pasta=""), "loopback", "CAP_NET_ADMIN"),
        (USER, "pasta", ""),
        (USER._replace(pasta=""), "loopback", "pasta is not installed"),
        (USER._replace(tun=False), "loopback", "/dev/net/tun cannot be opened"),
    ],
)
def test_the_first_that_works_is_taken_and_a_weaker_one_is_said(asked, facts, mode, reason):
    choice = choose(asked, facts)
    assert choice.mode == mode
    assert bool(choice.notices) == bool(reason)
    assert reason in "".join(choice.notices)


def test_a_build_may_fall_back_to_the_hosts_network():
    choice = choose("", USER._replace(pasta=""), fallback_host=True)
    assert choice.mode == "host"
    assert "pasta is not installed: install passt" in choice.notices[0]
    assert choose("", USER, fallback_host=True).mode == "pasta"


@pytest.mark.parametrize("asked", ["none", "host", "loopback"])
def test_a_mode_asked_for_is_taken_as_it_is(asked):
    assert choose(asked, USER._replace(pasta="")) == (asked, "", ())


def test_another_containers_network():
    assert choose("container:web", USER) == ("container", "web", ())
    with pytest.raises(InvalidError, match="names no container"):
        choose("container:", USER)


def test_what_cannot_be_had_is_refused():
    with pytest.raises(UnsupportedError, match="--network pasta: pasta is not installed") as caught:
        choose("pasta", USER._replace(pasta=""))
    assert "passt" in caught.value.hint
    with pytest.raises(NotFoundError, match="network 'backend' not found"):
        choose("backend", ROOT)


def test_a_plan_survives_json():
    plan = NetworkPlan(
        "bridge", "abc", "/run/x", (Published(80, 8000), Published(53, 0, "::1", "udp", (5000, 5010))), "/nft"
    )
    web = Endpoint("id", "web", "tn-id", "172.18.0.0/16", "172.18.0.1", names=("one", "db"))
    for each in (plan, plan._replace(endpoints=(web,), dns=("10.0.0.1",))):
        assert NetworkPlan.from_wire(json.loads(json.dumps(each.to_wire()))) == each


@pytest.mark.parametrize("text", ["02:42:AC:11:00:02", "02-42-ac-11-00-02"])
def test_hardware_addresses_have_one_spelling(text):
    assert parse_mac(text, "bridge") == "02:42:ac:11:00:02"


@pytest.mark.parametrize("text", ["", "02:42", "02:42:ac:11:00:zz", "01:00:00:00:00:01", "00:00:00:00:00:00"])
def test_bad_hardware_addresses(text):
    with pytest.raises(InvalidError, match="--mac-address"):
        parse_mac(text, "bridge")


@pytest.mark.parametrize("mode", ["host", "none", "container", "pasta", "loopback"])
def test_without_a_device_of_its_own_there_is_no_hardware_address(mode):
    with pytest.raises(UnsupportedError, match=f"network {mode} has no device"):
        parse_mac("02:42:ac:11:00:02", mode)
