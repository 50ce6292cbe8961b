"""Whether steps are served by the relay: the setting, and what the command says."""

import pytest

from tiffin.engine.building.steprunner import relay_mode
from tiffin.errors import InvalidError


@pytest.mark.parametrize(
    ("setting", "asked", "mode"),
    [
        ("", None, "on"),
        ("off", None, "off"),
        ("only", None, "only"),
        ("", False, "off"),
        ("only", False, "off"),
        ("off", True, "on"),
        ("only", True, "only"),
    ],
)
def test_the_command_wins(setting, asked, mode):
    assert relay_mode(setting, asked) == mode


def test_a_setting_that_is_none():
    with pytest.raises(InvalidError, match="TIFFIN_RELAY is 'yes'"):
        relay_mode("yes", None)
