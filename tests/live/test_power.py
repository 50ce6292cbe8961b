"""A power cut: what a command has said to be there is there, the rest is as if it had never been begun."""

import shutil
from pathlib import Path

import pytest
from tests.doubles.power import NAMES, NOTHING, OPTIONS, PowerMachine, lacks

BUSYBOX = Path("/bin/busybox")

pytestmark = [pytest.mark.live, pytest.mark.skipif(bool(lacks()), reason=lacks() or "it has all")]

DOCKERFILE = """\
FROM scratch
ARG number
LABEL number=${number}
COPY busybox /bin/sh
COPY data /data
RUN --network=none echo made >/made
"""


@pytest.fixture
def machine(request, tmp_path):
    made = PowerMachine(tmp_path, request.param)
    made.context = tmp_path / "context"
    made.context.mkdir()
    shutil.copy(BUSYBOX, made.context / "busybox")
    (made.context / "Dockerfile").write_text(DOCKERFILE)
    (made.context / "data").write_text("0123456789" * 50_000)
    return made


def build(machine, number, *names):
    tags = [word for name in names for word in ("-t", name)]
    machine("build", "-q", "--network", "none", "--build-arg", f"number={number}", *tags, machine.context)


@pytest.mark.parametrize(
    ("machine", "reaches"),
    [(OPTIONS[0], NOTHING), (OPTIONS[1], NAMES)],
    ids=["delayed-nothing", "writeback-names"],
    indirect=["machine"],
)
def test_what_was_said_is_there_after_a_cut_and_the_rest_is_whole(machine, reaches):
    with machine.on():
        build(machine, 1, "app", "old")
    with machine.on(busy=True):
        build(machine, 2, "app")
        machine("tag", "app", "again")
        machine("rmi", "old")
        machine("volume", "create", "kept")
        machine("network", "create", "--internal", "ours")
        machine("run", "--name", "over", "--network", "none", "app", "/bin/sh", "-c", "exit 3", check=False)
        machine("create", "--name", "later", "--network", "none", "-v", "kept:/kept", "app", "/bin/sh")
        machine("save", "-o", machine.mounted / "saved.tar", "app")
        before = machine.facts()
        machine(
            "run", "-d", "--name", "on", "--network", "none", "app", "/bin/sh", "-c", "read line </dev/zero"
        )
        machine.start("build", "-q", "--network", "none", "--no-cache", "-t", "next", machine.context)
        machine.cut(reaches)
    with machine.on():
        machine("system", "fsck")
        after = machine.facts()
        ended = after["containers"].pop("on")
        assert ended == ["exited", 137]
        after["images"].pop("next:latest", None)
        assert after == before
        assert after["images"]["app:latest"] == after["images"]["again:latest"]
        assert after["images"]["app:latest"][1] == "2"
        machine("load", "-q", "-i", machine.mounted / "saved.tar")
        machine("start", "later")
        machine(
            "run", "--rm", "--network", "none", "app", "/bin/sh", "-c", "read made </made && [ $made = made ]"
        )
        machine("rm", "-f", "over", "later", "on")
        build(machine, 3, "app")
        machine("system", "prune", "-af")
        machine("system", "fsck")
