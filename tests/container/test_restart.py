from __future__ import annotations

import pytest

from tiffin.container.restart import Policy, Tally, after_end, after_reboot, parse_policy
from tiffin.errors import InvalidError

MS = 1_000_000
SECOND = 1000 * MS


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", Policy("no")),
        ("no", Policy("no")),
        ("always", Policy("always")),
        ("unless-stopped", Policy("unless-stopped")),
        ("on-failure", Policy("on-failure", 0)),
        ("on-failure:0", Policy("on-failure", 0)),
        ("on-failure:12", Policy("on-failure", 12)),
    ],
)
def test_policies(text, policy):
    assert parse_policy(text) == policy


@pytest.mark.parametrize(
    "text", ["sometimes", "always:3", "no:1", "on-failure:", "on-failure:-1", "on-failure:x"]
)
def test_what_is_no_policy(text):
    with pytest.raises(InvalidError) as caught:
        parse_policy(text)
    assert text in caught.value.message
    assert caught.value.exit_status == 125


@pytest.mark.parametrize(
    ("policy", "code", "restarts", "again"),
    [
        ("no", 1, 0, False),
        ("always", 0, 0, True),
        ("always", 1, 99, True),
        ("unless-stopped", 0, 5, True),
        ("on-failure", 0, 0, False),
        ("on-failure", 1, 1000, True),
        ("on-failure:3", 1, 2, True),
        ("on-failure:3", 1, 3, False),
        ("on-failure:3", 0, 0, False),
    ],
)
def test_which_end_is_a_new_start(policy, code, restarts, again):
    found = after_end(parse_policy(policy), Tally(restarts), code, 0)
    assert (found is not None) == again
    assert found is None or found.restarts == restarts + 1


def test_the_pause_doubles_up_to_a_minute():
    tally: Tally | None = Tally()
    pauses = []
    for _ in range(12):
        assert tally is not None
        tally = after_end(Policy("always"), tally, 1, 9 * SECOND)
        assert tally is not None
        pauses.append(tally.delay // MS)
    assert pauses == [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]


def test_after_ten_seconds_it_begins_anew():
    assert after_end(Policy("always"), Tally(7, 60 * SECOND), 1, 10 * SECOND) == Tally(8, 100 * MS)


@pytest.mark.parametrize(
    ("policy", "code", "stopped", "starts"),
    [
        ("no", 1, False, False),
        ("always", 0, True, True),
        ("unless-stopped", 0, False, True),
        ("unless-stopped", 137, True, False),
        ("on-failure", 137, False, True),
        ("on-failure", 0, False, False),
        ("on-failure:2", 1, True, False),
    ],
)
def test_after_a_reboot(policy, code, stopped, starts):
    assert after_reboot(parse_policy(policy), code, stopped=stopped) == starts
