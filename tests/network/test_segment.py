"""Networks that users have made; each test is a machine of its own."""

from __future__ import annotations

import pytest
from tests.network.scripted import machine

pytestmark = pytest.mark.live

BEGIN = """
from tiffin.network import segment, segmentrules
from tiffin.network.plan import Endpoint
from tiffin.network.segment import Home
from tiffin.network.segmentleases import members

home = Home(RUN / "state", find("nft"))

def learns(device):
    return Path(f"/proc/sys/net/ipv6/conf/{device}/accept_ra").read_text().strip()

def network(number, **more):
    identity = f"{number:064d}"[::-1]
    subnet, gateway = (f"172.{20 + number}.0.{last}" for last in ("0/16", 1))
    return Endpoint(identity, f"net{number}", f"tn-{number}", subnet, gateway, **more)

def within_of(pid):
    return os.open(f"/proc/{pid}/ns/net", 0)

def sit(pid, endpoint, name, way_out=True):
    return segment.join(home, endpoint._replace(names=(name,)), name * 64, within_of(pid), way_out=way_out)

def left():
    tables = run([find("nft"), "list", "tables"])[1].split()
    devices = [link.name for link in host.links() if link.name.startswith(("tn-", "tv"))]
    return [word for word in tables if word.startswith("tiffin")] + devices
"""


def test_containers_of_a_network_reach_each_other_and_no_other_network(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
beyond, outside = neighbour()
a, b, c, d = pids = [guest(), guest(user=True), guest(), guest()]
one, two, other = network(1), network(2), network(3, internal=True)
seats = {"a": sit(a, one, "a"), "b": sit(b, one, "b"), "c": sit(c, two, "c"), "d": sit(d, other, "d")}
for pid, name in zip(pids, "abcd"):
    serve(within_of(pid), 80, name.encode())
serve(outside, 81, b"outside")
serve(own, 82, b"host")
address = {name: seat.lease.address for name, seat in seats.items()}
second = sit(a, other, "a", way_out=False)
print(json.dumps({
    "addresses": address,
    "inside": [seats["a"].inside, second.inside],
    "neighbour": outcome(within_of(a), address["b"]).split()[0],
    "other network": outcome(within_of(a), address["c"]),
    "internal from outside of it": outcome(within_of(b), address["d"]),
    "internal by a second place": outcome(within_of(a), address["d"]),
    "out": outcome(within_of(a), "203.0.113.2", 81),
    "out of an internal one": outcome(within_of(d), "203.0.113.2", 81),
    "the host": outcome(within_of(c), "172.22.0.1", 82),
    "from outside": outcome(outside, address["a"]),
}))
for pid in (*pids, beyond):
    os.kill(pid, 9)
""",
    )
    assert found == {
        "addresses": {"a": "172.21.0.2", "b": "172.21.0.3", "c": "172.22.0.2", "d": "172.23.0.2"},
        "inside": ["eth0", "eth1"],
        "neighbour": "b",
        "other network": "TimeoutError",
        "internal from outside of it": "TimeoutError",
        "internal by a second place": "d 172.23.0.3",
        "out": "outside 203.0.113.1",
        "out of an internal one": "OSError",
        "the host": "host 172.22.0.2",
        "from outside": "OSError",
    }


def test_ipv6_addresses_are_of_use_at_once_and_end_as_the_others_do(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
pids = [guest(), guest()]
both = network(1, subnet6="fd00:1::/64", gateway6="fd00:1::1")
home.place(both.network).mkdir(parents=True)  # as one who was killed has left it
(home.place(both.network) / "bridge").write_text('["tn-1", []]')
host.add_bridge("tn-1", bytes.fromhex("020000000001"), 1500)
host.add_address(host.link("tn-1").number, "fd00:1::1", 64)
seats = [sit(pid, both, name) for pid, name in zip(pids, "ab")]
chosen = sit(pids[0], network(2)._replace(address="172.22.0.77", mac="02:00:00:00:00:77"), "a", False)
listener = within(within_of(pids[1]), lambda: socket.create_server(("::", 80), family=socket.AF_INET6))
def reach():
    with socket.create_connection(("fd00:1::3", 80), 5) as connection:
        return connection.getsockname()[0]
routes = within(within_of(pids[0]), Netlink).routes(socket.AF_INET6)
learned = [learns("tn-1"), *(within(within_of(pids[0]), lambda: learns(name)) for name in ("eth0", "eth1"))]
print(json.dumps([
    learned, [seat.lease.address6 for seat in seats], within(within_of(pids[0]), reach),
    [route.gateway for route in routes if not route.prefix], chosen.lease.address, chosen.lease.mac,
]))
for pid in pids:
    os.kill(pid, 9)
""",
    )
    addresses = ["fd00:1::2", "fd00:1::3"]
    assert found == [
        ["0", "0", "0"],
        addresses,
        "fd00:1::2",
        ["fd00:1::1"],
        "172.22.0.77",
        "02:00:00:00:00:77",
    ]


