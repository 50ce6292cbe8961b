"""Capabilities by name, number and bit (capabilities(7), linux/capability.h)."""

import os

import pytest

from tiffin.linux import capability


@pytest.mark.parametrize(
    ("name", "number"),
    [("CAP_CHOWN", 0), ("CAP_SYS_ADMIN", 21), ("CAP_SETFCAP", 31), ("CAP_CHECKPOINT_RESTORE", 40)],
)
def test_numbers_are_the_kernels(name, number):
    assert capability.NAMES[number] == name
    assert capability.numbers((name,)) == (number,)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="CAP_NONSENSE"):
        capability.numbers(("CAP_NONSENSE",))


def test_a_mask_has_one_bit_each():
    assert capability.mask((0, 5)) == 0b100001


def test_own_sets_are_those_that_proc_shows():
    with open("/proc/self/status", encoding="ascii") as file:
        lines = dict(line.split(":\t", 1) for line in file.read().splitlines())
    assert capability.effective() == int(lines["CapEff"], 16)
    assert capability.bounding_set() == int(lines["CapBnd"], 16)


def test_dropped_capabilities_stay_away():
    """In a child, since there is no way back."""
    if os.geteuid() != 0:
        pytest.skip("only root has capabilities to drop")
    kept = capability.mask(capability.numbers(("CAP_CHOWN", "CAP_SETPCAP")))
    child = os.fork()
    if child == 0:
        try:
            capability.limit_bounding_set(kept)
            capability.set_capabilities(kept, kept, 0)
            good = capability.bounding_set() == kept == capability.effective()
            try:
                capability.set_capabilities(kept | 2, kept | 2, 0)
            except PermissionError:
                os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
