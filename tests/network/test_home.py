from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from tiffin.errors import UnavailableError
from tiffin.linux.process import Identity
from tiffin.network import holder, home
from tiffin.network.home import Wanted, state_of_home
from tiffin.network.leases import DIRECTORY, NETWORKS
from tiffin.network.segmentleases import Lease

OWNER = Identity.own()


def test_who_holds_the_namespaces_ends_when_nobody_uses_them(tmp_path, monkeypatch):
    waited = threading.Event()
    monkeypatch.setattr(holder.time, "sleep", lambda _seconds: waited.set())
    (tmp_path / "holder.json").write_text("{}")
    with (tmp_path / "users").open("wb") as user:
        fcntl.flock(user, fcntl.LOCK_SH)
        thread = threading.Thread(target=holder._hold, args=(tmp_path,))
        thread.start()
        assert not waited.is_set()
        assert (tmp_path / "holder.json").exists()
    thread.join()
    assert waited.is_set()
    assert not (tmp_path / "holder.json").exists()


def test_it_stays_for_who_comes_while_it_lingers(tmp_path, monkeypatch):
    flock, sleeps = fcntl.flock, []
    with (tmp_path / "users").open("wb") as user:

        def sleep(_seconds):
            sleeps.append(1)
            if len(sleeps) == 1:
                flock(user, fcntl.LOCK_SH)  # somebody comes

        def waiting(file, how):
            if sleeps and how == fcntl.LOCK_EX:
                flock(user, fcntl.LOCK_UN)  # and goes again
            flock(file, how)

        monkeypatch.setattr(holder.time, "sleep", sleep)
        monkeypatch.setattr(holder.fcntl, "flock", waiting)
        holder._hold(tmp_path)
    assert len(sleeps) == 2


def test_namespaces_are_found_again_at_those_who_use_them(tmp_path):
    directory = tmp_path / NETWORKS / "id" / DIRECTORY
    directory.mkdir(parents=True)
    assert home._left_behind(tmp_path) == ()
    dead, living = OWNER._replace(started=1), OWNER
    for number, (owner, fd) in enumerate([(dead, 7), (living, -1), (living, 11)]):
        Lease(f"10.0.0.{number}", "", "c", "n", (), "", "", owner, fd).write(directory)
    assert home._left_behind(tmp_path) == (living.pid, 11)


@pytest.mark.parametrize("text", ["", "{}", '{"owner": [1, 1], "fd": 3, "notice": ""}', "[]"])
def test_a_record_of_the_dead_counts_for_nothing(tmp_path, text):
    (tmp_path / "holder.json").write_text(text)
    assert home._standing(tmp_path) is None


def test_namespaces_with_other_ids_are_not_taken():
    text = Path("/proc/self/uid_map").read_text()
    lines = [tuple(map(int, line.split())) for line in text.splitlines()]
    home._check_maps(OWNER.pid, Wanted(lines, lines, ""))
    with pytest.raises(UnavailableError, match="have other user ids"):
        home._check_maps(OWNER.pid, Wanted([(0, 1000, 1)], lines, ""))


def test_all_that_is_known_lies_below_the_run_directory(tmp_path):
    assert state_of_home(tmp_path) == tmp_path / "network/home"
