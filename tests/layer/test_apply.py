# ruff: noqa: E501  # a table reads best with one case a line
"""Tars from everywhere, hostile ones included, and what becomes of them."""

import contextlib
import io
import os
import random
import shutil
import stat
import subprocess
import tarfile

import pytest
from tests.suites.trees import build, picture

from tiffin.errors import CorruptError, InvalidError, TiffinError, UnsupportedError
from tiffin.layer.apply import Limits, apply
from tiffin.layer.describe import describe
from tiffin.layer.owners import TrueOwners
from tiffin.layer.tar import open_tar
from tiffin.linux.remove import remove_tree
from tiffin.oci.digest import DiffID

OWNERS = TrueOwners()
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a layer belongs to root")
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


@pytest.fixture
def place(tmp_path):
    """A root with something outside that nobody may touch, and a check that nobody did."""
    outside = build(
        tmp_path / "outside",
        {"secret": ("file", b"secret", {}), "dir": ("dir", None, {}), "dir/x": ("file", b"x", {})},
    )
    before = picture(outside)
    root = tmp_path / "root"
    root.mkdir()
    yield root
    assert picture(outside) == before
    assert sorted(os.listdir(tmp_path)) == ["outside", "root"]


def entry(name, kind=tarfile.REGTYPE, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, len(data), 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def pack(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def file(name, data=b"data", **fields):
    return entry(name, data=data, **fields)


def directory(name, **fields):
    return entry(name, tarfile.DIRTYPE, **fields)


def link(name, target):
    return entry(name, tarfile.SYMTYPE, linkname=target)


def hard(name, target):
    return entry(name, tarfile.LNKTYPE, linkname=target)


def unpack(data, root, **options):
    return apply(io.BytesIO(data), root, OWNERS, **options)


def raw(name=b"f", size=b"00000000004\0", kind=b"0", data=b"data", checksum=None, **fields):
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136], block[136:148], block[156:157] = size, b"00000000000\0", kind
    block[257:265] = b"ustar\x0000"
    for start, value in fields.values():
        block[start : start + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = checksum or b"%06o\0 " % sum(block)
    return bytes(block) + data + bytes(-len(data) % 512)


def pax(*records, kind=b"x"):
    data = b"".join(records)
    return raw(b"pax", b"%011o\0" % len(data), kind, data)


def record(text):
    size = len(text) + 3
    size = len(text) + 2 + len(str(size))
    size = len(text) + 2 + len(str(size))
    return b"%d %b\n" % (size, text)


END = bytes(1024)

HOSTILE = {
    "a name that climbs": pack(file("../secret")),
    "a name that climbs later": pack(file("a/../../secret")),
    "a directory that climbs": pack(directory("../dir")),
    "a link that climbs by its name": pack(link("../evil", "x")),
    "a hard link to outside": pack(hard("a", "../outside/secret")),
    "a hard link to an absolute path": pack(hard("a", "/outside/secret")),
    "a hard link through a link": pack(link("l", "../outside"), hard("a", "l/secret")),
    "a hard link to nothing": pack(hard("a", "nothing")),
    "a hard link to a directory": pack(directory("d"), hard("a", "d")),
    "a hard link to the root": pack(hard("a", ".")),
    "a hard link to a whiteout": pack(file(".wh.gone", b""), hard("a", "gone")),
    "a file through a circle": pack(link("a", "b"), link("b", "a"), file("a/x")),
    "a file through a circle that ends nowhere": pack(link("a", "b/x"), link("b", "a/y"), file("a/z")),
    "a file through a link to itself": pack(link("a", "a"), file("a/x")),
    "a file through a link to a file": pack(file("f"), link("l", "f"), file("l/x")),
    "a file through a link to below a file": pack(file("f"), link("l", "f/deep"), file("l/x")),
    "a file through a link to a whiteout of no name": pack(link("l", "d"), file("l/.wh.", b"")),
    "a file through a link with an endless component": pack(link("l", "n" * 300), file("l/x")),
    "a file through a link with an endless component below nothing": pack(link("l", "none/" + "n" * 300), file("l/x")),
    "a file through a link longer than any path": pack(link("l", "/".join(["d" * 200] * 19) + "/" + "e" * 200), file("l/" + "f" * 200)),
    "a hard link through a dangling link": pack(link("l", "../outside"), hard("a", "l/secret")),
    "a whiteout of the parent": pack(file(".wh...", b"")),
    "a whiteout of itself": pack(file("d/.wh..", b"")),
    "a whiteout of nothing": pack(file("d/.wh.", b"")),
    "something below a whiteout": pack(file(".wh.d/x")),
    "something below a file": pack(file("f"), file("f/x")),
    "a file named like the root": raw(b"./.", data=b"data") + END,
    "a link named like the root": pack(link(".", "../outside")),
    "a link without a target": raw(kind=b"2", size=b"00000000000\0", data=b"") + END,
    "a link with an endless target": pack(link("l", "t" * 5000)),
    "a name longer than any": pack(file("n" * 256)),
    "a path longer than any": pack(file("a/" * 2100 + "f")),
    "nested 100,000 deep": pack(directory("d/" * 100_000)),
    "nested deep step by step": pack(*(directory("/".join(["d" * 200] * n)) for n in range(1, 40))),
    "nested deep through links": pack(
        directory("/".join(["d" * 200] * 18)), link("l", "/".join(["d" * 200] * 18)), directory("l/" + "e" * 200 + "/" + "f" * 200),
    ),
    "the owner that means no change": pack(file("f", uid=2**32 - 1)),
    "an owner beyond 32 bits": pack(file("f", uid=2**40)),
    "a device that cannot be": raw(b"d", b"00000000000\0", b"4", b"", device=(329, b"7777777\x007777777\0")) + END,
    "an unknown type": raw(kind=b"Z") + END,
    "a negative size": raw(size=b"\xff" * 12) + END,
    "a huge size": raw(size=b"\x80" + b"\x7f" * 11) + END,
    "a size of words": raw(size=b"many bytes!\0") + END,
    "a size with a sign": raw(size=b"-0000000004\0") + END,
    "a negative owner": raw(owner=(108, b"\xff" * 8)) + END,
    "a time out of range": raw(time=(136, b"\x80" + b"\x7f" * 11)) + END,
    "a wrong checksum": raw(checksum=b"000001\0 ") + END,
    "no checksum": raw(checksum=b"sum?????") + END,
    "no tar at all": random.Random(1).randbytes(5000),
    "text": b"#!/bin/sh\necho this is no tar\n" * 100,
    "cut off in a header": pack(file("f"))[:300],
    "cut off in the content": pack(file("f", b"x" * 5000))[:3000],
    "cut off in a large content": pack(file("f", b"x" * 3_000_000))[:2_000_000],
    "cut off in the padding": pack(file("f", b"x" * 600))[:1200],
    "cut off in a PAX header": pax(record(b"path=x"))[:600],
    "cut off after a PAX header": pax(record(b"path=x")),
    "the end after a PAX header": pax(record(b"path=x")) + END,
    "one zero block and then more": bytes(512) + raw() + END,
    "a PAX header of a gigabyte": raw(b"pax", b"10000000000\0", b"x", b"") + END,
    "a GNU name of a gigabyte": raw(b"long", b"10000000000\0", b"L", b"") + END,
    "a PAX header of two megabytes": pax(record(b"comment=" + b"c" * (2 << 20))) + raw() + END,
    "a PAX record that lies about its length": pax(b"99 path=x\n") + raw() + END,
    "a PAX record without a length": pax(b"path=x\n") + raw() + END,
    "a PAX record of length zero": pax(b"0 path=x\n") + raw() + END,
    "a PAX record without an end": pax(b"9 path=xy") + raw() + END,
    "a PAX record without a key": pax(record(b"=x")) + raw() + END,
    "a PAX name with a zero byte": pax(record(b"path=a\0b")) + raw() + END,
    "a PAX target with a zero byte": pax(record(b"linkpath=a\0b")) + raw(kind=b"2") + END,
    "a PAX size below zero": pax(record(b"size=-5")) + raw() + END,
    "a PAX size without end": pax(record(b"size=" + b"9" * 30)) + raw() + END,
    "a PAX owner in words": pax(record(b"uid=root")) + raw() + END,
    "a PAX time in words": pax(record(b"mtime=noon")) + raw() + END,
    "a PAX time without end": pax(record(b"mtime=" + b"9" * 18)) + raw() + END,
    "a PAX name that climbs": pax(record(b"path=../secret")) + raw() + END,
    "a malformed capability": pax(record(b"SCHILY.xattr.security.capability=x")) + raw() + END,
    "an attribute with an endless name": pax(record(b"SCHILY.xattr.user." + b"n" * 300 + b"=x")) + raw() + END,
    "a map of holes beyond the file": pax(record(b"GNU.sparse.map=100,4"), record(b"GNU.sparse.size=50")) + raw() + END,
    "a map of holes that goes back": pax(record(b"GNU.sparse.map=100,2,50,2"), record(b"GNU.sparse.size=500")) + raw() + END,
    "a map of holes for less than there is": pax(record(b"GNU.sparse.map=0,2"), record(b"GNU.sparse.size=50")) + raw() + END,
    "a map of holes with odd numbers": pax(record(b"GNU.sparse.map=0,2,3"), record(b"GNU.sparse.size=50")) + raw() + END,
    "a map of holes without a size": pax(record(b"GNU.sparse.map=0,4")) + raw() + END,
    "a map of holes in words": pax(record(b"GNU.sparse.map=a,b"), record(b"GNU.sparse.size=50")) + raw() + END,
    "a map of holes with a huge count": pax(record(b"GNU.sparse.major=1"), record(b"GNU.sparse.realsize=50"))
    + raw(data=b"999999999\n" + bytes(502), size=b"00000001000\0") + END,
    "a map of holes longer than the file": pax(record(b"GNU.sparse.major=1"), record(b"GNU.sparse.realsize=50"))
    + raw(data=b"5000\n" + bytes(507), size=b"00000001000\0") + END,
    "a map of holes without a count": pax(record(b"GNU.sparse.major=1"), record(b"GNU.sparse.realsize=50"))
    + raw(data=bytes(512), size=b"00000001000\0") + END,
    "a hole of an exabyte": pax(record(b"GNU.sparse.map=0,4"), record(b"GNU.sparse.size=1152921504606846976")) + raw() + END,
}  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_tar_is_refused_in_words_and_writes_nothing_outside(place, data):
    with pytest.raises((CorruptError, InvalidError, UnsupportedError)) as caught:
        unpack(data, place)
    assert "tar" in caught.value.message
    assert len(caught.value.message) < 700
    assert caught.value.hint


CONTAINED = {
    "an absolute name": (pack(file("/etc/passwd")), "etc/passwd"),
    "a name with dots": (pack(file("./a/./b//c/../f")), "a/b/f"),
    "a file through a link that stays": (pack(directory("usr"), link("bin", "usr"), file("bin/tool")), "usr/tool"),
    "a file through an absolute link": (pack(directory("usr"), link("bin", "/usr"), file("bin/tool")), "usr/tool"),
    "a link that climbs but stays": (pack(directory("usr"), link("l", "../../usr"), file("l/tool")), "usr/tool"),
    "a hard link through a link": (pack(file("d/f"), link("l", "/d"), hard("x", "l/f")), "x"),
    "a directory in place of a link": (pack(link("l", "../outside"), directory("l"), file("l/secret")), "l/secret"),
    "a file in place of a link": (pack(link("l", "../outside/secret"), file("l")), "l"),
    "a file in place of a tree": (pack(file("d/e/f"), file("d")), "d"),
    "a file in place of a parent's link": (
        pack(directory("a"), directory("b"), link("l", "a"), file("l/one"), link("l", "b"), file("l/two")), "b/two",
    ),
    "a hard link in place of a file": (pack(file("a", b"old"), file("b", b"data"), hard("a", "b")), "a"),
    "a file through a chain of links": (pack(link("a", ".."), link("b", "a/.."), file("b/outside/secret")), "outside/secret"),
    "a hard link to itself": (pack(file("a"), hard("a", "a")), "a"),
    "a file through a dangling link that climbs": (pack(link("l", "../outside"), file("l/secret")), "outside/secret"),
    "a file through a dangling absolute link": (pack(link("l", "/outside"), file("l/secret")), "outside/secret"),
    "a file through a link far up": (pack(link("a/b/l", "../" * 30 + "outside"), file("a/b/l/secret")), "outside/secret"),
    "a file through a link to proc": (pack(link("l", "/proc/self/root/tmp"), file("l/evil")), "proc/self/root/tmp/evil"),
    "a file through a link to the root": (pack(link("l", "/"), file("l/f")), "f"),
    "a file through a link above the root": (pack(link("l", "../.."), file("l/f")), "f"),
    "a file in a directory behind a dangling link": (pack(link("l", "nowhere"), directory("l/d"), file("l/d/f")), "nowhere/d/f"),
    "a file through two dangling links": (pack(link("a", "b/c"), link("b", "../d"), file("a/f")), "d/c/f"),
    "a file through a link to what is missing and back": (pack(link("l", "none/../there"), file("l/f")), "there/f"),
    "a file through a link with dots and slashes": (pack(link("l", ".//./there/./"), file("l/f")), "there/f"),
    "a file through a link that is swapped": (
        pack(directory("a"), link("l", "a"), file("l/one"), link("l", "../outside"), file("l/secret")), "outside/secret",
    ),
    "a file through a link that took a directory's place": (
        pack(file("d/one"), link("d", "../outside"), file("d/secret")), "outside/secret",
    ),
    "a file through a link to a whiteout": (pack(file(".wh.gone", b""), link("l", "gone"), file("l/f")), "gone/f"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "path"), CONTAINED.values(), ids=CONTAINED.keys())
def test_strange_names_end_inside_the_root(place, data, path):
    unpack(data, place)
    assert stat.S_ISREG((place / path).lstat().st_mode)
    assert os.path.realpath((place / path).parent) == str((place / path).parent)


MERGED_USR = [
    directory("usr"), directory("usr/lib"), link("lib", "usr/lib"), link("bin", "usr/bin"), link("lib64", "/usr/lib64"),
]  # fmt: skip


def test_a_package_unpacks_through_the_links_of_a_merged_usr(place):
    """What debootstrap makes first, and then unpacks packages over that still say /lib and /bin."""
    unpack(
        pack(
            *MERGED_USR,
            file("lib/libc.so.6", b"c", mtime=5),
            file("lib/x86_64/libm.so.6", b"m"),
            link("lib/libc.so", "libc.so.6"),
            hard("lib/libc-2.so", "lib/libc.so.6"),
            file("bin/sh", b"sh"),
            file("lib64/ld.so", b"ld"),
            entry("lib/fifo", tarfile.FIFOTYPE),
            file("lib/.wh.old", b""),
        ),
        place,
    )
    assert sorted(os.listdir(place)) == ["bin", "lib", "lib64", "usr"]
    assert [os.readlink(place / name) for name in ("bin", "lib", "lib64")] == [
        "usr/bin",
        "usr/lib",
        "/usr/lib64",
    ]
    names = ["fifo", "libc-2.so", "libc.so", "libc.so.6", "old", "x86_64"]
    assert sorted(os.listdir(place / "usr/lib")) == names
    assert (place / "usr/lib/libc-2.so").samefile(place / "usr/lib/libc.so.6")
    assert (place / "usr/lib/x86_64/libm.so.6").read_bytes() == b"m"
    assert is_whiteout(place / "usr/lib/old")
    assert ((place / "usr/bin/sh").read_bytes(), (place / "usr/lib64/ld.so").read_bytes()) == (b"sh", b"ld")
    for made in ("usr/bin", "usr/lib64"):  # nobody has an entry for them
        status = (place / made).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (0o755, 0, 0)


def test_a_directory_takes_the_place_of_a_link_to_one(place):
    """Docker does so: what the link led to stays as it is, and is not what later entries mean."""
    unpack(pack(*MERGED_USR, file("lib/old"), directory("lib/", mode=0o711, mtime=7), file("lib/new")), place)
    assert not (place / "lib").is_symlink()
    assert (stat.S_IMODE((place / "lib").stat().st_mode), (place / "lib").stat().st_mtime) == (0o711, 7)
    assert (os.listdir(place / "lib"), os.listdir(place / "usr/lib")) == (["new"], ["old"])


def test_a_directory_behind_a_link_keeps_the_time_of_its_entry(place):
    unpack(
        pack(
            directory("usr/lib", mtime=3), link("lib", "usr/lib"), file("lib/x"), directory("lib/d", mtime=4)
        ),
        place,
    )
    assert ((place / "usr/lib").stat().st_mtime, (place / "usr/lib/d").stat().st_mtime) == (3, 4)


@pytest.mark.parametrize(("mark", "kind"), [(".wh.secret", "white"), (".wh..wh..opq", "opaque")])
def test_a_whiteout_through_a_link_stays_inside(place, mark, kind):
    unpack(pack(link("l", "../outside"), file(f"l/{mark}", b"")), place)
    assert is_whiteout(place / "outside/secret") if kind == "white" else is_opaque(place / "outside")


def test_no_play_of_links_ever_leads_out(place):
    """Thousands of small tars of links, directories, files and whiteouts under few names."""
    generator = random.Random(11)
    names = ["a", "b", "c", "a/b", "b/a", "a/b/c", "c/secret", "a/secret", "b/c/dir/x"]
    targets = [
        "..",
        "../..",
        "../outside",
        "/outside",
        "../../outside/dir",
        "a",
        "b",
        "c",
        "/a/b",
        "../b/../c",
        "none/..",
        ".",
    ]
    taken = 0
    for _ in range(1500):
        entries = [
            generator.choice(
                [
                    lambda name: link(name, generator.choice(targets)),
                    lambda name: link(name, generator.choice(targets)),
                    file,
                    directory,
                    lambda name: hard(name, generator.choice(names)),
                    lambda name: file("/".join([*name.split("/")[:-1], ".wh." + name.split("/")[-1]]), b""),
                ]
            )(generator.choice(names))
            for _ in range(generator.randrange(2, 9))
        ]
        shutil.rmtree(place)
        place.mkdir()
        with contextlib.suppress(TiffinError):
            unpack(pack(*entries), place)
            taken += 1
    assert taken > 500  # the fixture looks whether the outside was touched


def test_links_keep_their_text(place):
    unpack(pack(link("a", "/etc/passwd"), link("b", "../../../x"), link("c", "./")), place)
    assert [os.readlink(place / name) for name in "abc"] == ["/etc/passwd", "../../../x", "./"]


def test_the_last_of_several_counts(place):
    data = pack(
        directory("d", mode=0o700), file("d/keep"), directory("d", mode=0o711, uid=5), file("f", b"1"), link("f", "x"),
    )  # fmt: skip
    unpack(data, place)
    assert (place / "d" / "keep").exists()
    assert ((place / "d").stat().st_mode & 0o7777, (place / "d").stat().st_uid) == (0o711, 5)
    assert os.readlink(place / "f") == "x"


def test_parents_without_an_entry_are_plain(place):
    unpack(pack(directory("g", mode=0o2775, gid=50), file("g/a/b/f", uid=7, mtime=99)), place)
    for path in ("g/a", "g/a/b"):
        status = (place / path).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime) == (
            0o755,
            0,
            0,
            0,
        )
    assert (place / "g/a/b/f").stat().st_mtime == 99


def test_a_parent_may_get_its_entry_later(place):
    unpack(
        pack(file("a/b/f"), directory("a/b", mode=0o700, mtime=5), directory("a", mode=0o711, mtime=6)), place
    )
    assert ((place / "a").stat().st_mtime, (place / "a/b").stat().st_mtime) == (6, 5)
    assert stat.S_IMODE((place / "a/b").stat().st_mode) == 0o700


def test_a_thousand_parents_without_an_entry(place):
    unpack(pack(file("d/" * 1000 + "f")), place)
    assert (place / ("d/" * 1000 + "f")).read_bytes() == b"data"
    remove_tree(place / "d")  # deeper than what clears up after tests can go


def test_the_root_is_plain_unless_the_tar_says_else(place):
    place.chmod(0o700)
    unpack(pack(file("f")), place)
    assert (stat.S_IMODE(place.stat().st_mode), place.stat().st_mtime) == (0o755, 0)
    unpack(pack(directory("./", mode=0o555, mtime=77), file("g")), place)
    assert (stat.S_IMODE(place.stat().st_mode), place.stat().st_mtime) == (0o555, 77)


def test_times_survive_what_comes_after(place):
    unpack(
        pack(directory("d", mtime=1), file("d/f", mtime=2), link("d/l", "x"), directory("d/e", mtime=3), file("d/e/g", mtime=4)),
        place,
    )  # fmt: skip
    assert [(place / path).stat().st_mtime for path in ("d", "d/f", "d/e", "d/e/g")] == [1, 2, 3, 4]


def test_fractions_and_negative_times(place):
    unpack(
        pax(record(b"mtime=-1.5")) + raw(b"a") + pax(record(b"mtime=1.123456789123")) + raw(b"b") + END, place
    )
    assert [(place / name).stat().st_mtime_ns for name in "ab"] == [-1_500_000_000, 1_123_456_789]


def test_modes_owners_and_capabilities_come_in_an_order_that_keeps_them(place):
    unpack(
        pax(record(b"SCHILY.xattr.security.capability=" + CAPABILITY), record(b"uid=33"))
        + raw(b"f", mode=(100, b"0006755\0")) + END,
        place,
    )  # fmt: skip
    status = (place / "f").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o6755, 33)
    assert os.getxattr(place / "f", "security.capability") == CAPABILITY


