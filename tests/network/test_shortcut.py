"""Published ports that the kernel redirects; each test is a machine of its own."""

from __future__ import annotations

import pytest
from tests.network.scripted import machine

from tiffin.network.publish import parse
from tiffin.network.shortcut import Allowed, chains

BEGIN = """
from tiffin.network import shortcut
from tiffin.network.listen import close_all

def publish(text, attachment, identity):
    listeners = listen(parse(text))
    ports = [listener.port for listener in listeners]
    return listeners, shortcut.take(plan("bridge", identity), ports, attachment.address)

def tables():
    return sorted(line.split()[-1] for line in run([find("nft"), "list", "tables"])[1].splitlines())
"""


@pytest.mark.live
def test_the_kernel_carries_a_published_port_from_everywhere_and_nothing_forwards(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
beyond, outside = neighbour(back=True)
pids = [guest(), guest(user=True)]
one, two = (attach(plan("bridge", letter * 64), pid) for letter, pid in zip("ab", pids))
serve(two.namespace, 80, b"two")
listeners, table = publish("8000:80", two, "b" * 64)  # no forwarder: what answers came by the rules
seen = {
    "loopback": outcome(own, "127.0.0.1", 8000),
    "own address": outcome(own, "203.0.113.1", 8000),
    "outside": outcome(outside, "203.0.113.1", 8000),
    "neighbour": outcome(one.namespace, one.gateway, 8000),
    "unpublished": outcome(outside, two.address, 80),
    "tables": tables(),
}
forwarder = Forwarder(listeners, two.namespace, two.address)
forwarder.start()
seen["itself"] = outcome(two.namespace, two.gateway, 8000).split()[0]
forwarder.close()
table.close()
seen["after"] = tables()
print(json.dumps(seen))
for pid in (beyond, *pids):
    os.kill(pid, 9)
""",
    )
    assert found == {
        "loopback": "two 10.88.0.1",
        "own address": "two 203.0.113.1",
        "outside": "two 203.0.113.2",
        "neighbour": "two 10.88.0.1",
        "itself": "two",
        "unpublished": "TimeoutError",
        "tables": ["tiffin", "tiffin-bbbbbbbbbbbb"],
        "after": ["tiffin"],
    }


@pytest.mark.live
def test_services_on_the_hosts_loopback_stay_out_of_reach(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
beyond, outside = neighbour(back=True)
pid = guest()
one = attach(plan("bridge", "a" * 64), pid)
listener = socket.create_server(("127.0.0.1", 9000))
serve(one.namespace, 80, b"one")
listeners, table = publish("127.0.0.1:8000:80", one, "a" * 64)
def aim(namespace, gateway):  # as an attacker would: 127.0.0.0/8 beyond the wire
    def change():
        for name in ("all", "eth0"):
            Path(f"/proc/sys/net/ipv4/conf/{name}/route_localnet").write_text("1")
        run(["/usr/sbin/ip", "addr", "del", "127.0.0.1/8", "dev", "lo"])
        run(["/usr/sbin/ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local"])
        return run(["/usr/sbin/ip", "route", "add", "127.0.0.1", "via", gateway])
    return within(namespace, change)
assert os.path.exists("/usr/sbin/ip")
routed = [aim(one.namespace, one.gateway)[0], aim(outside, "203.0.113.1")[0]]
print(json.dumps({
    "routed": routed,
    "published": outcome(own, "127.0.0.1", 8000),
    "container to service": outcome(one.namespace, "127.0.0.1", 9000),
    "container to published": outcome(one.namespace, "127.0.0.1", 8000),
    "outside to service": outcome(outside, "127.0.0.1", 9000),
    "outside to published": outcome(outside, "127.0.0.1", 8000),
}))
for one in (beyond, pid):
    os.kill(one, 9)
""",
    )
    assert found == {
        "routed": [0, 0],
        "published": "one 10.88.0.1",
        "container to service": "TimeoutError",
        "container to published": "TimeoutError",
        "outside to service": "TimeoutError",
        "outside to published": "TimeoutError",
    }


