import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.suites.trees import build, picture

from tiffin.errors import FailedError, UnsupportedError
from tiffin.layer.describe import describe
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.layer.tar import entry_header, open_tar, write_tar
from tiffin.layer.tree import Entry, scan
from tiffin.linux.files import RootPath
from tiffin.oci.digest import DiffID

# Where only root owns what root makes, everybody else records it.
OWNERS = TrueOwners() if os.geteuid() == 0 else RecordedOwners()
root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and device nodes need root")

# VFS_CAP_REVISION_2 with cap_net_bind_service, effective (linux/capability.h)
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
EVERYTHING = {
    "etc": ("dir", None, {"mode": 0o755, "mtime": 1_600_000_000_999_999_999}),
    "etc/passwd": ("file", b"root:x:0:0\n", {"mtime": 1_600_000_001_123_456_789}),
    "etc/same": ("hard", "etc/passwd", {}),
    "empty": ("file", b"", {}),
    "block-size": ("file", b"b" * 512, {}),
    "large": ("file", b"0123456789abcdef" * 90_000, {}),
    "line\nbreak": ("file", b"newline", {}),
    os.fsdecode(b"latin-\xe9"): ("file", b"not utf-8", {}),
    "unicode-é-漢": ("file", b"utf-8", {}),
    "n" * 101: ("file", b"101", {}),
    "m" * 255: ("file", b"255", {}),
    "p" * 120: ("dir", None, {}),
    f"{'p' * 120}/{'q' * 90}": ("file", b"fits with a prefix", {}),
    f"{'p' * 120}/{'r' * 130}": ("file", b"does not", {}),
    f"{'p' * 120}/{'d' * 99}": ("dir", None, {}),
    f"{'p' * 120}/{'d' * 100}": ("dir", None, {}),
    "short": ("link", "../nowhere", {}),
    "long": ("link", "t" * 150, {}),
    "odd": ("link", os.fsdecode(b"th\xe9"), {}),
    "odd-long": ("link", os.fsdecode(b"th\xe9" * 40), {}),
    "fifo": ("fifo", None, {"mode": 0o600}),
    "null": ("char", (1, 3), {"mode": 0o666}),
    "disk": ("block", (259, 70000), {"mode": 0o660, "gid": 6}),
    "big-ids": ("file", b"x", {"uid": 2_097_152, "gid": 4_000_000_000}),
    "octal-ids": ("file", b"x", {"uid": 2_097_151, "gid": 2_097_151}),
    "setuid": ("file", b"#!", {"mode": 0o4755, "uid": 1}),
    "tmp": ("dir", None, {"mode": 0o1777, "gid": 50}),
    "mail": ("dir", None, {"mode": 0o2775, "gid": 8}),
    "labelled": (
        "file",
        b"x",
        {"xattrs": {"user.b": b"\0\xff\n=", "user.a=%": b"", "security.capability": CAPABILITY}},
    ),
    "labelled-dir": ("dir", None, {"xattrs": {"user.mime": b"text"}}),
    "old": ("file", b"x", {"mtime": -1_000_000_000}),
    "future": ("file", b"x", {"mtime": 9_000_000_000_000_000_000}),
}


@pytest.fixture
def everything(tmp_path):
    try:
        return build(tmp_path / "tree", EVERYTHING)
    except PermissionError:
        pytest.skip("owners, capabilities and device nodes need root")


def tar_of(tree):
    with open_tar(tree, OWNERS) as stream:
        return stream.read()


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as archive:
        return {member.name: member for member in archive}, [member.name for member in archive]


def test_the_tar_module_reads_what_is_there(everything):
    found, _order = members(tar_of(everything))
    assert set(found) == set(EVERYTHING)
    for path, member in found.items():
        status = os.lstat(everything / path)
        assert member.mode == (0o777 if member.issym() else stat.S_IMODE(status.st_mode)), path
        assert (member.uid, member.gid) == (status.st_uid, status.st_gid), path
        assert int(member.mtime) == status.st_mtime_ns // 1_000_000_000, path
        assert (member.uname, member.gname) == ("", "")
        if member.issym():
            assert member.linkname == os.readlink(everything / path)
        if member.isdev() and not member.isfifo():
            assert (member.devmajor, member.devminor) == (os.major(status.st_rdev), os.minor(status.st_rdev))
    kinds = {
        path: (found[path].type, found[path].linkname) for path in ("etc/same", "fifo", "null", "disk", "tmp")
    }
    assert kinds == {
        "etc/same": (tarfile.LNKTYPE, "etc/passwd"),
        "fifo": (tarfile.FIFOTYPE, ""),
        "null": (tarfile.CHRTYPE, ""),
        "disk": (tarfile.BLKTYPE, ""),
        "tmp": (tarfile.DIRTYPE, ""),
    }


