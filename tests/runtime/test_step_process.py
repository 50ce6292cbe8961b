"""A step in a process of its own, started from threads (rung root)."""

import os
import signal
import threading
import time

import pytest

from tiffin.errors import FailedError, NotFoundError
from tiffin.runtime import step_process

pytestmark = pytest.mark.live


def run(plan, **options):
    """Run the plan with its output in a pipe; return the status and the output."""
    read, write = os.pipe()
    null = os.open("/dev/null", os.O_RDONLY)
    try:
        step = step_process.start(plan, stdin=null, stdout=write, stderr=write, **options)
    finally:
        os.close(write)
        os.close(null)
    output = b""
    while part := os.read(read, 4096):
        output += part
    os.close(read)
    return step.wait(), output.decode()


def test_it_runs_and_tells_the_status(box):
    assert run(box.plan("sh", "-c", "echo hello; exit 5")) == (5, "hello\n")
    assert run(box.plan("sh", "-c", "sh -c 'kill -15 $$; true'; exit $?"))[0] == 143


def test_threads_run_steps_at_once(box):
    plans = [box.plan("sh", "-c", f"echo {number}") for number in range(6)]
    results = {}
    threads = [
        threading.Thread(target=lambda n=number, p=plan: results.update({n: run(p)}))
        for number, plan in enumerate(plans)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: (0, f"{number}\n") for number in range(6)}


@pytest.mark.parametrize(
    ("command", "kind", "status"), [("nosuch", NotFoundError, 127), ("/etc/passwd", FailedError, 126)]
)
def test_a_failure_comes_back_as_an_error(box, command, kind, status):
    with pytest.raises(kind) as caught:
        run(box.plan(command))
    assert caught.value.exit_status == status
    assert command in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_it_can_be_ended(box, way):
    read, write = os.pipe()
    null = os.open("/dev/null", os.O_RDONLY)
    step = step_process.start(
        box.plan("sh", "-c", "echo $$; sleep 100"), stdin=null, stdout=write, stderr=write
    )
    os.close(write)
    os.close(null)
    assert os.read(read, 100) == b"1\n"
    began = time.monotonic()
    getattr(step, way)()
    assert step.wait() in {137, 143}  # 143: when it had not yet seen the program begin
    assert os.read(read, 1) == b""  # the container is gone too: nobody holds the pipe any more
    assert time.monotonic() - began < 20
    os.close(read)


def test_it_ends_with_a_caller_that_is_killed(box):
    plan = box.plan("sh", "-c", "echo begun; sleep 1000")
    read, write = os.pipe()
    caller = os.fork()
    if caller == 0:
        null = os.open("/dev/null", os.O_RDONLY)
        step_process.start(plan, stdin=null, stdout=write, stderr=write).wait()
        os._exit(0)
    os.close(write)
    assert os.read(read, 6) == b"begun\n"
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    assert os.read(read, 1) == b""  # nobody has the other end any more
    os.close(read)


def test_nothing_of_the_environment_passes(box, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    status, output = run(box.plan("env"))
    assert status == 0
    assert "SECRET" not in output


def test_no_descriptors_leak(box):
    before = os.listdir("/proc/self/fd")
    assert run(box.plan("sh", "-c", "ls /proc/$$/fd; true"))[1].split() == ["0", "1", "2"]
    assert os.listdir("/proc/self/fd") == before
