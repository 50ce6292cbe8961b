"""What is mounted on what, in an order that older kernels want too, and unseen by the machine."""

import errno
import os

from tiffin.linux import mount
from tiffin.runtime import steps
from tiffin.runtime.roots import OverlayRoot, Setup


def test_no_mount_is_copied_before_it_is_attached(tmp_path, monkeypatch):
    """Before Linux 6.15 there are no such copies."""
    paths = ("one", "two", "missing", "three")
    for name in ("one", "two", "three", "empty"):
        (tmp_path / name).mkdir()
    attached, targets = set(), []

    def resolve(_root_fd, path, *, links):
        assert not links
        return os.open(tmp_path / path, os.O_PATH)

    def move_mount(mount_fd, _target_fd, path):
        attached.add(mount_fd)
        targets.append(path)

    def open_tree(_path, *, dir_fd):
        if dir_fd not in attached:
            raise OSError(errno.EINVAL, "it is attached nowhere")
        return os.dup(dir_fd)

    def empty():
        return os.open(tmp_path / "empty", os.O_PATH)

    monkeypatch.setattr(steps, "resolve", resolve)
    monkeypatch.setattr(steps, "_empty_directory", empty)
    monkeypatch.setattr(steps.mount, "move_mount", move_mount)
    monkeypatch.setattr(steps.mount, "open_tree", open_tree)
    before = len(os.listdir("/proc/self/fd"))
    steps.Mask(paths).apply(Setup([]))
    assert targets == ["one", "two", "three"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_layer_is_laid_on_one_that_others_share(tmp_path, monkeypatch):
    """Mounts on the copy of a shared mount appear in all its peers: those of this machine."""
    private, laid = set(), []
    monkeypatch.setattr(
        mount, "mount_setattr", lambda fd, _, *, propagation, what: private.add((fd, propagation)) or what
    )
    monkeypatch.setattr(mount, "move_mount_to", lambda fd, _: laid.append((fd, mount.MS_PRIVATE) in private))
    monkeypatch.setattr(mount, "unmount", lambda _: None)
    monkeypatch.setattr(OverlayRoot, "_mount_by_fd", lambda _self, _setup: 0)
    monkeypatch.setattr(OverlayRoot, "_mount_by_path", lambda _self, _setup: 0)
    sources = [os.open(tmp_path, os.O_PATH) for _ in range(3)]
    OverlayRoot((0, 1), 2, "upper", "work", volatile=False).mount(Setup(sources))
    assert laid == [True, True, True]
