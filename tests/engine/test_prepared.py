"""A container that begins like one before it is one of its own, and no older than what it is made of."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

BUSYBOX = Path("/bin/busybox")
DOCKERFILE = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nENV PATH=/bin WHICH={}\n"


class Store:
    """A store in a folder, with an image of a shell called `tiny`."""

    def __init__(self, folder) -> None:
        self.home = folder / "home"
        self.context = folder / "context"
        self.context.mkdir()
        shutil.copy(BUSYBOX, self.context / "busybox")
        self.build("first")

    def call(self, *words, check=True, **environ):
        """What a command of ours prints."""
        environ = {**os.environ, "TIFFIN_HOME": str(self.home), **environ}
        command = [sys.executable, "-m", "tiffin", *words]
        return subprocess.run(command, env=environ, check=check, capture_output=True, text=True)

    def build(self, which):
        (self.context / "Dockerfile").write_text(DOCKERFILE.format(which))
        self.call("build", "-q", "-t", "tiny", str(self.context))

    def say(self, script, *options, **environ):
        """The lines that a shell prints in a new container."""
        words = ("run", "--rm", "--network", "none", *options, "tiny", "sh", "-c", script)
        return self.call(*words, **environ).stdout.splitlines()

    @property
    def kept(self):
        return sorted((self.home / "cache" / "starts").iterdir())


@pytest.fixture
def store(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not BUSYBOX.exists():
        pytest.skip("needs busybox-static")
    return Store(tmp_path)


def test_the_id_is_its_own_wherever_it_is_seen(store):
    script = "echo $HOSTNAME; busybox cat /etc/hostname; busybox hostname; busybox tail -n1 /etc/hosts"
    seen = [store.say(script) for _ in range(3)]
    assert len(store.kept) == 1
    for own, *elsewhere in seen:
        assert len(own) == 12
        assert elsewhere[:2] == [own, own]
        assert elsewhere[2].split()[-1] == own
    assert len({lines[0] for lines in seen}) == 3


def test_files_of_one_are_not_those_of_the_next(store):
    script = "busybox ls /; echo > /mine"
    assert store.say(script) == store.say(script)


def test_a_name_that_stands_for_another_image_gives_that(store):
    assert [store.say("echo $WHICH")[0], store.say("echo $WHICH")[0]] == ["first", "first"]
    store.build("second")
    assert [store.say("echo $WHICH")[0], store.say("echo $WHICH")[0]] == ["second", "second"]


def test_what_is_asked_for_and_what_is_lent_count(store):
    script = "echo $A $B"
    asked = [
        store.say(script, "-e", f"A={value}", "-e", "B", B=lent)
        for value, lent in (("1", "x"), ("2", "x"), ("1", "y"), ("1", "x"))
    ]
    assert asked == [["1 x"], ["2 x"], ["1 y"], ["1 x"]]


def test_containers_that_are_kept_say_what_they_are(store):
    first, second = (
        store.call(
            "run", "-d", "--name", name, "--label", "a=b", "tiny", "busybox", "sleep", "60"
        ).stdout.strip()
        for name in ("one", "two")
    )
    try:
        lines = store.call("ps", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Labels}}").stdout.split(
            "\n"
        )
        assert {f"{first} one a=b", f"{second} two a=b"} <= set(lines)
        again = store.call("run", "--name", "two", "-d", "--label", "a=b", "tiny", "sh", check=False)
        assert (again.returncode, "taken" in again.stderr) == (125, True)
    finally:
        store.call("rm", "-f", "one", "two")


@pytest.mark.parametrize("damage", [b"", b"\0\0\0\0", b"rubbish that is long enough to be read"])
def test_what_is_damaged_is_not_believed(store, damage):
    before = store.say("echo well")
    (kept,) = store.kept
    kept.write_bytes(damage)
    assert store.say("echo well") == before == ["well"]


def test_without_its_layers_no_container_begins(store):
    store.say("echo well")
    for layer in (store.home / "layers").iterdir():
        shutil.rmtree(layer)
    lost = store.call("run", "--rm", "--network", "none", "tiny", "sh", "-c", "echo well", check=False)
    assert (lost.returncode, lost.stdout) == (125, "")
    assert not list((store.home / "containers").iterdir())


def test_volumes_are_made_for_each(store):
    script = "busybox ls /data; echo > /data/mine"
    assert [store.say(script, "-v", "/data"), store.say(script, "-v", "/data")] == [[], []]


def test_little_is_kept(store):
    from tiffin.engine import prepared

    folder = store.home / "cache" / "starts"
    store.say("echo well")
    for number in range(prepared._MOST):
        (folder / f"{number:08x}").write_bytes(b"old")
    store.say("echo another")
    assert len(store.kept) <= prepared._MOST // 2 + 2
