"""Hooks of a container's start, run for real (rung root)."""

import json
import os
import tempfile
from pathlib import Path

import msgspec
import pytest

from tiffin.errors import FailedError, UnsupportedError
from tiffin.oci.runtimespec import Hook, Hooks
from tiffin.runtime.model import Rootfs, pack, unpack
from tiffin.runtime.plan import make_plan

pytestmark = pytest.mark.live


@pytest.fixture
def program():
    """Makes programs where everybody finds them: hooks are nobody in particular on this side."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)

        def make(text):
            path = Path(folder) / f"hook{len(os.listdir(folder))}"
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
            return str(path)

        yield make


def plan(box, hooks, *command):
    upper = box.folder / "run" / "upper"
    upper.mkdir(parents=True)
    upper.with_name("work").mkdir()
    spec = msgspec.structs.replace(box.spec(*command), hooks=hooks)
    rootfs = Rootfs((str(box.layer),), str(upper), str(upper.with_name("work")))
    return unpack(pack(make_plan(spec, rootfs, machine=box.place.machine)))


def run(box, hooks, *command):
    child, read = box.start(plan(box, hooks, *command))
    output = box.drain(read)
    return child.wait(), output


def test_a_hook_finishes_the_root_filesystem(box, program):
    hook = program(
        'state=$(cat); bundle=$(echo "$state" | sed "s/.*bundle\\": *\\"//; s/\\".*//")\n'
        'root=$(sed "s/.*path\\": *\\"//; s/\\".*//" $bundle/config.json)\n'
        'echo "$state" > $root/state; echo "$1 $WORD $(id -u)" > $root/said; ln -s said $root/link'
    )
    hooks = Hooks(create_container=(Hook(hook, ("hook", "argument"), ("WORD=word", "PATH=/usr/bin:/bin")),))
    status, output = run(box, hooks, "sh", "-c", "cat /link; cat /state")
    said, state = output.splitlines()
    # Root of the container, who is nobody outside: more it never is.
    assert (status, said) == (0, "argument word 0")
    assert json.loads(state)["status"] == "creating"
    assert (box.folder / "run/upper/said").stat().st_uid == 0  # as the layer has it
    assert not list(Path(tempfile.gettempdir()).glob("tiffin-bundle-*"))


def test_hooks_come_in_their_order_before_the_program(box, program):
    note = 'cat > /dev/null; bundle=/; for p in /proc/[0-9]*; do :; done; echo "$1" >> $2'
    trace = Path(program("true")).with_name("trace")
    trace.touch()
    trace.chmod(0o666)
    hook = program(note)

    def call(name):
        return Hook(hook, ("hook", name, str(trace)), ("PATH=/usr/bin:/bin",))

    hooks = Hooks(prestart=(call("1"),), create_runtime=(call("2"),), create_container=(call("3"), call("4")))
    assert run(box, hooks, "true")[0] == 0
    assert trace.read_text().split() == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "timeout", "message"),
    [("exit 3", None, "exit status 3"), ("sleep 100", 1, "within 1 s")],
)
def test_a_hook_that_fails_is_the_end(box, program, text, timeout, message):
    with pytest.raises(FailedError, match=message) as caught:
        run(box, Hooks(prestart=(Hook(program(text), (), ("PATH=/usr/bin:/bin",), timeout),)), "true")
    assert caught.value.exit_status == 125


def test_a_hook_that_reads_nothing_is_no_failure(box, program):
    assert run(box, Hooks(prestart=(Hook(program("exit 0")),)), "true")[0] == 0


def test_a_hook_of_the_host_is_walled_in(box, program, tmp_path):
    """It is as mighty as root in the container, and no more: files of root outside are not its."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    tmp_path.chmod(0o755)
    secret.chmod(0o600)
    hooks = Hooks(prestart=(Hook(program(f"cat {secret}"), (), ("PATH=/usr/bin:/bin",)),))
    with pytest.raises(FailedError, match="exit status 1"):
        run(box, hooks, "true")


def test_other_moments_are_refused(box):
    with pytest.raises(UnsupportedError, match="after its start"):
        plan(box, Hooks(poststart=(Hook("/bin/true"),)), "true")


def test_a_failing_setup_does_not_wait_for_hooks(box, program):
    """The child ends before its root filesystem is complete: the launcher hears why."""
    broken = plan(box, Hooks(prestart=(Hook(program("exit 0")),)), "true")
    broken = broken._replace(sources=(*broken.sources[:-1], broken.sources[0]._replace(path="/etc/passwd")))
    with pytest.raises(FailedError, match="could not be started"):
        box.start(broken)
