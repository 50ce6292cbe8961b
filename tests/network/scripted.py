"""A script run as a machine of its own: in a new network and mount namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PRELUDE = """
import json, os, signal, socket, sys, threading, time
from pathlib import Path
from tiffin.linux import netlink, netns
from tiffin.linux.namespace import IdMap, write_maps
from tiffin.linux.netlink import Netlink
from tiffin.linux.netns import within
from tiffin.network.attach import attach, examine
from tiffin.network.bridge import NAME, tidy
from tiffin.network.leases import state_directory
from tiffin.network.listen import listen
from tiffin.network.plan import NetworkPlan
from tiffin.network.ports import Forwarder
from tiffin.network.publish import parse
from tiffin.network.tool import find, run

RUN = Path(sys.argv[1])
own = os.open("/proc/self/ns/net", 0)

def guest(user=False, *, uid=100000):
    pid = os.posix_spawnp("unshare", ["unshare", "-n", *(["-U"] if user else []), "sleep", "100"], os.environ)
    own = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{pid}/ns/net") == own:
        time.sleep(0.002)
    if user:
        write_maps(pid, [IdMap(0, uid, 65536)], [IdMap(0, uid, 65536)])
    return pid

def neighbour(mtu=1500, *, back=False):  # a machine behind the host; with `back` it knows the way back
    pid = guest()
    outside = os.open(f"/proc/{pid}/ns/net", 0)
    host.add_veth("uplink", "eth0", outside, mtu, bytes.fromhex("020000000009"))
    uplink = host.link("uplink").number
    host.add_address(uplink, "203.0.113.1", 24)
    host.set_up(uplink)
    with within(outside, Netlink) as inside:
        inside.add_address(inside.link("eth0").number, "203.0.113.2", 24)
        inside.set_up(inside.link("eth0").number)
        if back:
            inside.add_default_route("203.0.113.1", inside.link("eth0").number)
    host.add_default_route("203.0.113.2", uplink)
    return pid, outside

def plan(mode, identity, **more):
    state = str(state_directory(RUN))
    return NetworkPlan(mode, identity, state=state, nft=find("nft"), pasta=find("pasta"), **more)

def serve(namespace, port, answer):
    def body():
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            connection.sendall(answer + b" " + peer[0].encode())
            connection.close()
    listener = within(namespace, lambda: socket.create_server(("0.0.0.0", port)))
    threading.Thread(target=body, daemon=True).start()
    return listener

def call(address, port):
    with socket.create_connection((address, port), 10) as connection:
        return b"".join(iter(lambda: connection.recv(100), b"")).decode()

def outcome(namespace, address, port=80):
    def attempt():
        try:
            with socket.create_connection((address, port), 1) as connection:
                return connection.recv(100).decode()
        except OSError as error:
            return type(error).__name__
    return within(namespace, attempt)

def ours(*, gone=False):
    for _ in range(1000):  # they go a moment later
        if not gone or (host.link(NAME) is None and "tiffin" not in run([find("nft"), "list", "tables"])[1]):
            break
        time.sleep(0.02)
    return [host.link(NAME) is not None, "tiffin" in run([find("nft"), "list", "tables"])[1]]

with Netlink() as host:
    host.set_up(host.link("lo").number)
host = Netlink()
"""


def machine(tmp_path: Path, script: str) -> object:
    if os.geteuid() != 0:
        pytest.skip("needs root: makes a machine of its own")
    code = PRELUDE + textwrap.dedent(script)
    command = ["unshare", "-n", "-m", sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
