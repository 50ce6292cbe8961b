"""What is hidden, in the order that kernels before 6.15 want: they copy no mount that is attached nowhere."""

import errno
import os

from tiffin.runtime import steps
from tiffin.runtime.roots import Setup


def test_no_mount_is_copied_before_it_is_attached(tmp_path, monkeypatch):
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
