"""Docker's default capabilities, and --cap-add and --cap-drop."""

import pytest

from tiffin.errors import InvalidError
from tiffin.linux.capability import NAMES, mask, numbers
from tiffin.runtime.capabilities import DEFAULT, select


def test_the_default_is_dockers():
    """The mask that a process in a Docker container shows as CapBnd."""
    assert mask(numbers(select())) == 0x00000000A80425FB


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["SYS_ADMIN"], [], {*DEFAULT, "CAP_SYS_ADMIN"}),
        (["cap_sys_admin"], ["CAP_chown"], {*DEFAULT, "CAP_SYS_ADMIN"} - {"CAP_CHOWN"}),
        ([], ["ALL"], set()),
        (["CHOWN"], ["all"], {"CAP_CHOWN"}),
        (["ALL"], [], set(NAMES)),
        (["ALL"], ["SYS_ADMIN"], set(NAMES) - {"CAP_SYS_ADMIN"}),
        (["ALL"], ["ALL"], set(NAMES)),
        (["CHOWN"], ["CHOWN"], set(DEFAULT) - {"CAP_CHOWN"}),
    ],
)
def test_adding_and_dropping(add, drop, expected):
    assert set(select(add, drop)) == expected


def test_unknown_names_are_refused():
    with pytest.raises(InvalidError, match="FLY"):
        select(["FLY"])
