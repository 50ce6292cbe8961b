from __future__ import annotations

import os

import pytest
from tests.suites.images import add_container, make_image

from tiffin.container.record import EndpointRecord, Record, Records
from tiffin.engine import networkmaking, networks
from tiffin.engine.lookup import need_image
from tiffin.engine.networkdocument import document, endpoint_document
from tiffin.engine.networkflags import parse, parse_one
from tiffin.engine.networkmaking import NetworkRequest, decide
from tiffin.engine.request import RunRequest
from tiffin.errors import ConflictError, InvalidError, NotFoundError, UnsupportedError
from tiffin.linux.process import Identity
from tiffin.network.definitions import Definition, Definitions, check_name
from tiffin.network.segmentleases import Lease
from tiffin.network.subnets import Net

ID = "0123456789ab" + "c" * 52
WEB = Definition(ID, "web", 0, "tn-0123456789ab", "172.18.0.0/16", "172.18.0.1")


@pytest.fixture(autouse=True)
def routes(monkeypatch):
    """What this machine reaches by routes of its own."""
    found = [Net.parse("172.18.0.0/16")]
    monkeypatch.setattr(networkmaking, "_of_machine", lambda: found)
    return found


def made(**options):
    return decide(NetworkRequest("web", **options), ID, 7, [])


def test_a_network_gets_a_subnet_that_nobody_has():
    others = [WEB._replace(subnet="172.19.0.0/16")]
    found = decide(NetworkRequest("more"), ID, 7, others)
    assert (found.subnet, found.gateway, found.subnet6, found.given) == (
        "172.20.0.0/16",
        "172.20.0.1",
        "",
        False,
    )
    assert found.bridge == "tn-0123456789ab"
    assert decide(NetworkRequest("six", ipv6=True), ID, 7, []).subnet6.startswith("fd")


def test_what_is_asked_for_is_what_there_is():
    found = made(
        subnets=("10.5.0.0/16", "fd05::/64"),
        gateways=("fd05::ff", "10.5.0.254"),
        ranges=("10.5.7.0/24",),
        internal=True,
        labels=(("a", "b"),),
        options=(("com.docker.network.bridge.name", "br-web"), ("com.docker.network.driver.mtu", "1400")),
    )
    assert found[3:13] == (
        *("br-web", "10.5.0.0/16", "10.5.0.254", "10.5.7.0/24", "fd05::/64", "fd05::ff"),
        *(True, True, 1400, True),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"driver": "overlay"}, "--driver overlay: networks are bridges of this machine"),
        ({"subnets": ("10.5.0.0",)}, "'10.5.0.0' is not a network"),
        ({"subnets": ("10.5.0.0/31",)}, "--subnet 10.5.0.0/31 has no room"),
        ({"subnets": ("10.5.0.0/16", "10.6.0.0/16")}, "--subnet 10.6.0.0/16: there is another of its kind"),
        (
            {"subnets": ("172.18.5.0/24",)},
            "--subnet 172.18.5.0/24 overlaps 172.18.0.0/16, which is reached by",
        ),
        ({"gateways": ("10.5.0.1",)}, "--gateway 10.5.0.1: no --subnet holds it"),
        (
            {"subnets": ("10.5.0.0/16",), "gateways": ("10.6.0.1",)},
            "--gateway 10.6.0.1: no --subnet holds it",
        ),
        (
            {"subnets": ("10.5.0.0/16",), "ranges": ("10.0.0.0/8",)},
            "--ip-range 10.0.0.0/8: no --subnet holds it",
        ),
        ({"options": (("com.docker.network.x", "y"),)}, "--opt com.docker.network.x is not supported"),
        ({"options": (("mtu", "x"),)}, "an mtu of 'x' cannot be"),
        ({"options": (("com.docker.network.bridge.name", "a/b"),)}, "'a/b' cannot be the name of a bridge"),
        (
            {"options": (("com.docker.network.bridge.enable_ip_masquerade", "perhaps"),)},
            "it takes true or false",
        ),
    ],
)
def test_what_cannot_be_made(options, message):
    with pytest.raises((InvalidError, UnsupportedError, ConflictError)) as caught:
        made(**options)
    assert message in caught.value.message
    assert caught.value.hint or "bridge is called" in message


@pytest.mark.parametrize(
    "name", ["bridge", "host", "none", "default", "container", "", "-a", "a/b", "a b", "ä"]
)
def test_names_that_no_network_can_have(name):
    with pytest.raises((InvalidError, IndexError)):
        check_name(name)


