import tarfile

import pytest

from tiffin.base.extract import extract, is_kept, merge_usr, newest_time
from tiffin.base.tree import Tree
from tiffin.errors import CorruptError, UnsupportedError


@pytest.fixture
def unpack(kit, new_layer, tmp_path):
    tree = Tree(new_layer())
    merge_usr(tree)

    def put(entries):
        path = tmp_path / "tool.deb"
        path.write_bytes(kit.deb_of("Package: tool\n", entries))
        return tree, extract(tree, path, "tool")

    return put


def test_the_links_into_usr_survive_packages_that_have_directories_there(unpack):
    tree, extracted = unpack(
        [
            ("bin", None, 0o755),
            ("bin/tool", b"1", 0o755),
            ("lib", None, 0o755),
            ("lib64", None, 0o755),
            ("lib64/ld.so", b"2", 0o755),
            ("usr/lib/x", b"3", 0o644),
        ]
    )
    assert [tree.link_target(name) for name in ("bin", "sbin", "lib", "lib64")] == [
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "usr/lib64",
    ]
    assert (tree.layer.path / "usr/bin/tool").read_bytes() == b"1"
    assert (tree.layer.path / "usr/lib64/ld.so").read_bytes() == b"2"
    assert extracted.files == ("bin/tool", "lib64/ld.so", "usr/lib/x")


def test_the_newest_file_gives_the_time(kit, unpack, tmp_path):
    _, extracted = unpack([("usr/x", b"", 0o644)])
    assert extracted.newest == kit.NOW - 30 * kit.DAY
    assert newest_time(tmp_path / "tool.deb", "tool") == extracted.newest


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("usr/share/doc/tool/copyright", True),
        ("usr/share/doc/tool/changelog.gz", False),
        ("usr/share/doc/tool/examples/copyright", False),
        ("usr/share/man/man1/tool.1.gz", False),
        ("usr/share/locale/de/LC_MESSAGES/tool.mo", False),
        ("usr/share/locale/locale.alias", True),
        ("usr/lib/python3/dist-packages/a.pyc", False),
        ("usr/lib/python3/__pycache__/a.cpython-311.pyc", False),
        ("usr/share/manual", True),
        ("usr/bin/tool", True),
    ],
)
def test_what_is_kept(path, kept):
    assert is_kept(path) is kept


def test_a_link_to_another_packages_licence_is_kept():
    assert is_kept("usr/share/doc/libgomp1", link=True)
    assert not is_kept("usr/share/doc/libgomp1/README", link=True)
    assert not is_kept("usr/share/doc/libgomp1", directory=True)


@pytest.mark.parametrize("name", ["../evil", "usr/../../evil"])
def test_a_path_upwards_is_refused(unpack, name):
    with pytest.raises(CorruptError, match="holds the path"):
        unpack([(name, b"", 0o644)])


def test_a_file_through_a_link_outwards_stays_inside(unpack):
    tree, _ = unpack([("d", "/../../tmp", 0o777, tarfile.SYMTYPE), ("d/tiffin-evil", b"", 0o644)])
    assert (tree.layer.path / "tmp/tiffin-evil").is_file()


def test_a_device_is_refused(unpack):
    with pytest.raises(UnsupportedError, match="neither file"):
        unpack([("dev/sda", None, 0o600, tarfile.BLKTYPE)])
