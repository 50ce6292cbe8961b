"""What is made for a caller that is not told so is taken back."""

import errno
import os
from types import SimpleNamespace

import pytest

from tiffin.linux.notify import Call
from tiffin.runtime.emulation.calls import Meaning
from tiffin.runtime.emulation.credentials import whole
from tiffin.runtime.emulation.making import make
from tiffin.runtime.emulation.site import Site

CREATING = os.O_CREAT | os.O_WRONLY


@pytest.fixture
def asked(tmp_path):
    """Ask in the directory for something by the name `new`, as somebody else than root."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in").chmod(0o777)
    place = os.fsencode(tmp_path / "in")
    callers = SimpleNamespace(
        memory=SimpleNamespace(string=lambda _pid, _address: place + b"/new"),
        listener=SimpleNamespace(is_waiting=lambda _call: True),
        who=lambda _pid: whole(1000, 1000),
        where=lambda _call, _directory, path, **_more: path,
        open=lambda _call, _directory, path, flags: os.open(path, flags | os.O_PATH),
        umask=lambda _pid: 0o022,
        settle=lambda _fd, _mode, _name=b"": None,
    )

    def ask(name, *args, fails=False):
        def record(*_args):
            if fails:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        records = SimpleNamespace(at=lambda _path, **_more: None, set=record, set_new=record)
        call = Call(1, 2, 3, 4, (0, *args, 0, 0, 0))
        return make(Site(callers, records, -1, False), call, Meaning(name, "x86_64"))

    ask.place = tmp_path / "in"
    return ask


@pytest.mark.parametrize(
    "words",
    [("open", CREATING, 0o644), ("creat", 0o644), ("mkdir", 0o755), ("mknod", 0o010644), ("symlink",)],
)
def test_nothing_is_left_whose_owner_cannot_be_recorded(asked, words):
    with pytest.raises(OSError, match="No space"):
        asked(*words, fails=True)
    assert list(asked.place.iterdir()) == []
    if words[0] in ("mkdir", "mknod"):
        assert asked(*words) == 0
        assert (asked.place / "new").exists()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_cannot_be_handed_over_is_taken_back(asked, replaced):
    gift = asked("open", CREATING, 0o644)
    new = asked.place / "new"
    assert new.read_bytes() == b""
    if replaced:
        new.unlink()
        new.write_text("another's")

    def give(_call, _fd, *, cloexec):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with pytest.raises(OSError, match="Too many open files"):
        gift.give(SimpleNamespace(give=give), None)
    assert new.exists() is replaced
    for fd in (gift.fd, gift.directory):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
