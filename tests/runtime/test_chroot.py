"""The rights of a process on the rung chroot: a table."""

import pytest

from tiffin.linux import capability
from tiffin.runtime.chroot import lowered
from tiffin.runtime.process import Process


def caps(*names):
    return capability.mask(capability.numbers(names))


PORTS = caps("CAP_NET_BIND_SERVICE")


@pytest.mark.parametrize(
    ("uid", "bounding", "own", "ambient"),
    [
        (1000, PORTS, PORTS, PORTS),
        (0, PORTS, PORTS, 0),
        (1000, 0, PORTS, 0),  # --cap-drop
        (1000, PORTS, 0, 0),  # the surrounding container has it not
    ],
)
def test_users_may_listen_on_any_port_as_far_as_we_may(uid, bounding, own, ambient):
    process = Process(args=("true",), uid=uid, bounding=bounding)
    assert lowered(process, own, "", "x86_64").ambient == ambient


def test_ways_out_of_a_root_directory_are_closed():
    wanted = caps("CAP_SYS_CHROOT", "CAP_CHOWN", "CAP_MKNOD", "CAP_SETPCAP")
    process = lowered(Process(args=("true",), bounding=wanted, permitted=wanted), wanted, "", "x86_64")
    assert process.bounding == process.permitted == caps("CAP_CHOWN", "CAP_SETPCAP")