def test_only_attributes_of_an_image_are_set(place):
    names = (
        b"user.x",
        b"user.overlay.opaque",
        b"user.tiffin.owner",
        b"trusted.overlay.opaque",
        b"system.posix_acl_access",
    )
    unpack(
        pax(*(record(b"SCHILY.xattr." + name + b"=y") for name in names))
        + raw(b"d/", b"00000000000\0", b"5", b"")
        + END,
        place,
    )
    assert os.listxattr(place / "d") == ["user.x"]


def test_device_nodes_and_fifos(place):
    unpack(
        pack(
            entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666, mtime=9),
            entry("disk", tarfile.BLKTYPE, devmajor=259, devminor=70000, uid=1),
            entry("fifo", tarfile.FIFOTYPE, mode=0o4600),
        ),
        place,
    )
    null, disk = (place / "null").stat(), (place / "disk").stat()
    assert (null.st_mode, null.st_rdev, null.st_mtime) == (stat.S_IFCHR | 0o666, os.makedev(1, 3), 9)
    assert (disk.st_mode, disk.st_rdev, disk.st_uid) == (stat.S_IFBLK | 0o644, os.makedev(259, 70000), 1)
    assert (place / "fifo").stat().st_mode == stat.S_IFIFO | 0o4600


def is_whiteout(path):
    return stat.S_ISCHR(path.lstat().st_mode) and path.lstat().st_rdev == 0


