"""Each test is a script run as a machine of its own: in a new network and mount namespace."""

from __future__ import annotations

import os

import pytest
from tests.network.scripted import machine

from tiffin.network.tool import find

pytestmark = pytest.mark.live


@pytest.fixture
def needs_pasta():
    if not find("pasta"):
        pytest.skip("needs pasta")


def test_two_containers_on_the_bridge_reach_each_other_the_host_and_beyond(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        """
        def learns(device):
            return Path(f"/proc/sys/net/ipv6/conf/{device}/accept_ra").read_text().strip()
        beyond, outside = neighbour(1400)
        pids = [guest(), guest(user=True)]
        one, two = (attach(plan("bridge", letter * 64), pid) for letter, pid in zip("ab", pids))
        mtu = host.link(NAME).mtu
        serve(outside, 7000, b"beyond")
        serve(two.namespace, 7001, b"two")
        serve(os.open("/proc/self/ns/net", 0), 7002, b"host")
        forwarder = Forwarder(listeners := listen(parse("127.0.0.1::7001")), two.namespace, two.address)
        forwarder.start()
        seen = {
            "addresses": [one.address, two.address, one.gateway],
            "mtu": mtu,
            "learns": [learns(NAME), *(within(end.namespace, lambda: learns("eth0")) for end in (one, two))],
            "beyond": within(one.namespace, lambda: call("203.0.113.2", 7000)),
            "two": within(one.namespace, lambda: call(two.address, 7001)),
            "host": within(one.namespace, lambda: call(one.gateway, 7002)),
            "published": call("127.0.0.1", listeners[0].port.host).split()[0],
        }
        forwarder.close()
        one.close()
        seen["after one"] = ours()
        two.close()
        seen["after both"] = ours(gone=True)
        seen["leases"] = [path.name for path in (state_directory(RUN) / "leases").iterdir()]
        print(json.dumps(seen))
        for pid in (beyond, *pids):
            os.kill(pid, 9)
        """,
    )
    assert found == {
        "addresses": ["10.88.0.2", "10.88.0.3", "10.88.0.1"],
        "mtu": 1400,
        "learns": ["0", "0", "0"],  # no container can offer itself as the way out
        "beyond": "beyond 203.0.113.1",  # masqueraded: the machine beyond sees the host
        "two": "two 10.88.0.2",
        "host": "host 10.88.0.2",
        "published": "two",
        "after one": [True, True],
        "after both": [False, False],
        "leases": [],
    }


def test_the_bridge_avoids_the_hosts_networks(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        """
        host.add_address(host.link("lo").number, "10.88.7.1", 24)
        pid = guest()
        attachment = attach(plan("bridge", "a" * 64), pid)
        print(json.dumps(attachment.address))
        attachment.close()
        os.kill(pid, 9)
        """,
    )
    assert found == "10.89.0.2"


def test_what_a_killed_process_left_on_the_bridge_is_taken_away(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        """
        pid = guest()
        child = os.fork()
        if child == 0:
            attach(plan("bridge", "a" * 64), pid)
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        before = host.link(NAME) is not None
        other = guest()
        attachment = attach(plan("bridge", "b" * 64), other)
        leases = [path.name for path in (state_directory(RUN) / "leases").iterdir()]
        devices = sorted(link.name for link in host.links() if link.name.startswith("tf"))
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        attachment.close()
        child = os.fork()
        if child == 0:
            attach(plan("bridge", "c" * 64), pid)
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        tidy(state_directory(RUN), find("nft"))
        print(json.dumps([before, leases, devices, host.link(NAME) is not None]))
        os.kill(pid, 9)
        os.kill(other, 9)
        """,
    )
    assert found == [True, ["10.88.0.3"], ["tfbbbbbbbbbbbb"], False]


def test_many_at_once_get_different_addresses(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        """
        pids = [guest() for _ in range(8)]
        workers = []
        for number, pid in enumerate(pids):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reader)
                attachment = attach(plan("bridge", f"{number}" * 64), pid)
                os.write(writer, attachment.address.encode())
                os.read(0, 1)
                time.sleep(0.3)
                attachment.close()
                os._exit(0)
            os.close(writer)
            workers.append((child, reader))
        addresses = sorted(os.read(reader, 100).decode() for _, reader in workers)
        for child, _ in workers:
            os.waitpid(child, 0)
        print(json.dumps([addresses, *ours(gone=True)]))
        for pid in pids:
            os.kill(pid, 9)
        """,
    )
    assert found == [[f"10.88.0.{last}" for last in range(2, 10)], False, False]


