# ruff: noqa: E501  # a table reads best with one case a line
import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from tiffin.errors import CorruptError, UnsupportedError
from tiffin.layer import whiteout
from tiffin.layer.apply import apply
from tiffin.layer.describe import describe
from tiffin.layer.owners import OWNER, RecordedModes, RecordedOwners, TrueOwners
from tiffin.layer.tar import open_tar
from tiffin.layer.tree import CAPABILITY, kept_xattrs, scan

root = pytest.mark.skipif(os.geteuid() != 0, reason="true owners need root")


def sample():
    """A tar with every kind of entry and many owners."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, fields in [
            ("d", tarfile.DIRTYPE, {"uid": 33, "gid": 34, "mode": 0o2750}),
            ("d/f", tarfile.REGTYPE, {"uid": 3_000_000, "gid": 1, "mode": 0o4755}),
            ("d/hard", tarfile.LNKTYPE, {"linkname": "d/f"}),
            ("disk", tarfile.BLKTYPE, {"uid": 0, "gid": 6, "mode": 0o660, "devmajor": 8, "devminor": 1}),
            ("empty", tarfile.REGTYPE, {"uid": 5}),
            ("fifo", tarfile.FIFOTYPE, {"mode": 0o600}),
            ("link", tarfile.SYMTYPE, {"linkname": "d"}),
            ("null", tarfile.CHRTYPE, {"mode": 0o666, "devmajor": 1, "devminor": 3}),
            ("plain", tarfile.REGTYPE, {}),
            ("shut", tarfile.DIRTYPE, {"uid": 7, "mode": 0o555}),
            ("shut/secret", tarfile.REGTYPE, {"mode": 0}),
            ("shut/sudoers", tarfile.REGTYPE, {"gid": 8, "mode": 0o440}),
            (".wh.gone", tarfile.REGTYPE, {}),
        ]:
            info = tarfile.TarInfo(name)
            info.type = kind
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info)
    return out.getvalue()


def unpack(base, owners):
    base.mkdir()
    apply(io.BytesIO(sample()), base, owners)
    return {entry.path: entry for entry in scan(base, owners)}


@root
@pytest.mark.parametrize("owners", [RecordedOwners(), RecordedModes()])
def test_recorded_owners_describe_the_layer_that_true_owners_describe(tmp_path, owners):
    true, recorded = unpack(tmp_path / "t", TrueOwners()), unpack(tmp_path / "r", owners)
    assert describe(tmp_path / "t", TrueOwners())[:2] == describe(tmp_path / "r", owners)[:2]
    assert [entry[:7] for entry in true.values()] == [entry[:7] for entry in recorded.values()]


def test_recorded_owners_change_nothing_on_disk(tmp_path):
    found = unpack(tmp_path / "r", RecordedOwners())
    for path, entry in found.items():
        status = (tmp_path / "r" / path).lstat()
        assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
        assert entry.kind == "whiteout" or (not stat.S_ISBLK(status.st_mode) and status.st_rdev == 0)
    assert (found["d/f"].uid, found["d/f"].mode) == (3_000_000, 0o4755)
    assert (found["disk"].kind, found["disk"].device, found["disk"].mode) == (
        "block",
        os.makedev(8, 1),
        0o660,
    )
    assert (found["null"].kind, found["null"].device) == ("char", os.makedev(1, 3))


def test_what_belongs_to_root_needs_no_record(tmp_path):
    unpack(tmp_path / "r", RecordedOwners())
    assert os.listxattr(tmp_path / "r" / "plain") == []
    assert os.getxattr(tmp_path / "r" / "empty", OWNER) == b"5:0"


def test_a_record_can_be_changed_back(tmp_path):
    owners, path = RecordedOwners(), tmp_path / "f"
    path.touch()
    for uid, gid in ((5, 6), (0, 0), (7, 0)):
        owners.change(str(path), uid, gid)
        assert owners.read(str(path), path.lstat()) == (uid, gid)


def test_modes_that_shut_us_out_are_recorded(tmp_path):
    owners, path, directory = RecordedModes(), tmp_path / "f", tmp_path / "d"
    path.touch()
    directory.mkdir()
    owners.change(str(path), 5, 6)
    for mode, disk in ((0o440, 0o640), (0, 0o600), (0o6755, 0o6755), (0o4111, 0o4711)):
        owners.set_mode(str(path), mode)
        assert (path.stat().st_mode & 0o7777, owners.mode(str(path), path.lstat())) == (disk, mode)
        assert owners.read(str(path), path.lstat()) == (5, 6)
    owners.set_mode(str(directory), 0o1555)
    assert directory.stat().st_mode & 0o7777 == 0o1755
    assert owners.mode(str(directory), directory.lstat()) == 0o1555


def test_what_a_container_has_shut_is_opened_and_looks_as_before(tmp_path):
    owners, inner = RecordedModes(), tmp_path / "d/inner"
    inner.mkdir(parents=True)
    (inner / "f").touch()
    (inner / "l").symlink_to("f")
    for path, mode in ((inner / "f", 0), (inner, 0o555), (inner.parent, 0o500)):
        path.chmod(mode)
    owners.open_up(str(inner.parent), below=True)
    shown = {path: owners.mode(str(path), path.lstat()) for path in (inner.parent, inner, inner / "f")}
    assert shown == {inner.parent: 0o500, inner: 0o555, inner / "f": 0}
    assert [path.stat().st_mode & 0o777 for path in shown] == [0o700, 0o755, 0o600]


def test_a_device_that_was_made_has_the_mode_that_it_gets_later(tmp_path):
    owners, path = RecordedModes(), str(tmp_path / "disk")
    owners.make_node(path, stat.S_IFBLK | 0o600, os.makedev(8, 1))
    owners.change(path, 0, 6)
    owners.set_mode(path, 0o040)
    found = [(entry.kind, entry.mode, entry.gid) for entry in scan(tmp_path, owners) if entry.path]
    assert found == [("block", 0o040, 6)]


def test_file_capabilities_are_recorded(tmp_path):
    owners, path = RecordedModes(), str(tmp_path / "ping")
    (tmp_path / "ping").touch()
    owners.set_attribute(path, CAPABILITY, b"\x01\0\0\x02" + bytes(16))
    assert kept_xattrs(path) == {CAPABILITY: b"\x01\0\0\x02" + bytes(16)}
    assert os.listxattr(path) == ["user.tiffin.capability"]


@pytest.mark.parametrize(
    "text", [b"", b"root:root", b"1", b"-1:0", b"1:4294967295", b"0:0:x:0", b"0:0:020666", b"1:2:3:4:5"]
)
def test_a_record_that_is_none_is_corrupt(tmp_path, text):
    path = tmp_path / "f"
    path.touch()
    os.setxattr(path, OWNER, text)
    with pytest.raises(CorruptError, match="no owner"):
        RecordedOwners().read(str(path), path.lstat())


@root
def test_where_devices_are_forbidden_something_stands_for_them(tmp_path, monkeypatch):
    mknod = os.mknod

    def refuse(path, mode=0o600, device=0, *, dir_fd=None):
        if stat.S_IFMT(mode) in (stat.S_IFCHR, stat.S_IFBLK) and device:
            raise PermissionError(1, "no devices here", path)
        mknod(path, mode, device, dir_fd=dir_fd)

    real = describe_in(tmp_path / "real")
    monkeypatch.setattr(os, "mknod", refuse)
    assert describe_in(tmp_path / "stand-in") == real
    assert (tmp_path / "stand-in" / "disk").is_file()
    assert (tmp_path / "real" / "disk").is_block_device()


def describe_in(base):
    unpack(base, TrueOwners())
    return describe(base, TrueOwners())[:2]


def test_an_id_that_is_not_mapped_is_explained(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(UnsupportedError, match="70000:0") as caught:
        TrueOwners().change(str(tmp_path), 70000, 0)
    assert "/etc/subuid" in caught.value.hint


def test_a_whiteout_as_a_file_where_no_node_can_be_made(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(1, "no nodes here")

    monkeypatch.setattr(os, "mknod", refuse)
    tmp_path.chmod(0o755)
    apply(io.BytesIO(sample_whiteout()), tmp_path, RecordedOwners())
    host = str(tmp_path / "d" / "gone")
    assert whiteout.is_whiteout(host, os.lstat(host))
    assert os.getxattr(tmp_path / "d", whiteout.OPAQUE) == b"x"
    assert not whiteout.is_opaque(str(tmp_path / "d"))
    with open_tar(tmp_path, RecordedOwners()) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        assert archive.getnames() == ["d", "d/.wh.gone"]


def sample_whiteout():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("d/.wh.gone"))
    return out.getvalue()


AS_USER = """
import io, os, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from tiffin.layer.apply import apply
from tiffin.layer.describe import describe
from tiffin.layer.owners import RecordedModes, RecordedOwners
from tiffin.store.home import Home
owners = RecordedOwners() if sys.argv[4] == "0" else RecordedModes()
base = Path(sys.argv[3]) / "layer"
base.mkdir()
assert str(os.geteuid()) == sys.argv[4]
apply(io.BytesIO(sys.stdin.buffer.read()), base, owners)
print(describe(base, owners).diff_id)
"""


@pytest.mark.live
@root
@pytest.mark.parametrize(
    ("inside", "who"), [(("unshare", "--user", "--map-root-user"), "0"), ((), "4242")], ids=["one-id", "none"]
)
def test_a_user_gets_the_same_digest(tmp_path, inside, who):
    python = "/usr/bin/python3"
    version = "import sys; sys.exit(sys.version_info < (3, 11))"
    if not Path(python).exists() or subprocess.run([python, "-c", version], check=False).returncode:
        pytest.skip("no Python 3.11 that other users may run")
    unpack(tmp_path / "t", TrueOwners())
    place = tmp_path / "user"
    place.mkdir()
    os.chown(place, 4242, 4242)
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    import msgspec

    import tiffin

    source, libraries = Path(tiffin.__file__).parents[1], Path(msgspec.__file__).parents[1]
    done = subprocess.run(
        ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", *inside,
         python, "-c", AS_USER, source, libraries, place, who],
        input=sample(), capture_output=True, check=False,
    )  # fmt: skip
    if b"Operation not permitted" in done.stderr and b"unshare" in done.stderr:
        pytest.skip("users may not create namespaces here")
    if b"ModuleNotFoundError" in done.stderr or b"PermissionError" in done.stderr:
        pytest.skip("other users cannot read this installation")
    assert done.stdout.decode().strip() == describe(tmp_path / "t", TrueOwners()).diff_id, (
        done.stderr.decode()
    )


@pytest.mark.live
@root
def test_an_overlay_makes_the_layer_that_normalising_promises(tmp_path):
    """A real mount: what the kernel leaves in the upper directory says only what was changed."""
    script = r"""
        set -e; cd "$1"; mkdir lower upper work merged
        mkdir -p lower/etc/apt lower/var/cache lower/opt/old; echo 1 > lower/etc/f; echo 1 > lower/gone; echo 1 > lower/opt/old/x
        mount -t overlay overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work merged
        echo 2 > merged/etc/f; rm merged/gone; mkdir merged/new; echo n > merged/new/n
        touch merged/var/cache/tmp; rm merged/var/cache/tmp
        rm -r merged/opt/old; mkdir merged/opt/old; echo y > merged/opt/old/y
        chmod 700 merged/etc/apt; umount merged
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no overlay here: {done.stderr.strip()}")
    from tiffin.layer.diff import normalise

    def below(path):
        try:
            return os.lstat(tmp_path / "lower" / path)
        except FileNotFoundError:
            return None

    normalise(
        tmp_path / "upper",
        below,
        1_900_000_000,
        TrueOwners(),
        place=lambda path: str(tmp_path / "lower" / path),
    )
    with (
        open_tar(tmp_path / "upper", TrueOwners()) as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        found = {member.name: member.mtime for member in archive}
    whiteouts = [".wh.gone", "opt/old/.wh..wh..opq"]
    plain = ["etc", "etc/apt", "etc/f", "new", "new/n", "opt", "opt/old", "opt/old/y"]
    assert sorted(found) == sorted(whiteouts + plain)
    assert {found[name] for name in plain} == {1_900_000_000}
    assert {found[name] for name in whiteouts} == {0}
