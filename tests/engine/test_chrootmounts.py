"""Which mounts can be had where nothing can be mounted: tables."""

import pytest

from tiffin.container.record import MountRecord
from tiffin.engine.chrootmounts import check, check_place
from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux.isolation import Rung


class Asked:
    def __init__(self, *mounts) -> None:
        self.mounts = mounts


FOLDER = MountRecord("bind", "/x", "/srv")
VOLUME = MountRecord("volume", "/x", "/store/volumes/a/data", "a")


@pytest.mark.parametrize("mount", [VOLUME, *(each._replace(read_only=True) for each in (FOLDER, VOLUME))])
def test_a_volume_can_be_had_and_what_is_read_only(mount):
    check(Rung.CHROOT, Asked(mount))


@pytest.mark.parametrize(
    "mount", [FOLDER, VOLUME._replace(subpath="part"), VOLUME._replace(source="/srv", options=("bind",))]
)
def test_what_would_be_away_after_a_kill_is_refused(mount):
    with pytest.raises(UnsupportedError, match="cannot be had on the rung chroot"):
        check(Rung.CHROOT, Asked(mount))


def test_a_volume_is_in_one_place():
    with pytest.raises(UnsupportedError, match="the volume a at two places"):
        check(Rung.CHROOT, Asked(VOLUME, VOLUME._replace(target="/y")))


@pytest.mark.parametrize(("path", "other"), [("x", "x"), ("x/y", "x"), ("x", "x/y"), ("etc", "etc/hosts")])
def test_a_volume_and_another_mount_do_not_lie_in_one_another(path, other):
    for lent, is_volume in ((True, False), (False, True), (True, True)):
        with pytest.raises(InvalidError, match="lie in one another"):
            check_place(path, lent=lent, others=[("a", False), (other, is_volume)])
    check_place(path, lent=False, others=[(other, False)])


def test_beside_one_another_they_may_lie():
    check_place("x/yz", lent=True, others=[("x/y", True), ("x/z", False)])
