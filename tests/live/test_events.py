"""What `events` tells of real containers, images and volumes, in Docker's words and order."""

import json
import os
import signal
import subprocess
import time

import pytest
from tests.live.test_run import until

pytestmark = [pytest.mark.live, pytest.mark.parametrize("tiffin", ["root"], indirect=True)]


@pytest.fixture
def name(tiffin):
    """A name for one container, which is removed in the end."""
    given = f"told-{os.urandom(4).hex()}"
    yield given
    tiffin("rm", "-f", "-v", given, check=False)


def told(tiffin, name, form="{{.Action}}", since="0"):
    done = tiffin(
        "events", "--since", since, "--until", "0s", "--filter", f"container={name}", "--format", form
    )
    return done.stdout.splitlines()


def test_the_life_of_a_container(tiffin, busybox, name):
    options = ("--network", "none", "--name", name, "--label", "tier=front", "--label", "oldName=none")
    checks = ("--health-cmd", "true", "--health-interval", "50ms", "--wait-healthy")
    tiffin(
        "run",
        "-d",
        *options,
        *checks,
        busybox,
        "sh",
        "-c",
        "trap 'exit 3' TERM; while :; do sleep 0.05; done",
    )
    tiffin("exec", name, "sh", "-c", "exit 5", check=False)
    until(lambda: "exec_die" in told(tiffin, name), "the end of the other process")
    tiffin("pause", name)
    tiffin("unpause", name)
    tiffin("kill", "-s", "USR1", name)
    tiffin("rename", name, f"{name}-b")
    tiffin("stop", f"{name}-b")
    tiffin("rename", f"{name}-b", name)
    tiffin("rm", name)
    assert told(tiffin, name) == [
        "create",
        "start",
        "health_status: healthy",
        "exec_create: sh -c exit 5",
        "exec_start: sh -c exit 5",
        "exec_die",
        "pause",
        "unpause",
        "kill",
        "rename",
        "kill",
        "die",
        "stop",
        "rename",
        "destroy",
    ]
    everything = [json.loads(line) for line in told(tiffin, name, "{{json .}}")]
    about = {event["Action"]: event["Actor"]["Attributes"] for event in everything}
    assert all(event["from"] == busybox and event["scope"] == "local" for event in everything)
    assert all(words["tier"] == "front" and words["image"] == busybox for words in about.values())
    assert about["die"]["exitCode"] == "3"
    assert about["die"]["execDuration"].isdigit()
    assert about["die"]["name"] == f"{name}-b"  # its supervisor has heard of the new name
    assert about["kill"]["signal"] == "15"
    assert about["exec_die"]["exitCode"] == "5"
    assert about["exec_die"]["execID"] == about["exec_start: sh -c exit 5"]["execID"]
    assert about["rename"]["oldName"] == f"/{name}-b"


def test_a_container_of_the_foreground_that_goes_when_it_ends(tiffin, busybox, name):
    options = ("--rm", "--network", "none", "--name", name, "--memory", "32m", "--memory-swap", "32m")
    hungry = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo $x | wc -c"
    tiffin("run", *options, busybox, "sh", "-c", hungry, check=False)
    assert told(tiffin, name) == ["create", "start", "oom", "die", "destroy"]


def test_one_in_the_background_is_told_of_once(tiffin, busybox, name):
    begun = str(int(time.time()))  # a volume is made in the second before its container, at times
    tiffin("run", "-d", "--rm", "-v", "/data", "--network", "none", "--name", name, busybox, "sleep", "1000")
    tiffin("rm", "-f", name)
    assert told(tiffin, name) == ["create", "start", "kill", "die", "destroy"]
    done = tiffin(
        "events", "--since", begun, "--until", "0s", "--filter", "type=volume", "--format", "{{.Action}}"
    )
    assert done.stdout.split()[-2:] == ["create", "destroy"]


def test_the_end_of_one_whose_supervisor_was_killed_is_told_once(tiffin, busybox, name):
    tiffin("run", "-d", "--network", "none", "--name", name, busybox, "sleep", "1000")
    identity = tiffin("inspect", "--format", "{{.Id}}", name).stdout.strip()
    wire = json.loads((tiffin.store / "containers" / identity / "state.json").read_text())
    os.kill(wire["supervisor"][0], signal.SIGKILL)
    until(lambda: tiffin("ps", "-q", "--filter", f"name={name}").stdout == "", "its end")
    tiffin("start", name)
    assert told(tiffin, name) == ["create", "start", "die", "start"]
    tiffin("rm", "-f", name)
    assert told(tiffin, name)[4:] == ["kill", "die", "destroy"]


def test_a_follower_hears_of_images_and_volumes_at_once(tiffin, busybox, name):
    command = [*tiffin.command, "events", "--filter", "type=image", "--filter", "type=volume"]
    form = ["--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"]
    with subprocess.Popen(
        [*command, *form, "--since", str(time.time())],
        stdout=subprocess.PIPE,
        text=True,
        env=tiffin.env,
        cwd=tiffin.home,
    ) as follower:
        try:
            tiffin("tag", busybox, f"{name}:1")
            assert follower.stdout.readline() == f"image tag {name}:1\n"
            tiffin("rmi", f"{name}:1")
            assert follower.stdout.readline() == f"image untag {name}:1\n"
            tiffin("volume", "create", name)
            assert follower.stdout.readline() == "volume create <no value>\n"
            tiffin("volume", "rm", name)
            assert follower.stdout.readline() == "volume destroy <no value>\n"
        finally:
            follower.send_signal(signal.SIGINT)
        assert follower.stdout.read() == ""
