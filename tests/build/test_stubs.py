"""Mount points come out of the layer again, and nothing else does."""

import os

import pytest

from tiffin.build.ops.stubs import missing_points, remove_points
from tiffin.snapshot.merged import MergedTree


def tree(base, *names, links=()):
    base.mkdir()
    for name in names:
        path = base / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    for name, target in links:
        (base / name).symlink_to(target)
    return base


@pytest.mark.parametrize(
    ("names", "links", "targets", "expected"),
    [
        ((), (), ["/etc/hosts"], ["/etc/hosts", "/etc"]),
        (("etc/",), (), ["/etc/hosts"], ["/etc/hosts"]),
        (("etc/hosts",), (), ["/etc/hosts"], []),
        (("proc/",), (), ["/proc", "/proc/sys"], ["/proc/sys"]),
        ((), (), ["/a/b/c"], ["/a/b/c", "/a/b", "/a"]),
        (("run/",), [("var", "run")], ["/var/lock"], ["/run/lock"]),
        (("etc/",), [("etc/resolv", "../run/resolv")], ["/etc/resolv"], ["/run/resolv", "/run"]),
        (("etc/",), [("etc/resolv.conf", "/../../stub")], ["/etc/resolv.conf"], ["/stub"]),
        ((), (), ["/"], []),
    ],
)  # fmt: skip
def test_what_a_mount_will_make_is_known_before(tmp_path, names, links, targets, expected):
    assert missing_points(targets, MergedTree([tree(tmp_path / "lower", *names, links=links)])) == expected


def test_a_root_of_no_layers_has_nothing(tmp_path):
    assert missing_points(["/dev"], MergedTree([])) == ["/dev"]


def test_empty_points_go_and_their_empty_parents(tmp_path):
    upper = tree(tmp_path / "upper", "etc/", "dev/", "keep")
    (upper / "etc/hosts").touch()
    remove_points(upper, ["/etc/hosts", "/etc", "/dev"])
    assert os.listdir(upper) == ["keep"]


def test_what_the_step_filled_is_the_steps(tmp_path):
    upper = tree(tmp_path / "upper", "etc/hosts", "data/file")
    remove_points(upper, ["/etc/hosts", "/etc", "/data"])
    assert sorted(os.listdir(upper)) == ["data", "etc"]
    assert (upper / "etc/hosts").read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes")
def test_links_nodes_and_whiteouts_are_the_steps(tmp_path):
    upper = tree(tmp_path / "upper", links=[("link", "nowhere")])
    os.mknod(upper / "white", 0o020000, 0)
    os.mkfifo(upper / "fifo")
    remove_points(upper, ["/link", "/white", "/fifo"])
    assert sorted(os.listdir(upper)) == ["fifo", "link", "white"]


def test_what_is_gone_already_is_no_matter(tmp_path):
    upper = tree(tmp_path / "upper", "file")
    remove_points(upper, ["/gone", "/gone/too/deep", "/file/below"])
    assert os.listdir(upper) == ["file"]


@pytest.mark.parametrize("target", ["{outside}", "../outside", "/proc/self/root{outside}"])
def test_a_link_that_the_step_made_leads_nowhere(tmp_path, target):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "hosts").touch()
    upper = tree(tmp_path / "upper", links=[("etc", target.format(outside=outside))])
    remove_points(upper, ["/etc/hosts", "/etc"])
    assert (outside / "hosts").exists()
    assert (upper / "etc").is_symlink()


def test_an_empty_file_behind_a_link_of_the_step_is_the_steps(tmp_path):
    """The step moved /etc and left a link; the file was made by it, and no mount point lay there."""
    upper = tree(tmp_path / "upper", "data/", links=[("etc", "data")])
    (upper / "data/hosts").touch()
    remove_points(upper, ["/etc/hosts"])
    assert (upper / "data/hosts").exists()


def test_no_descriptor_is_left_open(tmp_path):
    upper = tree(tmp_path / "upper", "etc/", "f")
    before = sorted(os.listdir("/proc/self/fd"))
    remove_points(upper, ["/etc", "/f/x", "/gone/y"])
    assert sorted(os.listdir("/proc/self/fd")) == before
