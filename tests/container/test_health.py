from __future__ import annotations

import pytest

from tiffin.container.health import SECOND, Check, Health, Result, judge, pause, read
from tiffin.container.healthflags import choose
from tiffin.errors import InvalidError
from tiffin.oci.config import ContainerConfig, Healthcheck

CHECK = Check(("CMD", "true"), start_period=10 * SECOND, retries=2)


def after(check, *results):
    """The health after results at these seconds, with these codes, of a container that began at 0."""
    health = Health()
    for second, code in results:
        moment = int(second * SECOND)
        health = judge(check, health, Result(moment, moment, code, ""), 0)
    return health


@pytest.mark.parametrize(
    ("results", "status", "streak"),
    [
        ([], "starting", 0),
        ([(1, 0)], "healthy", 0),
        ([(1, 1), (2, 1), (9.9, 1)], "starting", 0),
        ([(10, 1)], "starting", 1),
        ([(10, 1), (11, 1)], "unhealthy", 2),
        ([(1, 0), (2, 1)], "healthy", 1),
        ([(1, 0), (2, 1), (3, 1)], "unhealthy", 2),
        ([(1, 0), (2, 1), (3, 0), (4, 1)], "healthy", 1),
        ([(10, 1), (11, 1), (12, 0)], "healthy", 0),
        ([(10, 1), (11, -1)], "unhealthy", 2),
    ],
)
def test_results_become_a_status(results, status, streak):
    found = after(CHECK, *results)
    assert (found.status, found.streak) == (status, streak)


def test_three_failures_are_needed_unless_it_was_said():
    check = Check(("CMD", "true"))
    assert after(check, (1, 1), (2, 1)).status == "starting"
    assert after(check, (1, 1), (2, 1), (3, 1)).status == "unhealthy"


def test_the_last_five_results_are_kept():
    found = after(CHECK, *((second, second) for second in range(20, 28)))
    assert [result.exit_code for result in found.log] == [23, 24, 25, 26, 27]


@pytest.mark.parametrize(
    ("check", "status", "now", "seconds"),
    [
        (CHECK, "starting", 1, 5),
        (CHECK._replace(start_interval=2 * SECOND), "starting", 9, 2),
        (CHECK, "starting", 10, 30),
        (CHECK, "healthy", 1, 30),
        (CHECK._replace(interval=7 * SECOND), "unhealthy", 1, 7),
        (Check(("CMD", "x")), "starting", 0, 30),
    ],
)
def test_when_the_next_check_is(check, status, now, seconds):
    assert pause(check, Health(status), now * SECOND, 0) == seconds * SECOND


def test_it_comes_back_from_json():
    found = after(CHECK, (1, 0), (2, 1))
    assert read([found.status, found.streak, [list(result) for result in found.log]]) == found


@pytest.mark.parametrize(
    ("check", "command"),
    [
        (Check(("CMD", "wget", "-q")), ("wget", "-q")),
        (Check(("CMD-SHELL", "a || b")), ("/bin/sh", "-c", "a || b")),
        (Check(("CMD-SHELL", "a"), shell=("/bin/bash", "-ec")), ("/bin/bash", "-ec", "a")),
    ],
)
def test_what_is_run(check, command):
    assert check.command() == command


IMAGE = ContainerConfig(healthcheck=Healthcheck(test=("CMD", "ok"), interval=9 * SECOND, retries=4))


@pytest.mark.parametrize(
    ("config", "asked", "check"),
    [
        (ContainerConfig(), {}, None),
        (ContainerConfig(healthcheck=Healthcheck(test=("NONE",))), {}, None),
        (IMAGE, {}, Check(("CMD", "ok"), 9 * SECOND, retries=4)),
        (IMAGE, {"none": ""}, None),
        (IMAGE, {"retries": "0", "timeout": "0"}, Check(("CMD", "ok"), 9 * SECOND, retries=4)),
        (IMAGE, {"timeout": "1m30s"}, Check(("CMD", "ok"), 9 * SECOND, 90 * SECOND, retries=4)),
        (IMAGE, {"cmd": "x"}, Check(("CMD-SHELL", "x"), 9 * SECOND, retries=4)),
        (
            ContainerConfig(shell=("/bin/bash", "-c")),
            {"cmd": "x", "start-period": "5s", "start-interval": "1s"},
            Check(
                ("CMD-SHELL", "x"), start_period=5 * SECOND, start_interval=SECOND, shell=("/bin/bash", "-c")
            ),
        ),
    ],
)
def test_options_over_the_images_check(config, asked, check):
    assert choose(config, asked.items()) == check


@pytest.mark.parametrize(
    ("config", "asked", "what"),
    [
        (ContainerConfig(), {"interval": "5s"}, "no health check"),
        (ContainerConfig(), {"required": ""}, "--wait-healthy"),
        (IMAGE, {"none": "", "required": ""}, "conflicts"),
        (ContainerConfig(), {"none": "", "cmd": "x"}, "conflicts"),
        (IMAGE, {"interval": "-5s"}, "negative"),
        (IMAGE, {"timeout": "10us"}, "below 1ms"),
        (IMAGE, {"retries": "-1"}, "number"),
        (IMAGE, {"interval": "soon"}, "soon"),
        (ContainerConfig(healthcheck=Healthcheck(test=("ODD", "x"))), {}, "ODD"),
    ],
)
def test_what_is_no_check(config, asked, what):
    with pytest.raises(InvalidError, match=what):
        choose(config, asked.items())