@pytest.mark.live
def test_where_the_host_filters_its_input_the_outside_is_left_to_the_forwarder(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
judge = b"type filter hook input priority 0; policy drop; ct state established accept;"
rules = b"table inet mine { chain in { " + judge + b" }; }"
assert run([find("nft"), "-f", "-"], rules)[0] == 0
beyond, outside = neighbour(back=True)
pid = guest()
one = attach(plan("bridge", "a" * 64), pid)
serve(one.namespace, 80, b"one")
listeners, table = publish("8000:80", one, "a" * 64)
print(json.dumps([outcome(own, "127.0.0.1", 8000), outcome(outside, "203.0.113.1", 8000)]))
for one in (beyond, pid):
    os.kill(one, 9)
""",
    )
    assert found == [
        "one 10.88.0.1",
        "TimeoutError",
    ]  # the host's own rules decide


@pytest.mark.live
def test_the_rules_go_with_a_killed_process(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
pid = guest()
child = os.fork()
if child == 0:
    one = attach(plan("bridge", "a" * 64), pid)
    kept = publish("8000:80", one, "a" * 64)
    (RUN / "tables").write_text(" ".join(tables()))
    os.kill(os.getpid(), 9)
os.waitpid(child, 0)
print(json.dumps([(RUN / "tables").read_text().split(), tables()]))
os.kill(pid, 9)
""",
    )
    assert found == [["tiffin", "tiffin-aaaaaaaaaaaa"], ["tiffin"]]


@pytest.mark.live
def test_a_bridge_whose_rules_know_nothing_of_it_gets_no_shortcut(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
pid = guest()
one = attach(plan("bridge", "a" * 64), pid)
for verb in ("flush", "delete"):  # as an older version has made them
    assert run([find("nft"), verb, "chain", "ip", "tiffin", "guarded"])[0] == 0
print(json.dumps([publish("8000:80", one, "a" * 64)[1] is None, tables()]))
os.kill(pid, 9)
""",
    )
    assert found == [True, ["tiffin"]]


@pytest.mark.live
def test_loopback_addresses_never_pass_the_bridge_without_a_guard(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        BEGIN
        + """
pids = [guest() for _ in range(3)]
one, two = (attach(plan("bridge", letter * 64), pid) for letter, pid in zip("ab", pids))
passing = Path(f"/proc/sys/net/ipv4/conf/{NAME}/route_localnet")
seen = []
def look():
    seen.append([passing.read_text().strip(), tables()])
assert publish("8001:80/udp", one, "a" * 64)[1] is None  # it has nothing to redirect
look()
listeners, table = publish("8000:80", one, "a" * 64)
look()
assert run([find("nft"), "flush", "ruleset"])[0] == 0
look()
table.close()
one.close()
look()
three = attach(plan("bridge", "c" * 64), pids[2])
serve(three.namespace, 80, b"three")
look()
close_all(listeners)
listeners, table = publish("8000:80", three, "c" * 64)
look()
print(json.dumps([*seen, outcome(own, "127.0.0.1", 8000)]))
for pid in pids:
    os.kill(pid, 9)
""",
    )
    assert found == [
        ["0", ["tiffin"]],
        ["1", ["tiffin", "tiffin-aaaaaaaaaaaa"]],
        ["1", ["tiffin-aaaaaaaaaaaa"]],  # an owned table is spared by a flush, and has the guard
        ["0", []],
        ["0", ["tiffin"]],  # who comes next makes the rules again
        ["1", ["tiffin", "tiffin-cccccccccccc"]],
        "three 10.88.0.1",
    ]


@pytest.mark.parametrize(
    ("text", "inward", "own"),
    [
        ("8000:80", 1, 1),
        ("0.0.0.0:8000:80", 1, 1),
        ("127.0.0.1:8000:80", 0, 1),
        ("8000-8002:80-82", 3, 3),
    ],
)
def test_one_rule_a_port_and_way(text, inward, own):
    found = {chain.name: len(chain.rules) for chain in chains(parse(text), "10.88.0.2", Allowed(True, True))}
    assert found == {"guarded": 2, "inward": inward, "own": own}


@pytest.mark.parametrize("text", ["8000:80/udp", "[::1]:8000:80"])
def test_what_the_forwarder_alone_can_carry_has_no_rules(text):
    assert chains(parse(text), "10.88.0.2", Allowed(True, True)) == ()


def test_what_may_not_be_redirected_has_no_rules():
    looped = parse("127.0.0.1:8000:80")
    assert chains(looped, "10.88.0.2", Allowed(outside=True, loopback=False)) == ()
    inside = {
        chain.name: chain.rules for chain in chains(parse("8000:80"), "10.88.0.2", Allowed(False, True))
    }
    assert inside["inward"] == ()