@root
def test_gnu_tar_makes_the_same_tree_of_it(everything, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    data = tar_of(everything)
    subprocess.run(
        ["tar", "-xpf", "-", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", out],
        input=data, check=True, capture_output=True, env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert picture(out) == picture(everything)


def test_parents_come_first_and_names_are_sorted_by_bytes(tmp_path):
    names = ["b", "a", "a-b", "a/z", "a/é", os.fsdecode(b"a/\xff"), "\U0001f600", "�", "Z"]
    tmp_path.chmod(0o755)
    for name in names:
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    _, order = members(tar_of(tmp_path))
    assert order == ["Z", "a", "a/z", "a/é", os.fsdecode(b"a/\xff"), "a-b", "b", "�", "\U0001f600"]


def test_plain_entries_need_no_pax_header(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "unicode-é").write_text("x")
    (tmp_path / ("d" * 99)).mkdir()
    (tmp_path / ("d" * 99) / ("f" * 100)).write_text("x")
    data = tar_of(tmp_path)
    assert len(data) == 512 * (1 + 2 + 2 + 2)
    types = {data[at + 156 : at + 157] for at in (0, 512, 1536)}
    assert types == {b"5", b"0"}


def test_the_same_tree_is_the_same_tar_wherever_and_whenever_it_was_made(tmp_path):
    table = {
        "b": ("dir", None, {}), "b/y": ("file", b"1", {}), "a": ("file", b"2", {}), "c": ("link", "a", {}),
    }  # fmt: skip
    one = build(tmp_path / "one", table)
    two = build(
        tmp_path / "two",
        {**dict(reversed([(k, v) for k, v in table.items() if k != "b/y"])), "b/y": table["b/y"]},
    )
    assert tar_of(one) == tar_of(two)


@root
def test_whiteouts_and_opaque_directories_are_spelt_as_the_specification_says(tmp_path):
    build(
        tmp_path / "t",
        {
            "bin": ("dir", None, {"opaque": True}),
            "bin/tool": ("file", b"x", {}),
            "etc": ("dir", None, {}),
            "etc/gone": ("white", None, {}),
            "gone": ("white", None, {}),
        },
    )
    found, order = members(tar_of(tmp_path / "t"))
    assert order == ["bin", "bin/.wh..wh..opq", "bin/tool", "etc", "etc/.wh.gone", ".wh.gone"]
    for name in ("bin/.wh..wh..opq", "etc/.wh.gone", ".wh.gone"):
        marker = found[name]
        assert (marker.type, marker.size, marker.uid, marker.mtime) == (tarfile.REGTYPE, 0, 0, 0)


@root
def test_a_whiteout_without_a_device_node_counts_as_well(tmp_path):
    build(
        tmp_path / "t",
        {"gone": ("file", b"", {"xattrs": {"user.overlay.whiteout": b"y"}}), "plain": ("file", b"", {})},
    )
    os.setxattr(tmp_path / "t", "user.overlay.opaque", b"x")
    assert members(tar_of(tmp_path / "t"))[1] == [".wh.gone", "plain"]


def test_attributes_of_the_overlay_and_of_ours_are_no_part_of_a_layer(tmp_path):
    options = {"xattrs": {"user.overlay.origin": b"x", "user.tiffin.owner": b"1:2", "user.kept": b"y"}}
    build(tmp_path / "t", {"file": ("file", b"x", options)})
    found, _ = members(tar_of(tmp_path / "t"))
    assert found["file"].pax_headers == {"SCHILY.xattr.user.kept": "y"}


def test_a_capability_of_the_namespaces_root_says_nothing_of_the_namespace():
    from tiffin.layer.tree import normal_capability

    third = bytes.fromhex("0100000300040000000000000000000000000000")
    assert normal_capability(third + bytes(4)) == CAPABILITY
    assert normal_capability(third + b"\1\0\0\0") == third + b"\1\0\0\0"
    assert normal_capability(CAPABILITY) == CAPABILITY


def test_the_root_is_told_only_if_it_is_unusual(tmp_path):
    build(tmp_path / "t", {"a": ("file", b"", {})})
    if os.geteuid() == 0:
        assert members(tar_of(tmp_path / "t"))[1] == ["a"]
    (tmp_path / "t").chmod(0o555)
    found, order = members(tar_of(tmp_path / "t"))
    assert order == [".", "a"]
    assert found["."].mode == 0o555


def test_sockets_are_left_out(tmp_path):
    import socket

    tmp_path.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert [entry.path for entry in scan(tmp_path, OWNERS)] in ([], [""])


def test_a_file_that_only_looks_like_a_whiteout_is_refused(tmp_path):
    (tmp_path / ".wh.file").touch()
    with pytest.raises(UnsupportedError, match=r"\.wh\.file"):
        describe(tmp_path, OWNERS)


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_a_file_that_shrinks_meanwhile_is_an_error(tmp_path, size):
    (tmp_path / "a").write_bytes(bytes(size))
    entries = list(scan(tmp_path, OWNERS))
    os.truncate(tmp_path / "a", size - 1)
    with pytest.raises(FailedError, match="shorter"):
        write_tar(entries, tmp_path, lambda _data: None)


def test_holes_are_zeros(tmp_path):
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(5 << 20)
        stream.seek(1 << 20)
        stream.write(b"island")
    data = tar_of(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.extractfile("sparse").read() == (tmp_path / "sparse").read_bytes()


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 10**13])
def test_sizes_beyond_octal_are_told_in_a_pax_header(size):
    head = entry_header(Entry(RootPath("big"), "file", 0o644, 0, 0, size))
    with tarfile.open(fileobj=io.BytesIO(head + bytes(1024))) as archive:
        assert archive.firstmember.size == size
    assert (len(head) > 512) is (size >= 8**11)


@pytest.mark.parametrize("length", [*range(80, 110), *range(980, 1010)])
def test_a_pax_record_counts_its_own_length(length):
    path = RootPath("/".join(["p" * 50] * 40)[: length + 100])
    head = entry_header(Entry(path, "file", 0o644, 0, 0, 0))
    with tarfile.open(fileobj=io.BytesIO(head + bytes(1024))) as archive:
        assert archive.firstmember.name == path


def test_describe_names_the_tar_that_open_tar_gives(everything):
    data = tar_of(everything)
    found = describe(everything, OWNERS)
    assert (found.diff_id, found.size) == (DiffID.of(data), len(data))
    used = int(subprocess.check_output(["du", "-s", "-B1", everything]).split()[0])
    assert abs(found.usage - used) <= 8192  # the root itself is in one of them


def test_the_stream_can_be_read_in_any_pieces(everything):
    whole = tar_of(everything)
    with open_tar(everything, OWNERS) as stream:
        pieces = [stream.read(size) for size in [1, 511, 513, 100_000] * 40]
    assert b"".join(pieces) == whole[: len(b"".join(pieces))]
    assert len(whole) % 512 == 0
    assert whole.endswith(bytes(1024))


def test_closing_a_stream_early_closes_the_file_below(everything):
    before = len(os.listdir("/proc/self/fd"))
    stream = open_tar(everything, OWNERS)
    stream.read(700_000)
    stream.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ValueError):
        stream.read(1)


def test_a_tree_too_deep_for_any_path_is_refused_in_words(tmp_path):
    previous = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
    finally:
        os.chdir(previous)
    with pytest.raises(UnsupportedError, match="too deep"):
        describe(tmp_path, OWNERS)


def test_small_files_come_with_their_content_if_it_is_asked_for(tmp_path):
    tree = build(
        tmp_path / "t",
        {
            "a": ("file", b"12345678", {}),
            "b": ("hard", "a", {}),
            "c": ("file", b"123456789", {}),
            "d": ("file", b"", {}),
            "e": ("fifo", None, {}),
            "f": ("link", "a", {}),
        },
    )
    found = {entry.path: entry.content for entry in scan(tree, OWNERS, small=8)}
    assert found == {"a": b"12345678", "b": b"", "c": b"", "d": b"", "e": b"", "f": b""}
    assert {entry.content for entry in scan(tree, OWNERS)} == {b""}
    plain = [entry._replace(content=b"") for entry in scan(tree, OWNERS, small=1 << 20)]
    assert plain == list(scan(tree, OWNERS))


def test_no_descriptor_is_left_open(tmp_path):
    tree = build(tmp_path / "t", {f"f{number}": ("file", b"x", {}) for number in range(50)})
    before = sorted(os.listdir("/proc/self/fd"))
    describe(tree, OWNERS)
    entries = scan(tree, OWNERS, small=10)
    next(entries)
    assert sorted(os.listdir("/proc/self/fd")) == before
