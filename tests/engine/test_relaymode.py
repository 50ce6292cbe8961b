"""Whether steps are served by the relay: the setting, and what the command says."""

import pytest

from tiffin.engine.building.steprunner import no_relay, relay_mode
from tiffin.errors import InvalidError, UnsupportedError


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


def test_a_proxy_that_is_none_for_the_relay():
    assert "cannot use the proxy that ALL_PROXY names" in no_relay("ALL_PROXY", seals=False)
    with pytest.raises(
        UnsupportedError, match=r"TIFFIN_RELAY=only .* the proxy that ALL_PROXY names"
    ) as caught:
        no_relay("ALL_PROXY", seals=True)
    assert (caught.value.code, "--no-relay" in caught.value.hint) == ("relay-proxy", True)
