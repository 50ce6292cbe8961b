from __future__ import annotations

import os
import subprocess

import pytest

from tiffin.linux.process import Identity, started
from tiffin.network import firewall, pasta
from tiffin.network.tool import find, run


@pytest.mark.live
def test_nft_takes_the_rules_twice_and_they_go_as_a_whole():
    if os.geteuid() != 0 or not find("nft"):
        pytest.skip("needs root and nft")
    rules = firewall.ruleset("tiffin0", "10.88.0.0/16")
    script = (
        'for turn in 1 2; do printf %s "$0" | nft -f -; done; nft list ruleset; nft delete table ip tiffin'
    )
    done = subprocess.run(
        ["unshare", "-n", "sh", "-ec", script, rules], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("masquerade") == 2  # on the way out, and back to where it was redirected
    assert 'ip saddr 10.88.0.0/16 oifname != "tiffin0" masquerade' in done.stdout
    assert done.stdout.index("established,related accept") < done.stdout.index('oifname "tiffin0" drop')


def test_tools_run_without_a_shell_and_their_words_are_kept():
    assert find("sh").endswith("/sh")
    assert find("no-such-program-anywhere") == ""
    status, output = run([find("sh"), "-c", "cat; echo oops >&2; exit 3"], b"in; ")
    assert (status, output) == (3, "in; oops")


def test_a_process_is_known_by_number_and_start():
    own = Identity.own()
    assert own.pid == os.getpid()
    assert own.alive
    assert not own._replace(started=own.started + 1).alive
    assert not Identity(0, 0).alive


def test_a_zombie_is_dead():
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert started(pid) is None
    os.waitpid(pid, 0)
    assert started(pid) is None


def test_pasta_forwards_no_port_by_itself_and_hides_the_host_unless_asked():
    plain = pasta.arguments("/usr/bin/pasta", pasta.Wishes())
    for flag in ("-t", "-u", "-T", "-U"):
        assert plain[plain.index(flag) + 1] == "none"
    assert "--no-map-gw" in plain
    assert "--dns-forward" not in plain
    asked = pasta.arguments("/usr/bin/pasta", pasta.Wishes(forward_dns=True, map_gateway=True))
    assert "--no-map-gw" not in asked
    assert asked[asked.index("--dns-forward") + 1] == pasta.NAMESERVER
