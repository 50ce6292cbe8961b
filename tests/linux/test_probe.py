"""Facts: the formats of the system's files, and this host."""

import os
import subprocess
import sys

import pytest

from tiffin.linux import attempts, probe
from tiffin.linux.namespace import IdMap


def test_maps_of_proc_are_read():
    assert probe.parse_maps("         0       1000          1\n 1 100000 65536\n") == (
        IdMap(0, 1000, 1),
        IdMap(1, 100000, 65536),
    )


SUBUID = "ada:100000:65536\n# comment\nbob:165536:65536\n1000:300000:10\nada:bad:1\nada:1:0\n:5:5\nada:7\n"


@pytest.mark.parametrize(
    ("owners", "starts"),
    [
        (("ada",), [100000]),
        (("ada", "1000"), [100000, 300000]),
        (("eve", "5"), []),
        ((), [100000, 165536, 300000]),
    ],
)
def test_subordinate_ids_are_found_by_name_and_number(owners, starts):
    assert [line.outside for line in probe.parse_subordinate(SUBUID, *owners)] == starts


def test_a_failed_attempt_tells_why():
    def fail():
        raise PermissionError(1, "no way")

    assert attempts.attempt(fail) == "no way"
    assert attempts.attempt(lambda: None) == ""


def test_an_attempt_happens_elsewhere(tmp_path):
    attempts.attempt(lambda: os.chdir(tmp_path))
    assert os.getcwd() != str(tmp_path)


def test_the_facts_of_this_host(tmp_path):
    facts = probe.examine(tmp_path / "not" / "there")
    assert facts.euid == os.geteuid()
    assert facts.kernel >= (3, 0)
    assert facts.memory > 1 << 20
    assert facts.uid_map
    assert facts.store_filesystem
    assert facts.overlay is facts.idmap is facts.user_namespaces is None


@pytest.mark.live
def test_trying_leaves_nothing_behind(tmp_path):
    facts = probe.examine(tmp_path, tries=True)
    assert None not in (facts.user_namespaces, facts.overlay, facts.idmap)
    assert os.listdir(tmp_path) == []


@pytest.mark.live
def test_root_of_this_host_can_do_it_all(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may map owners")
    facts = probe.examine(tmp_path, tries=True)
    assert (facts.user_namespaces, facts.overlay, facts.idmap) == ("", "", "")


def test_a_tool_that_has_lost_its_rights_does_not_count(tmp_path, monkeypatch):
    for name in ("newuidmap", "newgidmap"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    facts = probe.examine(tmp_path)
    assert (facts.map_tools, facts.map_refusal) == (
        True,
        f"{tmp_path}/newuidmap has lost its set-user-ID bit",
    )
    for name in ("newuidmap", "newgidmap"):
        (tmp_path / name).chmod(0o4755)
    assert "set-user-ID" not in probe.examine(tmp_path).map_refusal


@pytest.mark.parametrize("forbidden", ["", "Operation not permitted"])
def test_an_old_kernel_is_tried_once_unless_something_is_forbidden(tmp_path, monkeypatch, forbidden):
    tried = []

    def attempt(facts, store):
        tried.append(store)
        return facts._replace(user_namespaces=forbidden, overlay="not here", idmap="nor\there")

    monkeypatch.setattr(probe, "_is_old", lambda _facts: True)
    monkeypatch.setattr(attempts, "try_all", attempt)
    first, again = probe.examine(tmp_path), probe.examine(tmp_path)
    assert first == again
    assert (first.overlay, first.idmap) == ("not here", "nor\there")
    assert len(tried) == (2 if forbidden else 1)
    probe.examine(tmp_path, tries=True)
    assert len(tried) == (3 if forbidden else 2)
    monkeypatch.setattr(
        probe.os, "uname", lambda: os.uname_result(("Linux", "here", "5.4.0-1", "", "x86_64"))
    )
    probe.examine(tmp_path)
    assert len(tried) == (4 if forbidden else 3)


@pytest.mark.live
def test_trying_is_not_seen_where_mounts_are_shared(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root has mounts to share")
    look = "import sys; from tiffin.linux import probe; from pathlib import Path; "
    look += "print(probe.examine(Path(sys.argv[1]), tries=True).idmap, open('/proc/self/mountinfo').read())"
    shared = 'mount --make-rshared / && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", shared, "sh", sys.executable, "-c", look, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(" "), done.stdout
    assert str(tmp_path) not in done.stdout