def is_opaque(path):
    return "user.overlay.opaque" in os.listxattr(path) and os.getxattr(path, "user.overlay.opaque") == b"y"


WHITEOUTS = {
    "of what is below": ([file(".wh.f", b"")], {"f": "white"}),
    "in a directory": ([directory("d"), file("d/.wh.f", b"")], {"d": "merged", "d/f": "white"}),
    "in a directory without an entry": ([file("a/b/.wh.f", b"")], {"a": "merged", "a/b": "merged", "a/b/f": "white"}),
    "twice": ([file(".wh.f", b""), file(".wh.f", b"")], {"f": "white"}),
    "before a file of the same name": ([file(".wh.f", b""), file("f")], {"f": "file"}),
    "after a file of the same name": ([file("f"), file(".wh.f", b"")], {"f": "file"}),
    "before a link of the same name": ([file(".wh.f", b""), link("f", "x")], {"f": "link"}),
    "before a directory of the same name": ([file(".wh.d", b""), directory("d"), file("d/x")], {"d": "opaque", "d/x": "file"}),
    "before a directory without an entry": ([file(".wh.d", b""), file("d/x")], {"d": "opaque", "d/x": "file"}),
    "after a directory of the same name": ([directory("d"), file("d/x"), file(".wh.d", b"")], {"d": "opaque", "d/x": "file"}),
    "opaque first": ([directory("d"), file("d/.wh..wh..opq", b""), file("d/x")], {"d": "opaque", "d/x": "file"}),
    "opaque last": ([directory("d"), file("d/x"), file("d/.wh..wh..opq", b"")], {"d": "opaque", "d/x": "file"}),
    "opaque before its directory": ([file("d/.wh..wh..opq", b""), directory("d"), file("d/x")], {"d": "opaque", "d/x": "file"}),
    "bookkeeping of aufs": ([file(".wh..wh.aufs", b""), directory(".wh..wh.plnk"), file("f")], {"f": "file"}),
    "from a tar of an upper directory": ([entry("f", tarfile.CHRTYPE)], {"f": "white"}),
    "of a hidden file": ([file(".wh..profile", b"")], {".profile": "white"}),
}  # fmt: skip