def test_nothing_is_left_when_owners_die_and_flushed_rules_are_made_again(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
pids = [guest(), guest(), guest()]
one = network(1)
child = os.fork()
if not child:
    sit(pids[0], one, "a")
    os.kill(os.getpid(), 9)
os.waitpid(child, 0)
seen = [left()]
second = sit(pids[1], one, "b")
seen.append([second.lease.address, [lease.name for lease in members(home.place(one.network))]])
assert run([find("nft"), "flush", "ruleset"])[0] == 0
third = sit(pids[2], one, "c")
seen.append(left())
try:
    segment.remove(home, one.network)
except Exception as error:
    seen.append(str(error))
for seat in (second, third):
    segment.leave_segment(home, seat)
for _ in range(1000):  # they go a moment later
    if not left():
        break
    time.sleep(0.02)
seen.append(left())
last = sit(pids[1], one, "b")
segment.sweep(home)
seen.append(len(left()))
segment.leave_segment(home, last)
segment.remove(home, one.network)
seen.append(left())
print(json.dumps(seen))
for pid in pids:
    os.kill(pid, 9)
""",
    )
    device = "tv"
    table = "tiffin-net-100000000000"
    assert [*found[0][:2]] == [table, "tn-1"]
    assert found[0][2].startswith(device)
    assert found[1] == ["172.21.0.3", ["b"]]
    assert found[2][:2] == [table, "tn-1"]
    assert len(found[2]) == 4
    assert found[3:] == ["the network 100000000000 has active endpoints", [], 3, []]


def test_a_network_that_this_machine_reaches_by_another_way_is_not_made(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
beyond, _ = neighbour()
pid = guest()
said = []
for endpoint in (
    network(1)._replace(subnet="203.0.113.128/25", gateway="203.0.113.129"),
    network(2)._replace(bridge="uplink"),
):
    try:
        sit(pid, endpoint, "a")
    except Exception as error:
        said.append(str(error))
print(json.dumps([said, left()]))
for each in (pid, beyond):
    os.kill(each, 9)
""",
    )
    assert found == [
        [
            (
                "the network net1: its subnet 203.0.113.128/25 overlaps 203.0.113.0/24, "
                "which this machine has a route to"
            ),
            "the network net2: the device uplink is somebody else's",
        ],
        [],
    ]


def test_the_kernel_carries_published_ports_into_a_network_and_loopback_addresses_pass_with_rules_only(
    tmp_path, needs_nft
):
    found = machine(
        tmp_path,
        BEGIN
        + """
from tiffin.network import seating
from tiffin.network.attach import Attachment

beyond, outside = neighbour(back=True)
pids = [guest(user=True), guest(), guest()]
one, two = network(1), network(2)
attached = [Attachment(within_of(pid)) for pid in pids]
for each, pid, name, endpoint in zip(attached, pids, "abc", (one, one, two)):
    each.seats = [sit(pid, endpoint, name)]
serve(within_of(pids[0]), 80, b"a")
listeners = listen(parse("8000:80"))  # no forwarder: what answers came by the rules
ports = [listener.port for listener in listeners]
passing = Path("/proc/sys/net/ipv4/conf/tn-1/route_localnet")
seen = {"before": passing.read_text().strip()}
table = seating.shorten(attached[0], plan("networks", "a" * 64), ports)
seen |= {
    "passing": passing.read_text().strip(),
    "loopback": outcome(own, "127.0.0.1", 8000),
    "outside": outcome(outside, "203.0.113.1", 8000),
    "neighbour": outcome(within_of(pids[1]), "172.21.0.1", 8000),
    "other network": outcome(within_of(pids[2]), "172.22.0.1", 8000).split()[0],
    "unpublished": outcome(outside, "172.21.0.2", 80),
}
assert run([find("nft"), "flush", "ruleset"])[0] == 0
table.close()
segment.leave_segment(home, attached[0].seats[0])
seen["flushed"] = passing.read_text().strip()
print(json.dumps(seen))
for pid in (*pids, beyond):
    os.kill(pid, 9)
""",
    )
    assert found == {
        "before": "0",
        "passing": "1",
        "loopback": "a 172.21.0.1",
        "outside": "a 203.0.113.2",
        "neighbour": "a 172.21.0.1",
        "other network": "a",
        "unpublished": "TimeoutError",
        "flushed": "0",
    }
