"""tiffin network, over an engine that only remembers what it was asked for."""

from types import SimpleNamespace

import pytest

from tiffin.container.record import EndpointRecord
from tiffin.engine.networkmaking import NetworkRequest
from tiffin.errors import ConflictError, NotFoundError

WEB = SimpleNamespace(
    id="0123456789ab" + "c" * 52,
    name="web",
    driver="bridge",
    created=0.0,
    internal=False,
    ipv6=True,
    labels=(("a", "b"),),
    predefined=False,
    containers=("one",),
)
NONE = SimpleNamespace(
    **{**vars(WEB), "id": "f" * 64, "name": "none", "driver": "null", "labels": (), "predefined": True}
)


def test_create_asks_for_all_that_was_said(tiffin, engine):
    engine.answers("networks", create=WEB.id)
    words = "--subnet 10.5.0.0/16,fd05::/64 --gateway 10.5.0.1 --ip-range=10.5.7.0/24 --internal --ipv6"
    more = "--label a=b -o mtu=1400 -d bridge web"
    assert tiffin("network", "create", *words.split(), *more.split()).out == f"{WEB.id}\n"
    assert engine.calls[-1] == (
        "create",
        NetworkRequest(
            "web",
            "bridge",
            ("10.5.0.0/16", "fd05::/64"),
            ("10.5.0.1",),
            ("10.5.7.0/24",),
            internal=True,
            ipv6=True,
            labels=(("a", "b"),),
            options=(("mtu", "1400"),),
        ),
    )
    assert "every network has IPv4" in tiffin("network", "create", "--ipv4=false", "web").err
    assert "--attachable is not supported" in tiffin("network", "create", "--attachable", "web").err


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", ["none", "web"]),
        ("--filter name=we", ["web"]),
        ("--filter driver=null", ["none"]),
        ("--filter id=0123", ["web"]),
        ("--filter label=a=b", ["web"]),
        ("--filter type=custom", ["web"]),
        ("--filter type=builtin", ["none"]),
        ("--filter scope=swarm", []),
        ("--filter dangling=true", []),
        ("--filter dangling=false --filter driver=bridge", ["web"]),
        ("--filter dangling=f --filter driver=bridge", ["web"]),
    ],
)
def test_ls_filters(tiffin, engine, words, names):
    engine.answers("networks", list_networks=[NONE, WEB])
    assert tiffin("network", "ls", "--format", "{{.Name}}", *words.split()).out.split() == names


def test_ls_refuses_a_filter_that_is_neither_true_nor_false(tiffin, engine):
    engine.answers("networks", list_networks=[NONE, WEB])
    done = tiffin("network", "ls", "--filter", "dangling=yes")
    assert done.status == 1
    assert "invalid filter 'dangling=yes'" in done.err


def test_ls_prints_what_docker_prints(tiffin, engine):
    engine.answers("networks", list_networks=[NONE, WEB])
    assert tiffin("network", "ls").out == (
        "NETWORK ID     NAME      DRIVER    SCOPE\n"
        "ffffffffffff   none      null      local\n"
        "0123456789ab   web       bridge    local\n"
    )
    assert tiffin("network", "ls", "-q", "--no-trunc").out.split() == [NONE.id, WEB.id]
    form = '{{.IPv6}} {{.Internal}} {{.Labels}} {{.Label "a"}}'
    assert tiffin("network", "list", "--format", form).out.splitlines()[1] == "true false a=b b"


def test_rm_goes_on_after_a_failure(tiffin, engine):
    def remove(name):
        if name == "busy":
            raise ConflictError("the network busy has active endpoints: one")
        if name == "gone":
            raise NotFoundError("network gone not found")

    engine.answers("networks", remove=remove)
    result = tiffin("network", "rm", "busy", "web")
    assert (result.status, result.out, "active endpoints" in result.err) == (1, "web\n", True)
    assert tiffin("network", "rm", "gone").status == 1
    assert tiffin("network", "remove", "-f", "gone").status == 0


def test_prune_asks_first_and_spares_what_the_filters_say(tiffin, engine, stdin):
    engine.answers("networks", prune=lambda spares: tuple(spared(spares)))

    def spared(spares):
        for name, created, labels in (("old", 1.0, {}), ("young", 9e9, {}), ("marked", 1.0, {"a": "b"})):
            if not spares(created, labels):
                yield name

    stdin(b"n\n")
    assert "all custom networks not used by at least one container" in tiffin("network", "prune").out
    assert not [call for call in engine.calls if call[0] == "prune"]
    assert tiffin("network", "prune", "-f").out == "Deleted Networks:\nold\nyoung\nmarked\n\n"
    words = ("--filter", "until=24h", "--filter", "label!=a")
    assert tiffin("network", "prune", "-f", *words).out == "Deleted Networks:\nold\n\n"
    assert tiffin("network", "prune", "-f", "--filter", "label=none").out == ""


def test_connect_and_disconnect(tiffin, engine):
    engine.answers("networks", connect=None, disconnect=None)
    words = ("--alias", "db", "--alias=sql", "--ip", "10.5.0.9", "--gw-priority=1")
    assert tiffin("network", "connect", *words, "web", "one").status == 0
    place = EndpointRecord("web", ("db", "sql"), "10.5.0.9", priority=1)
    assert engine.calls[-1] == ("connect", "web", "one", place)
    assert tiffin("network", "disconnect", "-f", "web", "one").status == 0
    assert engine.calls[-1] == ("disconnect", "web", "one", {"force": True})
    assert "no IPv4 address" in tiffin("network", "connect", "--ip", "fd05::1", "web", "one").err


@pytest.mark.parametrize(
    ("words", "network", "networks"),
    [
        ("", "default", ()),
        ("--network container:one", "container:one", ()),
        ("--net none", "none", ()),
        ("--network web", "web", ("web",)),
        ("--network bridge --network name=web,alias=db", "bridge", ("bridge", "name=web,alias=db")),
        ("--network-alias db", "default", ("default",)),
    ],
)
def test_run_keeps_modes_and_networks_apart(tiffin, engine, words, network, networks):
    engine.answers("running", run=lambda _request, announce: 0)
    assert tiffin("run", *words.split(), "image").status == 0
    request = engine.calls[-1][1]
    assert (request.network, request.networks) == (network, networks)
