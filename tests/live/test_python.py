"""`import tiffin` for real: from this process, which has threads, from that of a user, and by pytest."""

import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tiffin
from tiffin.errors import FailedError, InvalidError, NotFoundError, UnsupportedError
from tiffin.events import StepDone, StepStarted

pytestmark = pytest.mark.live

BUSYBOX = Path("/bin/busybox")
PAGE = Path(__file__).parents[2] / "docs/python.md"
SERVE = """
FROM scratch
COPY busybox /bin/sh
COPY busybox /bin/busybox
COPY busybox /bin/cat
COPY healthz /srv/healthz
ENV SHAPE=round
HEALTHCHECK --interval=100ms CMD ["busybox", "wget", "-qO/dev/null", "http://127.0.0.1:8000/healthz"]
CMD ["sh", "-c", "echo up; echo ready >&2; exec busybox httpd -f -p 8000 -h /srv"]
"""


def context(folder):
    shutil.copy(BUSYBOX, folder / "busybox")
    (folder / "healthz").write_text("fine")
    (folder / "Dockerfile").write_text(SERVE)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with the image `finca-serving`, and the folder that it is made from."""
    if os.geteuid() != 0 or not BUSYBOX.exists():
        pytest.skip("needs root and busybox-static")
    folder = tmp_path_factory.mktemp("python")
    context(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIFFIN_HOME", str(folder / "store"))
        tiffin.build(folder, tag="finca-serving")
        yield folder


@pytest.fixture
def home(store, monkeypatch):
    monkeypatch.setenv("TIFFIN_HOME", str(store / "store"))
    monkeypatch.chdir(store)
    yield store
    assert tiffin.containers(all=True) == []


def namespaces():
    return {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}


def test_a_container_is_run_looked_at_and_removed(home):
    before = namespaces()
    shape, image = {"SHAPE": "flat"}, "type=image,source=finca-serving,target=/again,image-subpath=bin"
    serving = tiffin.run("finca-serving", env=shape, network="none", memory="64m", mounts=image, wait=True)
    with serving as one:
        assert one.exec(["sh", "-c", "ls /again | grep -x busybox"]).text == "busybox\n"
        assert one.inspect()["HostConfig"]["Memory"] == 64 << 20
        done = one.exec(["sh", "-c", "echo $SHAPE; echo no >&2; exit 3"])
        assert (done.exit_code, done.text, done.stderr) == (3, "flat\n", b"no\n")
        with pytest.raises(FailedError, match="ended with status 3") as caught:
            one.exec(["sh", "-c", "echo why >&2; exit 3"], check=True)
        assert caught.value.output == "why\n"
        assert (one.logs(stderr=False), one.logs(stdout=False)) == ("up\n", "ready\n")
        assert one.status == "running"
        assert tiffin.containers() == [one] == [tiffin.container(one.name)]
        with pytest.raises(TimeoutError):
            one.wait(timeout=0.01)
        one.pause()
        assert one.status == "paused"
        one.unpause()
        assert one.status == "running"
        one.kill()
        assert one.wait() == 137
        assert tiffin.containers() == []
    with pytest.raises(NotFoundError):
        one.inspect()
    assert namespaces() == before


def test_calls_from_many_threads_at_once(home):
    outputs = {}

    def work(number):
        with tiffin.run("finca-serving", ["sh", "-c", f"echo {number}"], network="none") as one:
            one.wait()
            outputs[number] = one.logs()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == {number: f"{number}\n" for number in range(3)}


def test_a_build_tells_its_progress_and_fails_as_the_command_does(home):
    events = []
    image = tiffin.build(".", tag=["finca-serving", "second:1"], progress=events.append)
    assert image.tags == ("finca-serving:latest", "second:1")
    assert {type(event) for event in events} >= {StepStarted, StepDone}
    assert image.layers()[0].created_by == "COPY busybox /bin/sh"
    assert image == tiffin.image("second:1")
    assert image.inspect()["Config"]["Env"][-1] == "SHAPE=round"
    (home / "broken").write_text("FROM scratch\nCOPI a b\n")
    with pytest.raises(InvalidError, match="COPI") as caught:
        tiffin.build(".", dockerfile="broken")
    assert (caught.value.where.file, caught.value.where.line) == ("broken", 2)
    (home / "failing").write_text('FROM finca-serving\nRUN ["sh", "-c", "echo so it is; exit 4"]\n')
    with pytest.raises(FailedError) as failed:
        tiffin.build(".", dockerfile="failing", network="none")
    assert "so it is" in failed.value.output


def test_what_progress_raises_ends_the_build(home):
    def no(event):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tiffin.build(".", progress=no)


def test_a_container_that_does_not_become_ready_is_removed_and_says_why(home):
    with pytest.raises(FailedError) as caught:
        tiffin.run("finca-serving", ["sh", "-c", "echo no model; exit 1"], network="none", wait=True)
    assert caught.value.output == "no model\n"


def test_options_of_devices_reach_the_engine(home):
    with pytest.raises(UnsupportedError, match="--gpus colour=red: colour is not supported"):
        tiffin.run("finca-serving", gpus="colour=red")


def test_a_worker_that_dies_is_told_of(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tiffin.python.child._START", "import sys; sys.exit('gone')")
        with pytest.raises(FailedError, match="ended with status 1 before it answered") as caught:
            tiffin.images()
    assert caught.value.output == "gone\n"


def test_the_examples_of_the_page_run(home, capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    *examples, fixture = blocks
    space = {}
    for block in examples:
        exec(compile(block, str(PAGE), "exec"), space)
    printed = capsys.readouterr().out
    assert "/healthz" in printed
    assert "up\nready\n" in printed
    assert "not-found there is no image finca-servin" in printed
    (home / "test_page.py").write_text(fixture)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=home)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


USERS = """
import os, sys, threading
import tiffin

end = threading.Event()
threading.Thread(target=end.wait).start()
before = os.readlink("/proc/self/ns/user"), os.getuid()
image = tiffin.build(sys.argv[1], tag="finca-serving")
with tiffin.run(image, network="none", wait=True) as one:
    print(one.exec(["sh", "-c", "echo $SHAPE"]).text, one.logs(stderr=False), one.status)
assert tiffin.containers(all=True) == []
assert (os.readlink("/proc/self/ns/user"), os.getuid()) == before
end.set()
"""


@pytest.mark.parametrize("tiffin", ["rootless"], indirect=True)
def test_a_user_without_root_runs_containers_from_a_process_with_threads(tiffin, folder):
    context(folder)
    (folder / "Dockerfile").chmod(0o644)
    *switch, command = tiffin.command
    python = [*switch, str(Path(command).with_name("python")), "-c", USERS, str(folder)]
    done = subprocess.run(python, check=False, capture_output=True, text=True, env=tiffin.env, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["round", "up", "running"]