@pytest.mark.parametrize(("entries", "expected"), WHITEOUTS.values(), ids=WHITEOUTS.keys())
def test_whiteouts_become_what_overlayfs_understands(place, entries, expected):
    unpack(pack(*entries), place)
    found = {}
    for base, names, files in os.walk(place):
        for name in names + files:
            path = place / base / name
            if path.is_symlink():
                kind = "link"
            elif path.is_dir():
                kind = "opaque" if is_opaque(path) else "merged"
            else:
                kind = "white" if is_whiteout(path) else "file"
            found[str(path.relative_to(place))] = kind
    assert found == expected


def test_an_opaque_root(place):
    unpack(pack(file(".wh..wh..opq", b""), file("f")), place)
    assert is_opaque(place)


@pytest.fixture
def varied(tmp_path):
    return build(
        tmp_path / "varied",
        {
            "d": ("dir", None, {"mode": 0o2711, "uid": 3}),
            "d/f": ("file", b"content", {"mode": 0o4711, "uid": 1000, "gid": 2000}),
            "d/same": ("hard", "d/f", {}),
            "l": ("link", "t" * 120, {}),
            "n" * 120: ("file", b"long", {}),
            "fifo": ("fifo", None, {}),
            "null": ("char", (1, 3), {}),
            "big": ("file", b"0123456789" * 200_000, {}),
        },
    )


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "pax", "posix"])
def test_what_gnu_tar_writes(tmp_path, varied, form):
    data = subprocess.check_output(
        ["tar", "-cf", "-", f"--format={form}", "--numeric-owner", "-C", varied, "."]
    )
    out = tmp_path / "out"
    out.mkdir()
    unpack(data, out)
    assert picture(out) == picture(varied)


