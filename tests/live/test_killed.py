"""A build that is killed: what it finished is used, what it began is done again, and nothing is held up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.live.machine import BUSYBOX, NEEDS

PROJECT = Path(__file__).parents[2]

pytestmark = NEEDS

DOCKERFILE = """
FROM scratch AS base
COPY busybox /bin/sh
RUN read id </proc/sys/kernel/random/uuid; echo $id >/stamp

FROM base
RUN --mount=type=cache,target=/sign echo begun >/half; echo running; \
    [ -e /sign/go ] || /bin/sh -c 'kill -STOP $$'; echo whole >/half
"""

CHILD = """
import sys
from pathlib import Path
from tests.live.machine import Machine
from tiffin.events import StepLog, StepStarted

def tell(event):
    if isinstance(event, StepLog | StepStarted):
        print(f"said {event.data}" if isinstance(event, StepLog) else event.name, flush=True)

one = Machine(Path(sys.argv[1]), "one")
one.engine.emit = tell
one.build(Path(sys.argv[1]) / "context", cache_to=tuple(sys.argv[2:]))
"""


def kill_at(line, *words):
    """Start a build in a process of its own, and kill it when it has written `line`."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *words],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    for text in child.stdout:
        said.append(text)
        if line in text:
            break
    child.kill()
    child.wait()
    child.stdout.close()
    assert line in said[-1], "".join(said)


@pytest.fixture
def context(tmp_path):
    place = tmp_path / "context"
    place.mkdir()
    shutil.copy(BUSYBOX, place / "busybox")
    (place / "Dockerfile").write_text(DOCKERFILE)
    return place


def test_finished_steps_of_a_killed_build_are_used_and_the_half_one_is_done_again(machine, context, tmp_path):
    kill_at("said b'running", tmp_path)  # and there the step would stand still for ever
    one = machine("one")
    first = one.build(context, target="base")
    assert one.ran() == []
    (place,) = (tmp_path / "one/cache/mounts").glob("*/data")
    (place / "go").write_text("")
    second = one.build(context)
    assert [name.partition(" echo")[0] for name in one.ran()] == ["RUN --mount=type=cache,target=/sign"]
    assert one.read(second, "/stamp") == one.read(first, "/stamp") != b""
    assert one.read(second, "/half") == b"whole\n"


@pytest.mark.parametrize("moment", ["layer", "manifest"])
def test_a_cache_whose_export_was_killed_is_the_one_before_or_the_new_one(machine, context, tmp_path, moment):
    (context / "Dockerfile").write_text(DOCKERFILE.partition("FROM base")[0])
    to = f"type=local,dest={tmp_path}/kept,mode=max"
    one, two, three = machine("one"), machine("two"), machine("three")
    one.build(context, cache_to=(to,))
    with (context / "Dockerfile").open("a") as file:
        file.write("RUN echo more >/more\n")
    kill_at(moment, tmp_path, to)
    two.build(context, cache_from=(f"type=local,src={tmp_path}/kept",))
    assert two.ran() in ([], ["RUN echo more >/more"])
    assert two.notices == []
    one.build(context, cache_to=(to,))
    three.build(context, cache_from=(f"type=local,src={tmp_path}/kept",))
    assert three.ran() == []
