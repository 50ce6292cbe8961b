"""What a container can see and do, asked from inside (rung root)."""

import os
import re
import stat
from pathlib import Path

import pytest

from tiffin.errors import FailedError, UnsupportedError
from tiffin.linux import namespace
from tiffin.oci.runtimespec import Mount, Rlimit
from tiffin.runtime.child import Streams
from tiffin.runtime.launch import launch
from tiffin.runtime.model import Rootfs
from tiffin.runtime.program import overwritable
from tiffin.runtime.users import User

pytestmark = pytest.mark.live


def test_only_its_own_processes_are_seen(box):
    result = box.shell("echo $$; ls -d /proc/[0-9]* | wc -l")
    assert result.output.split()[0] == "1"
    assert int(result.output.split()[1]) <= 3


def test_root_inside_is_nobody_outside(box):
    child, read = box.start(box.plan("sleep", "100"))
    try:
        status = Path(f"/proc/{child.pid}/status").read_text()
        assert re.search(r"^Uid:\s+100000\s+100000\s+100000\s+100000$", status, re.MULTILINE)
        assert re.search(r"^Gid:\s+100000\s+100000\s+100000\s+100000$", status, re.MULTILINE)
        for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            assert os.readlink(f"/proc/{child.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    finally:
        child.end()
        os.close(read)


def test_files_lie_on_disk_with_their_true_owners(box):
    result = box.shell(
        "touch /root-file && touch /other && chown 33:44 /other && stat -c %u:%g /bin/busybox /other"
    )
    assert result == (0, "0:0\n33:44\n")
    assert (os.stat(box.upper / "root-file").st_uid, os.stat(box.upper / "root-file").st_gid) == (0, 0)
    assert (os.stat(box.upper / "other").st_uid, os.stat(box.upper / "other").st_gid) == (33, 44)


def test_the_lower_layer_is_not_written(box):
    assert box.shell("echo changed > /etc/passwd; rm /bin/tty; cat /etc/passwd").output == "changed\n"
    assert (box.layer / "etc/passwd").read_text().startswith("root")
    assert (box.layer / "bin/tty").is_symlink()
    whiteout = os.lstat(box.upper / "bin/tty")
    assert stat.S_ISCHR(whiteout.st_mode)
    assert whiteout.st_rdev == 0


def test_nothing_of_the_host_is_mounted(box):
    mounts = [line.split() for line in box.run("cat", "/proc/self/mounts").output.splitlines()]
    points = [fields[1] for fields in mounts]
    assert mounts[0][2] == "overlay"
    assert len(points) == len(set(points))
    allowed = re.compile(r"/(proc|sys|dev)(/.*)?|/")
    assert all(allowed.fullmatch(point) for point in points)
    assert {"/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"} <= set(points)


def test_the_root_cannot_be_left(box):
    escape = box.shell(
        "cd /; ls -d /../../../work /proc/1/root/work /proc/self/cwd/../work 2>&1; ls /proc/1/root/bin/sh"
    )
    assert escape.output.count("No such file") == 3
    assert escape.output.endswith("/proc/1/root/bin/sh\n")


def test_the_host_name_is_its_own(box):
    before = os.uname().nodename
    assert box.run("hostname").output == "box\n"
    assert box.run("hostname", "other").status != 0
    assert os.uname().nodename == before


def test_the_network_is_its_own(box):
    links = re.findall(r"^\d+: ([^:@]+)", box.run("ip", "link").output, re.MULTILINE)
    assert links == ["lo"]
    values = box.run(
        "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/net/ipv4/ping_group_range"
    )
    assert values.output.split() == ["0", "0", "65535"]


def test_the_network_of_the_host_when_asked(box):
    result = box.shell("readlink /proc/self/ns/net; ls /sys/class/net; touch /sys/x", network="host")
    assert result.output.splitlines()[0] == os.readlink("/proc/self/ns/net")
    assert set(os.listdir("/sys/class/net")) <= set(result.output.split())
    assert result.status != 0


def test_the_network_of_another_container(box):
    child, read = box.start(box.plan("sleep", "100"))
    try:
        path = f"/proc/{child.pid}/ns/net"
        own = os.readlink("/proc/self/ns/net")
        assert box.run("readlink", "/proc/self/ns/net", network=path).output.strip() == os.readlink(path)
        assert os.readlink("/proc/self/ns/net") == own
    finally:
        child.end()
        os.close(read)


def test_shared_memory_and_queues_are_its_own(box):
    result = box.shell("df -k /dev/shm | grep shm; ls /dev/mqueue; cat /proc/self/mounts | grep ' /dev/shm '")
    assert result.output.split()[1] == str((2 << 30) // 2 // 1024)
    assert box.shell("df -k /dev/shm | grep shm", shm_size=64 << 20).output.split()[1] == "65536"


def test_what_tells_about_the_host_is_hidden(box):
    result = box.shell(
        "for f in kcore keys timer_list interrupts; do cat /proc/$f 2>/dev/null | wc -c; done;"
        "ls /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | grep -v : | wc -w"
    )
    assert result.output.split() == ["0", "0", "0", "0", "0"]


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/hostname",
        "/proc/irq/default_smp_affinity",
        "/proc/sys/vm/swappiness",
        "/sys/kernel/uevent_helper",
    ],
)
def test_what_acts_on_the_host_is_read_only(box, path):
    result = box.shell(f"echo 1 > {path}")
    assert "Read-only file system" in result.output


