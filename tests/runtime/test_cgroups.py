"""Cgroups of both versions, against trees as machines have them; live tests have the kernel's own."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.oci.runtimespec import CPU, BlockIO, Memory, Pids, Resources
from tiffin.runtime.cgroups.growth import grown
from tiffin.runtime.cgroups.hierarchy import Hierarchies, Place, read_hierarchies
from tiffin.runtime.cgroups.limits import Write, Writes, check, v1_writes, v2_writes, weight
from tiffin.runtime.cgroups.manager import Kernel, make_group, no_place, write_limits
from tiffin.runtime.cgroups.stats import Usage, parse_pairs, read_usage

MB = 1 << 20


# -- limits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "one", "two"),
    [
        (Resources(), {}, {}),
        (
            Resources(memory=Memory(64 * MB)),
            {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "134217728"},
            {"memory.max": "67108864", "memory.swap.max": "67108864"},
        ),
        (
            Resources(memory=Memory(64 * MB, 64 * MB)),
            {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "67108864"},
            {"memory.max": "67108864", "memory.swap.max": "0"},
        ),
        (
            Resources(memory=Memory(64 * MB, -1)),
            {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "-1"},
            {"memory.max": "67108864", "memory.swap.max": "max"},
        ),
        (
            Resources(cpu=CPU(shares=1024, quota=50_000, cpus="0-1", mems="0")),
            {"cpu.shares": "1024", "cpu.cfs_quota_us": "50000", "cpuset.cpus": "0-1", "cpuset.mems": "0"},
            {"cpu.weight": "39", "cpu.max": "50000 100000", "cpuset.cpus": "0-1", "cpuset.mems": "0"},
        ),
        (
            Resources(cpu=CPU(period=10_000), pids=Pids(-1)),
            {"cpu.cfs_period_us": "10000", "pids.max": "max"},
            {"cpu.max": "max 10000", "pids.max": "max"},
        ),
        (
            Resources(memory=Memory(reservation=MB), block_io=BlockIO(1000)),
            {"memory.soft_limit_in_bytes": "1048576", "blkio.weight": "1000"},
            {"memory.low": "1048576", "io.weight": "10000"},
        ),
    ],
)
def test_what_is_written(resources, one, two):
    assert {write.file: write.value for write in v1_writes(resources)} == one
    assert {write.file: write.value for write in v2_writes(resources)} == two


def test_swap_that_nobody_spoke_of_is_optional():
    for writes in (v1_writes, v2_writes):
        assert [w.optional for w in writes(Resources(memory=Memory(MB)))] == [False, True]
        assert [w.optional for w in writes(Resources(memory=Memory(MB, MB)))] == [False, False]


def test_weights_keep_the_order_of_shares():
    assert (weight(2), weight(1024), weight(262144), weight(1), weight(10**9)) == (1, 39, 10000, 1, 10000)
    found = [weight(shares) for shares in range(2, 262145, 97)]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (Resources(memory=Memory(5 * MB)), "below 6 MB"),
        (Resources(memory=Memory(None, 64 * MB)), "needs --memory"),
        (Resources(memory=Memory(64 * MB, 63 * MB)), "less than --memory"),
        (Resources(cpu=CPU(cpus="0-")), "--cpuset-cpus 0-"),
        (Resources(cpu=CPU(mems="a")), "--cpuset-mems a"),
    ],
)
def test_what_cannot_be(resources, message):
    with pytest.raises(InvalidError, match=message):
        check(resources)


def test_what_can_be():
    check(Resources(memory=Memory(-1, -1), cpu=CPU(cpus="0-3,7", mems="0")))


# -- where they are ---------------------------------------------------------------------------------

UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
OLD = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
)
HYBRID = OLD + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
INSIDE = (  # a container of Docker on version 1, whose own group is the root of what is mounted
    "51 49 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    "52 49 0:33 /docker /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"
    "53 49 0:34 /other /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
)


@pytest.mark.parametrize(
    ("mountinfo", "cgroup", "expected"),
    [
        ("", "0::/\n", Hierarchies({})),
        (
            UNIFIED,
            "0::/user.slice/user-1000.slice/session-3.scope\n",
            Hierarchies({}, Place("/sys/fs/cgroup", "/user.slice/user-1000.slice/session-3.scope")),
        ),
        (UNIFIED, "0::/../../outside\n", Hierarchies({}, Place("/sys/fs/cgroup", None))),
        (
            HYBRID,
            "9:name=systemd:/\n4:memory:/a:b\n1:cpu,cpuacct:/\n0::/\n",
            Hierarchies(
                {
                    "cpu": Place("/sys/fs/cgroup/cpu,cpuacct", "/"),
                    "cpuacct": Place("/sys/fs/cgroup/cpu,cpuacct", "/"),
                    "memory": Place("/sys/fs/cgroup/memory", "/a:b"),
                },
                Place("/sys/fs/cgroup/unified", "/"),
            ),
        ),
        (
            INSIDE,
            "3:memory:/docker/abc\n2:pids:/docker/abc\n1:cpu:/docker/abc\n",
            Hierarchies(
                {
                    "memory": Place("/sys/fs/cgroup/memory", "/"),
                    "pids": Place("/sys/fs/cgroup/pids", "/abc"),
                    "cpu": Place("/sys/fs/cgroup/cpu", None),
                }
            ),
        ),
        (
            "30 23 0:26 / /mnt/with\\040space rw - cgroup2 none rw\nnonsense\n",
            "0::/x\n",
            Hierarchies({}, Place("/mnt/with space", "/x")),
        ),
    ],
)
def test_hierarchies(mountinfo, cgroup, expected):
    assert read_hierarchies(mountinfo, cgroup) == expected


# -- groups, on trees that behave as the kernel's ---------------------------------------------------


class Machine:
    """Directories with the files that the kernel makes; in those that are `denied` no group can be made."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.kernel = Kernel(self.make, self.remove)
        self.denied: set[Path] = set()

    def make(self, directory):
        if directory.parent in self.denied:
            raise PermissionError(errno.EACCES, "Permission denied", str(directory))
        os.mkdir(directory)
        (directory / "cgroup.procs").touch()
        self.fill(directory)

    def remove(self, directory):
        if (directory / "cgroup.procs").read_text():
            raise OSError(errno.EBUSY, "busy")
        for path in directory.iterdir():
            path.unlink()
        os.rmdir(directory)


