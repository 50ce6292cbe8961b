"""Networks that users make, on every rung; root's are in a network namespace of the test."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

PATIENCE = 30
SERVE = "mkdir -p /www && echo -n {} > /www/index.html && exec httpd -f -p 80 -h /www"


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail(f"not within {PATIENCE} s: {what}")


@pytest.fixture(scope="module")
def site(tiffin, busybox):
    """The command, in a place where no other test has networks."""
    if tiffin.rung != "root":
        yield tiffin
        return
    place = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec sleep 1000"], stdout=-1
    )
    place.stdout.readline()
    inside = ("nsenter", f"--net=/proc/{place.pid}/ns/net")
    yield tiffin._replace(command=(*inside, *tiffin.command))
    place.kill()
    place.wait()
    place.stdout.close()


@pytest.fixture
def web(site, request):
    """The name of a new network, which ends with everything in it."""
    given = re.sub(r"[^a-z0-9]", "-", request.node.name)[-50:].strip("-")
    site("network", "create", given)
    yield given
    left = site("ps", "-aq", "--filter", f"network={given}").stdout.split()
    if left:
        site("rm", "-f", *left)
    site("network", "rm", "-f", given)


def ask(site, container, name):
    return site("exec", container, "timeout", "5", "wget", "-qO-", f"http://{name}/", check=False).stdout


def lose_the_holder(site):
    """Kill who holds the namespaces of an ordinary user's networks."""
    record = next(site.home.rglob("run/network/home/holder.json"))
    os.kill(json.loads(record.read_bytes())["owner"][0], signal.SIGKILL)


def supervisor(site, container):
    found = json.loads(site("inspect", container).stdout)[0]["State"]["Pid"]
    return int(re.search(r"PPid:\t(\d+)", Path(f"/proc/{found}/status").read_text())[1])


def test_containers_find_each_other_by_name_come_what_may(site, busybox, web):
    site("run", "-d", "--name", "client", "--network", web, busybox, "sleep", "1000")
    assert ask(site, "client", "server") == ""
    options = [
        "--network",
        f"name={web},alias=db",
        "-p",
        "127.0.0.1:0:80",
        "--hostname=box",
        "--domainname=lan",
    ]
    site("run", "-d", "--name", "server", *options, busybox, "sh", "-c", SERVE.format("inside"))
    for name in ("server", "DB", f"server.{web}"):
        assert until(lambda name=name: ask(site, "client", name), "an answer") == "inside"
    port = int(re.search(r":(\d+)$", site("port", "server", "80").stdout)[1])
    if site.rung != "root":
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.read() == b"inside"
    assert re.search(
        r"^172\S+\tbox\.lan box$", site("exec", "server", "cat", "/etc/hosts").stdout, re.MULTILINE
    )
    assert site("exec", "server", "cat", "/proc/sys/kernel/domainname").stdout == "lan\n"
    found = json.loads(site("inspect", "server").stdout)[0]["NetworkSettings"]["Networks"][web]
    assert (found["Aliases"], found["IPPrefixLen"], found["DNSNames"][:2]) == (["db"], 16, ["server", "db"])
    member = json.loads(site("network", "inspect", web).stdout)[0]["Containers"]
    assert {one["Name"] for one in member.values()} == {"client", "server"}
    site("rename", "server", "renamed")
    assert ask(site, "client", "server") == ""
    assert ask(site, "client", "renamed") == "inside"
    os.kill(supervisor(site, "renamed"), signal.SIGKILL)
    until(lambda: not site("ps", "-q", "--filter", "name=renamed").stdout, "the end of the server")
    assert ask(site, "client", "renamed") == ""
    site("start", "renamed")
    assert until(lambda: ask(site, "client", "renamed"), "an answer") == "inside"
    if site.rung != "root":
        lose_the_holder(site)
        found = site(
            "run", "--rm", "--network", web, busybox, "timeout", "5", "wget", "-qO-", "http://renamed/"
        )
        assert found.stdout == "inside"
    sharing = ("--network", "container:client")
    found = site("run", "--rm", *sharing, busybox, "timeout", "5", "wget", "-qO-", "http://renamed/")
    assert found.stdout == "inside"
    refused = site("network", "rm", web, check=False)
    assert (refused.returncode, "has active endpoints: client, renamed" in refused.stderr) == (1, True)


def test_a_container_joins_and_leaves_while_it_runs(site, busybox, web):
    site("network", "create", "--internal", f"{web}-in")
    site("run", "-d", "--name", "one", "--network", f"{web}-in", busybox, "sleep", "1000")
    site("run", "-d", "--name", "two", "--network", web, busybox, "sh", "-c", SERVE.format("two"))
    assert ask(site, "one", "two") == ""
    assert site("exec", "one", "ip", "route").stdout.count("default") == 0
    site("network", "connect", "--alias", "more", web, "one")
    assert until(lambda: ask(site, "one", "two"), "an answer") == "two"
    assert site("exec", "one", "ip", "route").stdout.count("default") == 1
    assert site("exec", "two", "nslookup", "more").returncode == 0
    again = site("network", "connect", web, "one", check=False)
    assert (again.returncode, "is on the network" in again.stderr) == (1, True)
    site("restart", "-t", "0", "one")
    assert ask(site, "one", "two") == "two"
    site("network", "disconnect", web, "one")
    assert ask(site, "one", "two") == ""
    assert site("exec", "one", "ip", "addr").stdout.count("inet 172.") == 1
    assert site("ps", "--format", "{{.Names}} {{.Networks}}").stdout.splitlines() == [
        f"two {web}",
        f"one {web}-in",
    ]
    site("rm", "-f", "one")
    assert site("network", "prune", "-f", "--filter", "label=nobody").stdout == ""
    assert site("network", "prune", "-f").stdout == f"Deleted Networks:\n{web}-in\n\n"


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_events_tell_of_networks(site, busybox, web):
    site("run", "-d", "--network", web, "--name", f"{web}-c", busybox, "sleep", "1000")
    site("network", "disconnect", web, f"{web}-c")
    site("network", "connect", web, f"{web}-c")
    identity = site("inspect", "--format", "{{.Id}}", f"{web}-c").stdout.strip()
    site("rm", "-f", f"{web}-c")
    site("network", "rm", web)
    form = "{{.Action}} {{.Actor.Attributes.type}} {{.Actor.Attributes.container}}"
    told = site("events", "--since=0", "--until=0s", "--filter", f"network={web}", "--format", form).stdout
    moves = [f"{action} bridge {identity}" for action in ("connect", "disconnect", "connect", "disconnect")]
    assert told.splitlines() == ["create bridge <no value>", *moves, "destroy bridge <no value>"]