@pytest.mark.parametrize(
    "command",
    [
        "mount -o remount,rw /sys",
        "umount /sys/firmware",
        "umount /proc/kcore",
        "mount -t tmpfs t /tmp",
        "umount /",
    ],
)
def test_mounts_cannot_be_changed(box, command):
    before = box.run("cat", "/proc/self/mounts").output
    result = box.shell(f"{command}; cat /proc/self/mounts")
    assert "denied" in result.output or "not permitted" in result.output
    assert result.output.endswith(before[before.index("/proc ") :])


def test_capabilities_are_dockers(box):
    lines = dict(line.split(":\t") for line in box.run("cat", "/proc/self/status").output.splitlines())
    assert lines["CapBnd"] == lines["CapEff"] == lines["CapPrm"] == "00000000a80425fb"
    assert lines["CapInh"] == lines["CapAmb"] == "0000000000000000"
    assert lines["NoNewPrivs"] == "1"
    assert lines["Seccomp"] == "2"


def test_a_user_has_no_capabilities(box):
    result = box.shell("id; cat /proc/self/status", user=User(33, 44, (55, 66)))
    lines = dict(line.split(":\t") for line in result.output.splitlines()[1:])
    assert result.output.startswith("uid=33 gid=44 groups=44,55,66")
    assert lines["CapEff"] == lines["CapPrm"] == lines["CapAmb"] == "0000000000000000"
    assert lines["CapBnd"] == "00000000a80425fb"


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("user", [User(0, 0), User(1000, 1000)])
def test_the_filter_is_loaded_for_everyone(box, user, no_new_privileges):
    result = box.shell(
        "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; unshare -m true",
        user=user,
        no_new_privileges=no_new_privileges,
    )
    assert f"NoNewPrivs:\t{int(no_new_privileges)}" in result.output
    assert "Seccomp:\t2" in result.output
    assert "Operation not permitted" in result.output


def test_privileged_has_all_but_the_host(box):
    result = box.shell(
        "grep CapEff /proc/self/status; mount -t tmpfs t /tmp && echo mounted", privileged=True
    )
    assert "CapEff:\t000001ffffffffff" in result.output
    assert "mounted" in result.output
    refused = box.shell("mknod /d b 8 0 && head -c1 /d; echo 1 > /proc/sysrq-trigger", privileged=True)
    assert refused.status != 0


def test_devices_work_and_others_cannot_be_made(box):
    result = box.shell(
        "head -c 4 /dev/zero | wc -c; echo x > /dev/null; head -c 2 /dev/urandom | wc -c; "
        "echo x > /dev/full; mknod /d c 1 3; echo; ls /dev"
    )
    assert result.output.split()[:2] == ["4", "2"]
    assert "No space left" in result.output
    assert "mknod: /d: Operation not permitted" in result.output
    names = "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    assert result.output.rpartition("\n\n")[2].split() == names.split()


def test_only_the_three_streams_are_open(box, tmp_path):
    leak = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        result = box.shell("ls /proc/$$/fd; true")
    finally:
        os.close(leak)
    assert result.output.split() == ["0", "1", "2"]


