"""Attributes of mounts without `mount_setattr`: the same as with it, in a namespace of this test's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

PROGRAM = """
import errno, os, sys
sys.path[:0] = {paths!r}
from tiffin.linux import mount, namespace, remount
place, by_hand = {place!r}, {by_hand!r}
namespace.unshare(namespace.NEWNS)
mount.set_propagation("/", mount.MS_REC | mount.MS_PRIVATE)
if by_hand:
    mount._MOUNT_SETATTR = 1023
assert mount.lacks_attributes() == by_hand
for name in ("source", "source/in ner", "source/hidden", "target", "other"):
    os.mkdir(f"{{place}}/{{name}}") if not os.path.exists(f"{{place}}/{{name}}") else None
    if name == "source":
        mount.mount("tmpfs", f"{{place}}/source", "tmpfs")
for name in ("in ner", "hidden", "hidden"):
    mount.mount("tmpfs", f"{{place}}/source/{{name}}", "tmpfs", mount.MS_NODEV)
open(f"{{place}}/source/file", "w").close()

def flags(path):
    return os.statvfs(f"{{place}}/{{path}}").f_flag & 15

def move(fd, target):
    at = os.open(f"{{place}}/{{target}}", os.O_PATH)
    mount.move_mount(fd, at)
    os.close(at)

whole = mount.open_tree(f"{{place}}/source", recursive=True)
mount.mount_setattr(whole, mount.ATTR_RDONLY, recursive=True, propagation=mount.MS_PRIVATE, what="whole")
if by_hand:
    try:
        mount.check_settled()
    except OSError as error:
        assert error.filename == "whole", error
    else:
        raise SystemExit("nothing waits")
move(whole, "target")
mount.check_settled()
found = [flags("target"), flags("target/in ner"), flags("target/hidden"), flags("source")]
mount.mount_setattr(whole, mount.ATTR_NOSUID, cleared=mount.ATTR_RDONLY, what="top")
found += [flags("target"), flags("target/in ner")]
file = mount.open_tree(f"{{place}}/source/file")
mount.mount_setattr(file, mount.ATTR_RDONLY | mount.ATTR_NOEXEC, what="file")
move(file, "source/file")
found += [flags("source/file"), flags("source")]
try:
    mount.mount_setattr(whole, mount.ATTR_IDMAP, userns_fd=0, what="owners")
except OSError as error:
    found.append(error.errno == (errno.ENOSYS if by_hand else errno.EINVAL) or error.errno)
print(found)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount namespace")
def test_a_remount_gives_what_the_call_gives(tmp_path):
    def told(name, *, by_hand):
        (tmp_path / name).mkdir()
        source = str(Path(__file__).parents[2] / "src")
        text = PROGRAM.format(paths=[source], place=str(tmp_path / name), by_hand=by_hand)
        done = subprocess.run(
            [sys.executable, "-IS", "-c", text], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    by_call = told("call", by_hand=False)
    assert told("hand", by_hand=True) == by_call
    assert by_call.startswith("[1, 5, 5, 0, 2, 5, 9, 0,"), by_call