@pytest.mark.parametrize("mode", ["loopback", "none"])
def test_a_loopback_alone_is_up_and_ports_reach_it(tmp_path, mode):
    found = machine(
        tmp_path,
        f"""
        pid = guest(user=True)
        attachment = attach(plan({mode!r}, "a" * 64), pid)
        serve(attachment.namespace, 8000, b"inside")
        forwarder = Forwarder(listeners := listen(parse("127.0.0.1::8000")), attachment.namespace)
        forwarder.start()
        answer = call("127.0.0.1", listeners[0].port.host)
        with within(attachment.namespace, Netlink) as inside:
            links = [link.name for link in inside.links()]
        print(json.dumps([answer, links, attachment.address, attachment.gateway]))
        forwarder.close()
        attachment.close()
        os.kill(pid, 9)
        """,
    )
    assert found == ["inside 127.0.0.1", ["lo"], "", ""]


PASTA = """
os.makedirs(RUN / "dev")
os.system(f"mount -t tmpfs none {RUN}/dev && mknod -m 666 {RUN}/dev/tun c 10 200")
os.system(f"mount --bind {RUN}/dev/tun /dev/net/tun")
"""


def test_pasta_carries_a_container_of_root_and_dies_with_its_parent(tmp_path, needs_pasta):
    found = machine(
        tmp_path,
        PASTA
        + """
other, outside = neighbour()
serve(outside, 7000, b"beyond")
pid = guest(user=True)
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    attachment = attach(plan("pasta", "a" * 64, insist=True), pid)
    answer = within(attachment.namespace, lambda: call("203.0.113.2", 7000))
    serve(attachment.namespace, 8000, b"inside")
    listeners = listen(parse("127.0.0.1::8000"))
    forwarder = Forwarder(listeners, attachment.namespace, attachment.address)
    forwarder.start()
    published = call("127.0.0.1", listeners[0].port.host)
    pasta = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    uid = Path(f"/proc/{pasta[0]}/status").read_text().split("Uid:")[1].split()[0]
    os.write(writer, json.dumps([attachment.address, answer, published.split()[0], uid, pasta]).encode())
    os.kill(os.getpid(), 9)
os.waitpid(child, 0)
*seen, [pasta] = json.loads(os.read(reader, 1000))
for _ in range(500):
    if not os.path.exists(f"/proc/{pasta}") or ") Z " in Path(f"/proc/{pasta}/stat").read_text():
        break
    time.sleep(0.01)
else:
    seen.append("pasta lives on")
print(json.dumps(seen))
os.kill(pid, 9)
os.kill(other, 9)
""",
    )
    assert found == ["203.0.113.1", "beyond 203.0.113.1", "inside", "100000"]


def test_without_a_way_out_of_the_host_pasta_gives_way_to_loopback_and_says_so(tmp_path, needs_pasta):
    found = machine(
        tmp_path,
        PASTA
        + """
from tiffin.errors import UnavailableError
pid = guest(user=True)
attachment = attach(plan("pasta", "a" * 64), pid)
with within(attachment.namespace, Netlink) as inside:
    up = inside.link("lo").up
try:
    attach(plan("pasta", "a" * 64, insist=True), pid)
    insisted = ""
except UnavailableError as error:
    insisted = error.message
print(json.dumps([up, attachment.notices, insisted]))
os.kill(pid, 9)
""",
    )
    up, [notice], insisted = found
    assert up
    assert notice.startswith(
        "the container cannot reach out, only published ports work: pasta cannot connect"
    )
    assert insisted.startswith("pasta cannot connect the container: ")


def test_facts_of_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    from tiffin.network.attach import examine

    facts = examine(root=True)
    assert facts.root
    assert facts.admin
    assert facts.nft == find("nft")


def test_a_hardware_address_that_was_asked_for(tmp_path, needs_nft):
    found = machine(
        tmp_path,
        """
        pids = [guest(), guest()]
        macs = ["02:00:00:00:00:07", ""]
        attached = [attach(plan("bridge", letter * 64, mac=mac), pid)
                    for letter, mac, pid in zip("ab", macs, pids)]
        read = lambda: Path("/proc/net/arp").read_text()
        serve(attached[0].namespace, 80, b"one")
        call(attached[0].address, 80)
        print(json.dumps("02:00:00:00:00:07" in read()))
        for pid in pids:
            os.kill(pid, 9)
        """,
    )
    assert found is True


def test_what_is_known_of_a_network_namespace_is_never_taken_for_that_of_another(tmp_path):
    found = machine(
        tmp_path,
        """
places = [str(state_directory(RUN))]
for _ in range(8):  # the kernel gives the number of one that is gone to the next
    pid = guest()
    namespace = os.open(f"/proc/{pid}/ns/net", 0)
    places.append(str(within(namespace, lambda: state_directory(RUN))))
    os.close(namespace)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
print(json.dumps([len(places), len(set(places)), places[0] == str(state_directory(RUN))]))
""",
    )
    assert found == [9, 9, True]