def test_the_environment_is_what_was_asked_for(box, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    result = box.run("env", env=("A=1",))
    assert sorted(result.output.split()) == [
        "A=1",
        "HOME=/root",
        "HOSTNAME=box",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]


def test_signals_have_their_defaults(box):
    lines = dict(line.split(":\t") for line in box.run("cat", "/proc/self/status").output.splitlines())
    assert {lines[name] for name in ("SigBlk", "SigIgn", "SigCgt")} == {"0000000000000000"}


def test_streams_can_be_opened_again_by_name(box):
    for user in (User(0, 0), User(33, 33)):
        assert (
            box.shell("echo hello > /dev/stdout; echo well > /dev/stderr", user=user).output
            == "hello\nwell\n"
        )


def test_a_readonly_root_with_writable_mounts(box):
    result = box.shell("touch /x; touch /dev/shm/y && echo shm", readonly=True)
    assert "touch: /x: Read-only file system" in result.output
    assert "shm" in result.output


def test_a_volume_keeps_the_owners_of_the_host(box, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "theirs").write_text("host")
    os.chown(volume / "theirs", 1000, 1000)
    mount = Mount("/data/deep", "bind", str(volume), ("rbind", "idmap"))
    result = box.shell("stat -c %u:%g /data/deep/theirs; echo new > /data/deep/new", mounts=(mount,))
    assert result == (0, "1000:1000\n")
    assert (os.stat(volume / "new").st_uid, (volume / "new").read_text()) == (0, "new\n")


def test_a_read_only_volume_is_read_only_all_the_way_down(box, tmp_path):
    volume = tmp_path / "volume"
    (volume / "below").mkdir(parents=True)
    os.system(f"mount -t tmpfs none {volume}/below")
    try:
        mount = Mount("/data", "bind", str(volume), ("rbind", "rro"))
        result = box.shell(
            "touch /data/x; touch /data/below/x; mount -o remount,rw,bind /data", mounts=(mount,)
        )
        shallow = Mount("/data", "bind", str(volume), ("rbind", "ro"))
        only_the_top = box.shell("touch /data/x; touch /data/below/x && echo written", mounts=(shallow,))
    finally:
        os.system(f"umount {volume}/below")
    assert result.output.count("Read-only file system") == 2
    assert result.status != 0
    assert only_the_top.output.count("Read-only file system") == 1
    assert "written" in only_the_top.output


def test_a_file_can_be_a_volume(box, tmp_path):
    (tmp_path / "hosts").write_text("1.2.3.4 somewhere\n")
    mount = Mount("/etc/hosts", "bind", str(tmp_path / "hosts"), ("bind", "ro"))
    assert box.run("cat", "/etc/hosts", mounts=(mount,)).output == "1.2.3.4 somewhere\n"


@pytest.mark.parametrize("link", ["/etc/victim", "../../../../etc/victim", "/proc/self/root/etc/victim"])
def test_a_symlinked_target_does_not_lead_out(box, tmp_path, link):
    """The image's link is resolved in the image; where it points on the host nothing appears."""
    second = tmp_path / "hostile"
    (second / "srv").mkdir(parents=True)
    (second / "srv/data").symlink_to(link)
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/mine").write_text("x")
    mount = Mount("/srv/data", "bind", str(tmp_path / "volume"), ("rbind",))
    upper, work = tmp_path / "w/upper", tmp_path / "w/work"
    upper.mkdir(parents=True)
    work.mkdir()
    rootfs = Rootfs((str(second), str(box.layer)), str(upper), str(work))
    if "self/root" in link:
        with pytest.raises(FailedError, match="/srv/data"):  # a magic link, refused outright
            box.run("true", mounts=(mount,), rootfs=rootfs)
    else:
        assert box.run("ls", "/etc/victim", mounts=(mount,), rootfs=rootfs).output == "mine\n"
    assert not os.path.exists("/etc/victim")


def _hostile(box, tmp_path, link):
    """The image of `box` with a layer over it, in which /srv/data is the link."""
    second = tmp_path / "hostile"
    (second / "srv").mkdir(parents=True)
    (second / "srv/data").symlink_to(link)
    upper, work = tmp_path / "w/upper", tmp_path / "w/work"
    upper.mkdir(parents=True)
    work.mkdir()
    return Rootfs((str(second), str(box.layer)), str(upper), str(work))


@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("/proc/sys", "/srv/data"),
        ("/proc/1", "/srv/data/net"),
        ("../proc/../proc/sys/kernel", "/srv/data"),
        ("/srv", "/proc/sys/fs"),
        ("/srv", "/srv/data/../proc/irq"),
    ],
)
def test_nothing_is_mounted_in_proc(box, tmp_path, link, target, kind):
    (tmp_path / "volume").mkdir()
    mount = Mount(target, kind, str(tmp_path / "volume"), ("rbind",) if kind == "bind" else ())
    with pytest.raises(FailedError, match="the target is in /proc, where nothing can be mounted") as caught:
        box.run("true", mounts=(mount,), rootfs=_hostile(box, tmp_path, link))
    assert caught.value.exit_status == 125


