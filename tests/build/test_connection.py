"""The network of steps: from what the machine has and what is asked, to files and a plan."""

import marshal
from pathlib import Path

import pytest

from tiffin.build.ops import connection as module
from tiffin.build.ops.connection import Connection
from tiffin.errors import NotFoundError
from tiffin.network.plan import Facts, NetworkPlan
from tiffin.network.resolver import ExtraHost

BRIDGE = Facts(root=True, admin=True, nft="/usr/sbin/nft", pasta="", tun=False)
PASTA = Facts(root=False, admin=False, nft="", pasta="/usr/bin/pasta", tun=True)
NOTHING = Facts(root=False, admin=False, nft="", pasta="", tun=False)
FILES = {
    "/etc/hosts": "127.0.0.1 localhost\n10.1.1.1 mirror\n",
    "/etc/resolv.conf": "nameserver 127.0.0.53\nsearch lan\n",
    "/run/systemd/resolve/resolv.conf": "nameserver 10.0.0.2\n",
}


@pytest.fixture
def connect(monkeypatch, tmp_path):
    def make(facts, requested="default", **options):
        monkeypatch.setattr(module, "examine", lambda *, root: facts._replace(root=root))
        monkeypatch.setattr(module, "_read", lambda path: FILES.get(path, ""))
        return Connection(requested, tmp_path / "state", root=facts.root, **options)

    return make


def packed(connection, wanted="default"):
    plan, hosts, _, _ = marshal.loads(connection.pack(wanted, "box", Path("/w/hosts")))
    return NetworkPlan.from_wire(plan), hosts


def plan_of(connection, wanted="default"):
    return packed(connection, wanted)[0]


@pytest.mark.parametrize(("facts", "mode"), [(BRIDGE, "bridge"), (PASTA, "pasta"), (NOTHING, "host")])
def test_steps_reach_out_by_the_best_there_is(connect, facts, mode):
    connection = connect(facts)
    assert plan_of(connection).mode == mode
    assert connection.shares_host("default") == (mode == "host")


def test_sharing_the_hosts_network_for_want_of_better_is_said(connect):
    assert connect(PASTA).notices == ()
    assert connect(NOTHING, "host").notices == ()
    notice = connect(NOTHING).notices[0]
    assert "host's network" in notice
    assert "pasta" in notice


@pytest.mark.parametrize(
    ("requested", "wanted", "mode"),
    [
        ("default", "none", "none"),
        ("default", "host", "host"),
        ("none", "default", "none"),
        ("host", "default", "host"),
        ("host", "none", "none"),
        ("none", "none", "none"),
    ],
)
def test_a_step_may_ask_for_less_or_more(connect, requested, wanted, mode):
    connection = connect(BRIDGE, requested)
    assert plan_of(connection, wanted).mode == mode
    assert connection.shares_host(wanted) == (mode == "host")


def test_an_unknown_network_is_refused(connect):
    with pytest.raises(NotFoundError, match="backnet"):
        connect(BRIDGE, "backnet")


def test_each_step_is_somebody_else(connect, tmp_path):
    connection = connect(BRIDGE)
    one, two = plan_of(connection), plan_of(connection)
    assert one.identity != two.identity
    assert (one.state, one.nft, one.ports) == (str(tmp_path / "state"), "/usr/sbin/nft", ())


def test_hosts_are_the_steps_own_unless_it_shares_the_network(connect):
    private = connect(BRIDGE).hosts("box", "default")
    assert "localhost" in private
    assert "mirror" not in private
    shared = connect(BRIDGE).hosts("box", "host")
    assert "10.1.1.1 mirror" in shared


def test_extra_hosts_are_in_both(connect):
    connection = connect(BRIDGE, extra=[ExtraHost("db", "10.0.0.5")])
    for wanted in ("default", "host"):
        assert any(
            line.split() == ["10.0.0.5", "db"] for line in connection.hosts("box", wanted).splitlines()
        )


def test_the_way_to_the_host_is_known_when_the_network_is_there(connect):
    extra = [ExtraHost("db", "10.0.0.5"), ExtraHost("me", "host-gateway")]
    connection = connect(BRIDGE, extra=extra)
    plan, hosts = packed(connection)
    assert plan.map_gateway
    assert hosts == ("/w/hosts", "box", (("db", "10.0.0.5"), ("me", "host-gateway")))
    assert "me" not in connection.hosts("box", "default").split()
    # Who shares the host's network reaches it by the loopback; who has none is told of no way.
    assert packed(connection, "host")[1] is packed(connection, "none")[1] is None
    assert "127.0.0.1\tme" in connection.hosts("box", "host")
    assert "me" not in connection.hosts("box", "none").split()


def test_nothing_is_completed_that_was_not_asked_for(connect):
    plan, hosts = packed(connect(BRIDGE, extra=[ExtraHost("db", "10.0.0.5")]))
    assert (plan.map_gateway, hosts) == (False, None)


def test_name_servers_of_the_hosts_loopback_are_of_no_use_in_a_private_network(connect):
    connection = connect(BRIDGE)
    assert "10.0.0.2" in connection.resolv_conf("default")
    assert "127.0.0.53" not in connection.resolv_conf("default")
    assert "127.0.0.53" in connection.resolv_conf("host")


def test_a_machine_without_the_files_is_no_failure(connect, monkeypatch):
    connection = connect(BRIDGE)
    monkeypatch.setattr(module, "_read", lambda _path: "")
    assert "localhost" in connection.hosts("box", "default")
    assert isinstance(connection.resolv_conf("default"), str)


def test_a_file_that_cannot_be_read_is_empty(tmp_path):
    (tmp_path / "latin").write_bytes(b"na\xefve")
    assert module._read(str(tmp_path / "latin")).startswith("na")
    assert module._read(str(tmp_path / "none")) == ""
