"""Limits of a group that is there: all are changed, or none."""

import errno
import os

import pytest

from tiffin.errors import UnsupportedError
from tiffin.runtime.cgroups import change
from tiffin.runtime.cgroups.limits import Write, Writes

FILES = {"memory.max": "100", "pids.max": "7", "cpu.max": "max 100000"}


def group(place, files, *, version=2):
    place.mkdir()
    for name, text in files.items():
        (place / name).write_text(f"{text}\n")
    if version == 2:
        (place / "cgroup.controllers").touch()
    return f"{place}/cgroup.procs"


def contents(place):
    return {path.name: path.read_text().strip() for path in place.iterdir() if path.read_text()}


@pytest.fixture
def refuse(monkeypatch):
    """Lets the kernel refuse values of a file, by a function of what all files say."""
    write = change._write
    rules = {}

    def checked(one):
        rule = rules.get(one.path.name)
        if rule is not None and rule(one):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        write(one)

    monkeypatch.setattr(change, "_write", checked)
    return rules


def test_what_belongs_to_the_version_is_written(tmp_path):
    join = group(tmp_path / "g", FILES)
    writes = Writes(
        (Write("pids", "other", "1"),), (Write("memory", "memory.max", "5"), Write("pids", "pids.max", "max"))
    )
    with change.changed((join,), writes):
        pass
    assert contents(tmp_path / "g") == {**FILES, "memory.max": "5", "pids.max": "max"}


def test_each_controller_of_version_1_has_its_place(tmp_path):
    joins = [group(tmp_path / name, {f"{name}.limit": "1"}, version=1) for name in ("memory", "pids")]
    writes = (Write("memory", "memory.limit", "2"), Write("pids", "pids.limit", "3"))
    with change.changed(joins, Writes(writes, ())):
        pass
    assert contents(tmp_path / "memory") == {"memory.limit": "2"}
    assert contents(tmp_path / "pids") == {"pids.limit": "3"}


def test_a_controller_that_the_group_has_not(tmp_path):
    join = group(tmp_path / "g", FILES)
    writes = (Write("memory", "memory.max", "5"), Write("io", "io.weight", "5"))
    with pytest.raises(UnsupportedError, match=r"io.weight cannot be set to 5: .* no such file") as caught:
        change.changed((join,), Writes((), writes)).__enter__()
    assert "leave the limit away" in caught.value.hint
    assert contents(tmp_path / "g") == FILES
    with change.changed((join,), Writes((), (Write("memory", "memory.swap.max", "5", optional=True),))):
        pass
    assert contents(tmp_path / "g") == FILES


def test_a_refused_value_leaves_all_as_it_was(tmp_path, refuse):
    join = group(tmp_path / "g", FILES)
    refuse["pids.max"] = lambda one: one.value == "0"
    writes = (
        Write("memory", "memory.max", "5"),
        Write("pids", "pids.max", "0"),
        Write("cpu", "cpu.max", "1 2"),
    )
    with pytest.raises(UnsupportedError, match=r"pids.max cannot be set to 0: Device or resource busy"):
        change.changed((join,), Writes((), writes)).__enter__()
    assert contents(tmp_path / "g") == FILES


def test_what_depends_on_another_value_comes_after_it(tmp_path, refuse):
    """As memory alone and with swap, of version 1: the first is never more than the second."""
    join = group(tmp_path / "g", {"limit": "10", "both": "20"}, version=1)
    place = tmp_path / "g"
    refuse["limit"] = lambda one: int(one.value) > int((place / "both").read_text())
    refuse["both"] = lambda one: int(one.value) < int((place / "limit").read_text())
    for limit, both in (("30", "40"), ("5", "6"), ("7", "7")):
        with change.changed((join,), Writes((Write("m", "limit", limit), Write("m", "both", both)), ())):
            pass
        assert contents(place) == {"limit": limit, "both": both}
    with pytest.raises(UnsupportedError):
        change.changed((join,), Writes((Write("m", "limit", "9"), Write("m", "both", "8")), ())).__enter__()
    assert contents(place) == {"limit": "7", "both": "7"}


def test_what_fails_afterwards_takes_it_back(tmp_path):
    join = group(tmp_path / "g", FILES)
    with pytest.raises(KeyError), change.changed((join,), Writes((), (Write("pids", "pids.max", "9"),))):
        raise KeyError
    assert contents(tmp_path / "g") == FILES