def test_what_a_volume_contains_does_not_lead_into_proc(box, tmp_path):
    """A container made the link in the volume; the next one has a mount below that."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/inner").symlink_to("/proc/self/fd")
    (tmp_path / "volume/deep").symlink_to("/etc")
    mounts = (
        Mount("/data", "bind", str(tmp_path / "volume"), ("rbind",)),
        Mount("/data/deep/mine", "tmpfs", "tmpfs", ()),
    )
    assert "/etc/mine" in box.run("cat", "/proc/mounts", mounts=mounts).output
    assert not os.path.exists("/etc/mine")
    mounts = (*mounts[:1], Mount("/data/inner", "tmpfs", "tmpfs", ()))
    with pytest.raises(FailedError, match="/data/inner"):
        box.run("true", mounts=mounts)


def test_files_of_proc_that_tell_of_the_machine_may_be_covered(box, tmp_path):
    (tmp_path / "cpuinfo").write_text("one old vine\n")
    mount = Mount("/proc/cpuinfo", "bind", str(tmp_path / "cpuinfo"), ("bind", "ro"))
    assert box.run("cat", "/proc/cpuinfo", mounts=(mount,)).output == "one old vine\n"


def test_a_file_is_no_place_for_a_directory_and_the_reverse(box, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for source, target, message in (
        ("folder", "/etc/passwd", "what is mounted there is a directory, the target is not: /etc/passwd"),
        ("file", "/etc", "what is mounted there is a file, the target is not: /etc"),
    ):
        mount = Mount(target, "bind", str(tmp_path / source), ("bind",))
        with pytest.raises(FailedError, match=message):
            box.run("true", mounts=(mount,))


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_an_image_cannot_move_proc_sys_or_dev(box, tmp_path, name):
    second = tmp_path / "hostile"
    (second / "elsewhere").mkdir(parents=True)
    (second / name).symlink_to("elsewhere")
    upper, work = tmp_path / "w/upper", tmp_path / "w/work"
    upper.mkdir(parents=True)
    work.mkdir()
    with pytest.raises(FailedError, match=f"/{name}") as caught:
        box.run("true", rootfs=Rootfs((str(second), str(box.layer)), str(upper), str(work)))
    assert caught.value.exit_status == 125


def test_the_interpreter_of_the_host_is_out_of_reach(box):
    """Neither the program itself nor a script may be the way to the binary that started the container."""
    (box.layer / "bin/evil").write_text("#!/proc/self/exe\n")
    (box.layer / "bin/evil").chmod(0o755)
    try:
        for command in ("/proc/self/exe", "evil", "/proc/1/exe"):
            with pytest.raises(FailedError, match="runtime itself") as caught:
                box.run(command)
            assert caught.value.exit_status == 126
        child, read = box.start(
            box.plan("sh", "-c", "for p in /proc/[0-9]*; do readlink $p/exe; done | sort -u")
        )
        child.wait()
    finally:
        (box.layer / "bin/evil").unlink()
    assert box.drain(read) == "/bin/busybox\n"


def test_root_inside_may_not_write_to_the_interpreter(box):
    """On the rung root the owner of the interpreter is nobody in the container; here it is still somebody."""
    interpreter = os.open("/proc/self/exe", os.O_PATH)
    try:
        assert overwritable(interpreter)
        mapped, write = os.pipe()
        child, pidfd = namespace.clone(namespace.NEWUSER)
        if child == 0:
            os.read(mapped, 1)
            os.setresuid(0, 0, 0)
            os._exit(overwritable(interpreter))
        namespace.write_maps(child, box.place.ids, box.place.ids)
        os.write(write, b"1")
        for fd in (mapped, write, pidfd):
            os.close(fd)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        os.close(interpreter)


def test_limits_and_oom_score(box):
    result = box.shell(
        "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj",
        rlimits=(Rlimit("RLIMIT_NOFILE", 1234, 4567),),
        oom_score_adj=500,
    )
    assert result.output.split() == ["1234", "4567", "500"]


def test_sysctls(box):
    result = box.run("cat", "/proc/sys/net/core/somaxconn", sysctls=(("net.core.somaxconn", "777"),))
    assert result.output == "777\n"
    with pytest.raises(FailedError, match=r"vm\.swappiness"):
        box.run("true", sysctls=(("vm.swappiness", "1"),))


def test_many_layers(box, tmp_path):
    """More layers than one page of options, or the older limit of 128 in image builders, would hold."""
    lowers = []
    for number in range(150):
        folder = tmp_path / f"a-rather-long-name-of-a-layer-directory-{number:04}"
        folder.mkdir()
        (folder / "top").write_text(str(number))
        (folder / f"only-{number}").touch()
        lowers.append(str(folder))
    upper, work = tmp_path / "w/upper", tmp_path / "w/work"
    upper.mkdir(parents=True)
    work.mkdir()
    rootfs = Rootfs((*lowers, str(box.layer)), str(upper), str(work), volatile=True)
    assert box.shell("cat /top; ls / | grep -c only", rootfs=rootfs).output == "0150\n"


def test_layers_given_by_path(box):
    """As on kernels before 6.15, which do not take layers as descriptors."""
    from tiffin.runtime.roots import OverlayRoot

    plan = box.plan("sh", "-c", "echo x > /y; cat /y; mount | wc -l")
    normal = box.run("sh", "-c", "mount | wc -l").output
    steps = tuple(
        step._replace(by_path=True) if isinstance(step, OverlayRoot) else step for step in plan.steps
    )
    child, read = box.start(plan._replace(steps=steps))
    assert box.drain(read) == "x\n" + normal
    assert child.wait() == 0


def test_one_directory_is_a_root_without_an_overlay(box, tmp_path):
    import shutil

    full = tmp_path / "full"
    shutil.copytree(box.layer, full, symlinks=True)
    for name in ("proc", "sys", "dev", "root"):
        (full / name).mkdir()
    result = box.shell("touch /x; id", rootfs=Rootfs((str(full),)))
    assert "Read-only file system" in result.output
    assert "uid=0" in result.output


def test_two_layers_without_a_writable_one(box, tmp_path):
    top = tmp_path / "top"
    for name in ("proc", "sys", "dev"):
        (top / name).mkdir(parents=True)
    result = box.shell("touch /x; ls /etc", rootfs=Rootfs((str(top), str(box.layer))))
    assert "Read-only file system" in result.output
    assert "passwd" in result.output


def test_processes_of_the_host_when_asked(box):
    result = box.shell(
        f"ls -d /proc/{os.getpid()}; echo $$; cat /proc/kcore | wc -c; echo 1 > /proc/sys/vm/swappiness",
        pid="host",
    )
    assert result.output.split()[0] == f"/proc/{os.getpid()}"
    assert int(result.output.split()[1]) > 1
    assert "Read-only file system" in result.output


def test_shared_memory_of_the_host_when_asked(box):
    name = f"tiffin-test-{os.getpid()}"
    Path("/dev/shm", name).write_text("shared")
    try:
        assert box.run("cat", f"/dev/shm/{name}", ipc="host").output == "shared"
    finally:
        Path("/dev/shm", name).unlink()


def test_a_file_system_that_cannot_map_owners_is_named(box):
    with pytest.raises(UnsupportedError, match="/proc/self/fdinfo") as caught:
        box.run("true", mounts=(Mount("/x", "bind", "/proc/self/fdinfo", ("bind", "idmap")),))
    assert caught.value.exit_status == 125
    assert caught.value.hint


def test_a_terminal_belongs_to_its_user(box):
    child = launch(
        box.plan(
            "sh", "-c", "echo by name > /dev/stdout; stat -c %u $(tty)", user=User(33, 33), terminal=True
        ),
        Streams(terminal=(24, 80)),
    )
    output = b""
    while True:
        try:
            output += os.read(child.console, 1000)
        except OSError:
            break
    assert output.split() == [b"by", b"name", b"33"]
    assert child.wait() == 0
    os.close(child.console)