class Old(Machine):
    FILES = (
        *("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control"),
        *("memory.max_usage_in_bytes", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
        *("cpuset.cpus", "cpuset.mems", "pids.max"),
    )

    def __init__(self, folder, *controllers) -> None:
        super().__init__(folder)
        for controller in controllers:
            (folder / controller / "ours").mkdir(parents=True)
            self.fill(folder / controller)
            self.fill(folder / controller / "ours")
        if "cpuset" in controllers:
            for place in (folder / "cpuset", folder / "cpuset/ours"):
                (place / "cpuset.cpus").write_text("0-7\n")
                (place / "cpuset.mems").write_text("0\n")

    def fill(self, directory):
        controller = directory.relative_to(self.folder).parts[0]
        for name in self.FILES:
            if name.startswith(f"{controller}."):
                (directory / name).touch()

    def found(self):
        return Hierarchies({path.name: Place(str(path), "/ours") for path in self.folder.iterdir()})


class New(Machine):
    KINDS = {  # noqa: RUF012 # a table
        "memory": ("memory.max", "memory.swap.max", "memory.events", "memory.peak"),
        "cpu": ("cpu.weight", "cpu.max"),
        "cpuset": ("cpuset.cpus", "cpuset.mems"),
        "pids": ("pids.max",),
    }

    def __init__(self, folder, *controllers, own="/app.slice/run.scope") -> None:
        super().__init__(folder)
        self.own = own
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text(" ".join(controllers))
        place = folder
        for part in ("", *Path(own).parts[1:]):
            place = place / part
            place.mkdir(exist_ok=True)
            (place / "cgroup.subtree_control").touch()
            (place / "cgroup.procs").touch()

    def fill(self, directory):
        (directory / "cgroup.subtree_control").touch()
        told = (directory.parent / "cgroup.subtree_control").read_text().replace("+", "").split()
        for controller in told:
            for name in self.KINDS[controller]:
                (directory / name).touch()

    def found(self):
        return Hierarchies({}, Place(str(self.folder), self.own))


def contents(directory):
    return {path.name: path.read_text() for path in directory.iterdir() if path.read_text()}


LIMITS = Resources(memory=Memory(64 * MB), cpu=CPU(shares=512, cpus="0"))


def test_version_1_has_a_directory_for_each_controller(tmp_path):
    machine = Old(tmp_path, "memory", "cpu", "cpuset", "pids")
    group = make_group(LIMITS, found=machine.found(), kernel=machine.kernel)
    assert set(group.directories) == {"memory", "cpu", "cpuset"}
    assert all(path.parent == tmp_path / name / "ours" for name, path in group.directories.items())
    assert contents(group.directories["memory"]) == {
        "memory.limit_in_bytes": "67108864",
        "memory.memsw.limit_in_bytes": "134217728",
    }
    # A new cpuset is empty: without both of its lists no process could be in it.
    assert contents(group.directories["cpuset"]) == {"cpuset.cpus": "0", "cpuset.mems": "0\n"}
    assert group.joins == tuple(f"{path}/cgroup.procs" for path in group.directories.values())
    group.delete()
    assert not list(tmp_path.rglob("tiffin-*"))


def test_version_2_has_one_beside_us_and_hands_controllers_down(tmp_path):
    machine = New(tmp_path, "memory", "cpu", "cpuset", "pids")
    group = make_group(Resources(memory=Memory(64 * MB)), found=machine.found(), kernel=machine.kernel)
    (directory,) = set(group.directories.values())
    assert directory.parent == tmp_path / "app.slice"
    assert contents(directory) == {"memory.max": "67108864", "memory.swap.max": "67108864"}
    assert (tmp_path / "app.slice/cgroup.subtree_control").read_text() == "+memory"
    assert group.joins == (f"{directory}/cgroup.procs",)
    group.delete()
    assert not directory.exists()


PIDS, MEMORY = (Writes.of(Resources(pids=Pids(5))), Writes.of(Resources(memory=Memory(64 * MB))))


@pytest.mark.parametrize("kind", [Old, New])
def test_a_group_grows_by_what_a_later_limit_needs_and_nothing_is_written(tmp_path, kind):
    machine = kind(tmp_path, "memory", "pids", "cpu")
    place = {"found": machine.found(), "kernel": machine.kernel}
    first = grown(None, PIDS, **place)
    assert set(first.directories) == {"pids"}
    assert grown(first, PIDS, **place) is first
    both = grown(first, MEMORY, **place)
    assert set(both.directories) == {"pids", "memory"}
    assert both.directories["pids"] == first.directories["pids"]
    assert contents(both.directories["pids"]) == contents(both.directories["memory"]) == {}
    # Of version 2 there is one directory for all, of version 1 one in each hierarchy.
    assert len(set(both.directories.values())) == (1 if kind is New else 2)
    with pytest.raises(UnsupportedError, match="cpuset"):
        grown(both, Writes.of(Resources(cpu=CPU(cpus="0"))), **place)
    both.delete()
    assert not list(tmp_path.rglob("tiffin-*"))


def test_nothing_is_told_twice(tmp_path):
    machine = New(tmp_path, "memory")
    for place in (tmp_path, tmp_path / "app.slice"):
        (place / "cgroup.subtree_control").write_text("memory")
        (place / "cgroup.subtree_control").chmod(0o400)
    make_group(Resources(memory=Memory(64 * MB)), found=machine.found(), kernel=machine.kernel)
    assert (tmp_path / "app.slice/cgroup.subtree_control").read_text() == "memory"


@pytest.mark.parametrize(
    ("number", "why"), [(errno.EACCES, "not delegated"), (errno.EBUSY, "processes in it")]
)
def test_a_group_that_hands_nothing_down(tmp_path, number, why, monkeypatch):
    machine = New(tmp_path, "memory")
    write = Path.write_text

    def refuse(path, text):
        if path == tmp_path / "app.slice/cgroup.subtree_control":
            raise OSError(number, os.strerror(number), str(path))
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(UnsupportedError, match=why) as caught:
        make_group(Resources(memory=Memory(64 * MB)), found=machine.found(), kernel=machine.kernel)
    assert "memory" in caught.value.message
    assert "systemd-run" in caught.value.hint
    assert not list(tmp_path.rglob("tiffin-*"))


def test_the_version_that_has_the_controllers_is_taken(tmp_path):
    old, new = Old(tmp_path / "old", "memory"), New(tmp_path / "new", "hugetlb")
    found = Hierarchies(old.found().v1, new.found().v2)
    group = make_group(Resources(memory=Memory(64 * MB)), found=found, kernel=old.kernel)
    assert group.directories["memory"].parent == tmp_path / "old/memory/ours"
    with pytest.raises(UnsupportedError) as caught:
        make_group(LIMITS, found=found, kernel=old.kernel)
    assert "cpu (v2: this hierarchy has only: hugetlb, v1: it is not mounted)" in caught.value.message
    assert "cpuset" in caught.value.message
    assert "memory" in caught.value.message  # no version has all three


def test_a_machine_without_any():
    with pytest.raises(UnsupportedError, match="none are mounted"):
        make_group(LIMITS, found=Hierarchies({}))


def test_a_place_that_is_not_ours(tmp_path):
    machine = Old(tmp_path, "memory", "cpu", "cpuset")
    machine.denied = {tmp_path / "cpu/ours"}
    with pytest.raises(UnsupportedError, match=r"controller cpu cannot be had .* not this account's"):
        make_group(LIMITS, found=machine.found(), kernel=machine.kernel)
    assert not list(tmp_path.rglob("tiffin-*"))


@pytest.mark.parametrize(
    ("error", "reason", "advice"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/g/x"), "not this account's", "run it as root"),
        (
            OSError(errno.EROFS, "Read-only file system", "/g/x"),
            "in /g: Read-only",
            "mount /sys/fs/cgroup writable",
        ),
    ],
)
def test_what_helps_against_a_place_without_groups(error, reason, advice):
    refusal = no_place("memory", error)
    assert reason in refusal.message
    assert advice in refusal.hint


def test_a_limit_that_the_kernel_does_not_know(tmp_path):
    machine = Old(tmp_path, "memory")
    machine.FILES = tuple(name for name in Old.FILES if "memsw" not in name)
    group = make_group(Resources(memory=Memory(64 * MB)), found=machine.found(), kernel=machine.kernel)
    group.delete()
    with pytest.raises(UnsupportedError, match=r"memory.memsw.limit_in_bytes cannot be set to 67108864"):
        make_group(Resources(memory=Memory(64 * MB, 64 * MB)), found=machine.found(), kernel=machine.kernel)
    assert not list(tmp_path.rglob("tiffin-*"))


def test_a_parent_is_seen_from_the_top_and_made(tmp_path):
    old = Old(tmp_path / "old", "memory", "cpuset")
    group = make_group(Resources(), "/builds/mine", found=old.found(), kernel=old.kernel)
    assert {path.parent for path in group.directories.values()} == {
        tmp_path / "old/memory/builds/mine",
        tmp_path / "old/cpuset/builds/mine",
    }
    new = New(tmp_path / "new", "pids", "memory")
    group = make_group(Resources(pids=Pids(5)), "builds", found=new.found(), kernel=new.kernel)
    assert group.directories["pids"].parent == tmp_path / "new/builds"
    assert contents(group.directories["pids"]) == {"pids.max": "5"}
    with pytest.raises(InvalidError, match="leads out"):
        make_group(Resources(), "a/../../b", found=old.found(), kernel=old.kernel)


def test_what_a_killed_builder_left_is_removed_and_nothing_else(tmp_path):
    machine = Old(tmp_path, "memory")
    gone = "tiffin-4194305"  # one more than there can be
    names = {f"tiffin-{os.getpid()}-a": True, f"{gone}-b": False, f"{gone}-c": True, "other": True}
    for name in names:
        machine.make(tmp_path / "memory/ours" / name)
    (tmp_path / f"memory/ours/{gone}-c/cgroup.procs").write_text("1")
    group = make_group(Resources(memory=Memory(64 * MB)), found=machine.found(), kernel=machine.kernel)
    group.delete()
    left = {path.name for path in (tmp_path / "memory/ours").iterdir() if path.is_dir()}
    assert left == {name for name, stays in names.items() if stays}


def test_a_parent_alone_is_that_of_the_version_with_memory(tmp_path):
    old, new = Old(tmp_path / "old", "memory"), New(tmp_path / "new", "hugetlb")
    group = make_group(Resources(), "p", found=Hierarchies(old.found().v1, new.found().v2), kernel=old.kernel)
    assert [path.parent for path in group.directories.values()] == [tmp_path / "old/memory/p"]
    with pytest.raises(UnsupportedError, match="none are mounted"):
        make_group(Resources(), "p", found=Hierarchies({}))


@pytest.mark.live
@pytest.mark.skipif(os.geteuid() != 0, reason="groups are root's")
def test_a_group_of_the_kernels_own():
    """Of version 2, which a machine may have beside version 1; without limits it is the same everywhere."""
    found = read_hierarchies(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
    if found.v2 is None:
        pytest.skip("cgroups of version 2 are not mounted")
    group = make_group(Resources(), "/tiffin-suite", found=Hierarchies({}, found.v2))
    (directory,) = set(group.directories.values())
    with subprocess.Popen(["sleep", "100"]) as process:
        for path in group.joins:
            Path(path).write_text(str(process.pid))
        told = Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()
        assert any(line.endswith(f"/tiffin-suite/{directory.name}") for line in told)
        process.kill()
    group.delete()
    directory.parent.rmdir()


def test_what_to_do_about_a_limit_that_is_not_there_and_one_that_is_not_taken(tmp_path):
    (tmp_path / "refused").mkdir()
    for file, why, hint in (("gone", "no such limit", "kernel"), ("refused", "directory", "tightened")):
        with pytest.raises(UnsupportedError, match=why) as caught:
            write_limits({"io": tmp_path}, [Write("io", file, "5")])
        assert hint in caught.value.hint


# -- what was used ----------------------------------------------------------------------------------


def test_usage_of_both_versions(tmp_path):
    assert read_usage({}) == read_usage({"memory": tmp_path}) == Usage()
    (tmp_path / "memory.max_usage_in_bytes").write_text("123\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert read_usage({"memory": tmp_path}) == Usage(123, 2)
    (tmp_path / "memory.peak").write_text("456\n")
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 1\noom_kill 3\n")
    assert read_usage({"memory": tmp_path}) == Usage(456, 3)


def test_events():
    assert parse_pairs("a 1\nb x\nc\n\nd 2 3\ne 4") == {"a": 1, "e": 4}
    assert Write("c", "f", "v").optional is False