def test_what_old_tars_write(tmp_path):
    source = build(
        tmp_path / "s", {"d": ("dir", None, {}), "d/f": ("file", b"x", {"uid": 5}), "l": ("link", "d", {})}
    )
    data = subprocess.check_output(
        ["tar", "-cf", "-", "--format=v7", "--numeric-owner", "-C", source, "d", "l"]
    )
    (tmp_path / "out").mkdir()
    unpack(data, tmp_path / "out")
    assert picture(tmp_path / "out") == picture(source)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_the_tar_module_writes(place, form):
    wide = {} if form == tarfile.USTAR_FORMAT else {"uid": 3_000_000_000, "mtime": -5}
    long = "a" * 90 + "/" + "b" * 90
    unpack(pack(file(long, uname="somebody", **wide), link("l", "t" * 99), form=form), place)
    assert (place / long).read_bytes() == b"data"
    if wide:
        assert ((place / long).stat().st_uid, (place / long).stat().st_mtime) == (3_000_000_000, -5)


@pytest.mark.parametrize(
    "form", [["--format=gnu"], ["--format=oldgnu"], *(["--format=pax", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))]
)  # fmt: skip
@pytest.mark.parametrize("islands", [1, 3, 60])
def test_files_with_holes(tmp_path, form, islands):
    source = tmp_path / "s"
    source.mkdir()
    with (source / "sparse").open("wb") as stream:
        for number in range(islands):
            stream.seek((1 << 20) * (number + 1))
            stream.write(b"island %d" % number)
        stream.truncate((1 << 20) * (islands + 2))
    data = subprocess.check_output(["tar", "-cSf", "-", *form, "-C", source, "sparse"])
    assert len(data) < 1 << 20
    (tmp_path / "out").mkdir()
    found = unpack(data, tmp_path / "out")
    assert (tmp_path / "out/sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (tmp_path / "out/sparse").stat().st_blocks <= (source / "sparse").stat().st_blocks + 64
    assert found.usage < 1 << 20


def test_the_digest_is_of_every_byte(place):
    data = pack(file("f", b"x" * 3_000_000), directory("d"), file("d/g", b"")) + b"trailing"
    found = unpack(data, place)
    assert (found.diff_id, found.size, found.entries) == (DiffID.of(data), len(data), 3)


@pytest.mark.parametrize("data", [b"", bytes(512), bytes(1024), bytes(10240)])
def test_a_tar_of_nothing_is_an_empty_layer(place, data):
    found = unpack(data, place)
    assert (found.entries, os.listdir(place)) == (0, [])


def test_a_tar_without_its_end_is_taken_as_go_takes_it(place):
    unpack(raw(b"f"), place)
    assert (place / "f").read_bytes() == b"data"


def test_a_header_added_up_with_signs_is_valid(place):
    name = "é".encode()
    block = bytearray(raw(name, data=b"")[:512])
    block[148:156] = b" " * 8
    signed = sum(byte - 256 if byte >= 128 else byte for byte in block)
    unpack(raw(name, checksum=b"%06o\0 " % signed) + END, place)
    assert (place / "é").read_bytes() == b"data"


def test_an_empty_pax_record_means_the_header_counts(place):
    unpack(pax(record(b"path="), record(b"SCHILY.xattr.user.e=")) + raw(b"f") + END, place)
    assert os.getxattr(place / "f", "user.e") == b""


def test_a_global_header_changes_nothing(place):
    unpack(pax(record(b"comment=a commit"), kind=b"g") + raw(b"f") + END, place)
    assert os.listdir(place) == ["f"]


@pytest.mark.parametrize(
    "limits", [Limits(entries=2), Limits(file=100), Limits(total=250)], ids=["entries", "file", "total"]
)
def test_limits_hold(place, limits):
    with pytest.raises(InvalidError):
        unpack(pack(*(file(f"f{number}", b"x" * 101) for number in range(3))), place, limits=limits)


def test_a_read_error_stays_what_it_is(place):
    class Broken(io.RawIOBase):
        def read(self, _size=-1):
            raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        apply(Broken(), place, OWNERS)


def test_no_descriptor_is_left_open(place):
    before = sorted(os.listdir("/proc/self/fd"))
    unpack(pack(*(file(f"d{number}/f") for number in range(100))), place)
    for data in HOSTILE.values():
        shutil.rmtree(place)
        place.mkdir()
        with pytest.raises(TiffinError):
            unpack(data, place)
    assert sorted(os.listdir("/proc/self/fd")) == before


def out_is(out, tree):
    return set(os.listdir(out)) == set(os.listdir(tree))


def test_random_damage_is_never_anything_but_an_error_in_words(tmp_path, varied):
    source = bytearray(open_tar(varied, OWNERS).read()[:6000])
    generator = random.Random(7)
    out = tmp_path / "out"
    damaged = 0
    for _ in range(200):
        data = bytearray(source)
        for _ in range(generator.randrange(1, 6)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        with contextlib.suppress(TiffinError):  # any other exception fails the test
            unpack(bytes(data), out)
        damaged += not out_is(out, varied)
    assert damaged > 100


def test_what_was_described_comes_back_as_it_was(tmp_path, varied):
    with open_tar(varied, OWNERS) as stream:
        (tmp_path / "out").mkdir()
        found = apply(stream, tmp_path / "out", OWNERS)
    assert found.diff_id == describe(varied, OWNERS).diff_id == describe(tmp_path / "out", OWNERS).diff_id