def test_networks_are_kept_by_name_and_found_by_id(tmp_path):
    kept = Definitions(tmp_path / "networks")
    assert kept.all() == []
    assert kept.add("web", lambda others: WEB._replace(labels={"n": str(len(others))})).labels == {"n": "0"}
    other = WEB._replace(id="0" * 64, name="back")
    kept.add("back", lambda _others: other)
    assert kept.need("0123").name == "web"
    assert kept.need("back") == other
    assert [one.name for one in kept.all()] == ["back", "web"]
    with pytest.raises(ConflictError, match="network with name web already exists"):
        kept.add("web", lambda _others: WEB)
    with pytest.raises(InvalidError, match="beginning of several"):
        kept.need("0")
    with pytest.raises(NotFoundError, match="network wep not found") as caught:
        kept.need("wep")
    assert caught.value.hint == "did you mean web?"
    for text in ("", ".", "../web", ".lock"):
        assert kept.find(text) is None
    kept.remove("web")
    assert kept.find("web") is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("web", EndpointRecord("web")),
        ("name=web", EndpointRecord("web")),
        (
            "name=web,alias=db,alias=sql,ip=10.5.0.9,ip6=fd05::9,mac-address=02-00-00-00-00-01,gw-priority=-1",
            EndpointRecord("web", ("db", "sql"), "10.5.0.9", "fd05::9", "02:00:00:00:00:01", -1),
        ),
    ],
)
def test_a_network_is_named_alone_or_with_fields(text, place):
    assert parse_one(text) == place


def test_options_beside_are_for_the_first_network():
    request = RunRequest(
        "image",
        networks=("web", "name=back,alias=b"),
        network_aliases=("db",),
        ip="10.5.0.9",
        mac_address="02:00:00:00:00:01",
    )
    assert parse(request) == (
        "web",
        (EndpointRecord("web", ("db",), "10.5.0.9", "", "02:00:00:00:00:01"), EndpointRecord("back", ("b",))),
    )
    assert parse(RunRequest("image", networks=("bridge", "web")))[0] == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": ("alias=db",)}, "--network alias=db names no network"),
        ({"networks": ("name=web,color=red",)}, "color is not a field of it"),
        ({"networks": ("name=web,alias=",)}, "alias is not a field of it"),
        ({"networks": ('name="web',)}, "a quote is not closed"),
        ({"networks": ("name=web,ip=fd05::1",)}, "fd05::1 is no IPv4 address"),
        ({"networks": ("name=web,ip=x",)}, "'x' is not an IP address"),
        ({"networks": ("name=web,gw-priority=x",)}, "gw-priority=x is no whole number"),
        ({"networks": ("name=web,gw-priority=--5",)}, "gw-priority=--5 is no whole number"),
        ({"networks": ("name=web,gw-priority=²",)}, "gw-priority=² is no whole number"),
        ({"networks": (f"name=web,gw-priority={'9' * 5000}",)}, "is no whole number"),
        ({"networks": ("name=web,alias=a b",)}, "'a b' cannot be an alias"),
        ({"networks": ("web", "web")}, "--network web is given twice"),
        ({"networks": ("host", "web")}, "--network host and web cannot be had together"),
        ({"networks": ("host", "none")}, "--network host and none cannot be had together"),
        (
            {"networks": ("default",), "network_aliases": ("db",)},
            "--network-alias has no meaning with --network default",
        ),
        ({"networks": ("host",), "ip": "10.0.0.1"}, "--ip has no meaning with --network host"),
    ],
)
def test_networks_that_cannot_be_asked_for(options, message):
    with pytest.raises(InvalidError) as caught:
        parse(RunRequest("image", **options))
    assert message in caught.value.message
    assert caught.value.hint


def test_documents_have_the_fields_that_scripts_expect():
    lease = Lease("172.18.0.2", "", "c" * 64, "one", ("one", "db"), "02:74:ac:12:00:02", "tv", Identity(1, 1))
    found = document(WEB, [lease])
    assert found["IPAM"]["Config"] == [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]
    assert found["Containers"]["c" * 64]["IPv4Address"] == "172.18.0.2/16"
    record = Record("c" * 64, "one", "i", "i", 0, (), (), networks=(EndpointRecord("web", ("db",)),))
    place = endpoint_document(record, record.networks[0], WEB, lease)
    assert (place["IPAddress"], place["IPPrefixLen"], place["Gateway"]) == ("172.18.0.2", 16, "172.18.0.1")
    assert place["DNSNames"] == ["one", "db", "c" * 12]
    stopped = endpoint_document(record, record.networks[0], None, None)
    assert (stopped["IPAddress"], stopped["NetworkID"], stopped["EndpointID"]) == ("", "", "")


def test_a_record_with_networks_survives_json():
    import json

    record = Record(
        "c" * 64, "one", "i", "i", 0, (), (), networks=(EndpointRecord("web", ("db", "sql"), "10.5.0.9"),)
    )
    assert Record.from_wire(json.loads(json.dumps(record.to_wire()))) == record


@pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")
def test_two_connects_at_once_lose_none(engine, monkeypatch):
    """The second comes between the look of the first and its lock."""
    make_image(engine, "app")
    record = add_container(engine, need_image(engine, "app"))
    for name in ("one", "two"):
        networks.create(engine, NetworkRequest(name))
    real, meanwhile = networks.lock, ["two"]

    def lock(path):
        if meanwhile:
            networks.connect(engine, meanwhile.pop(), record.id, EndpointRecord(""))
        return real(path)

    monkeypatch.setattr(networks, "lock", lock)
    networks.connect(engine, "one", record.id, EndpointRecord(""))
    kept = Records(engine.db).need(record.id)
    assert sorted(place.name for place in kept.networks) == ["one", "two"]
    with pytest.raises(ConflictError, match="is on the network two already"):
        networks.connect(engine, "two", record.id, EndpointRecord(""))
