"""Pulls that are killed, that lie, and that meet: each byte comes once, and nothing is poisoned."""

import contextlib
import errno
import gzip
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import msgspec
import pytest
from tests.engine.test_transfers import CONFIG, GZIP, MANIFEST, digest_of, entry, layer, make  # noqa: F401

from tiffin.engine import collection
from tiffin.engine.lookup import need_image
from tiffin.engine.transfers import pull
from tiffin.errors import CorruptError
from tiffin.oci.descriptor import Descriptor
from tiffin.store import partials

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="layers are unpacked with their owners, which takes root"),
]


@pytest.fixture
def engine(make):  # noqa: F811
    return make()


class Big:
    """An image of one layer that does not compress, in the double; the layer is handed out up to `upto`."""

    def __init__(self, double) -> None:
        text = random.Random(4).randbytes(6 << 20).hex()
        plain = layer(model=text)
        self.data = gzip.compress(plain, 1, mtime=0)
        self.digest = double.put("a/b", self.data)
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        config["rootfs"]["diff_ids"] = [digest_of(plain)]
        packed = msgspec.json.encode(config)
        double.put("a/b", packed)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": entry(packed, CONFIG),
            "layers": [entry(self.data, GZIP)],
        }
        double.put("a/b", msgspec.json.encode(manifest), MANIFEST, "1")
        self.name = f"{double.address}/a/b:1"
        self.double = double
        self.upto = len(self.data)
        self.more = threading.Event()
        self.sent = 0
        double.faults.append(self._answer)

    def _answer(self, handler):
        """The layer, which stops in the middle until it may go on."""
        if handler.command != "GET" or self.digest not in handler.path:
            return False
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        stop = int(wanted[2]) + 1 if wanted and wanted[2] else len(self.data)
        handler.send_response(206 if wanted else 200)
        if wanted:
            handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(self.data)}")
        handler.send_header("Content-Length", str(stop - start))
        handler.end_headers()
        first = max(start, min(stop, self.upto))
        handler.wfile.write(self.data[start:first])
        handler.wfile.flush()
        self.sent += first - start
        if first < stop:
            self.more.wait(60)
            handler.wfile.write(self.data[first:stop])
            self.sent += stop - first
        return True

    def asked(self):
        """From which bytes on the layer was asked for."""
        ranges = [
            one.headers.get("Range", "bytes=0-")
            for one in self.double.seen
            if one.method == "GET" and self.digest in one.path
        ]
        return [int(re.match(r"bytes=(\d+)-", each)[1]) for each in ranges]


@pytest.fixture
def big(double):
    found = Big(double)
    yield found
    found.more.set()


@pytest.fixture
def start(engine, big):
    """Begin `tiffin pull` of the big image in a process of its own, which ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(pulling(engine, big.name))


@contextlib.contextmanager
def pulling(engine, name):
    home = engine.settings.home
    environ = {
        **engine.settings.environ,
        "TIFFIN_HOME": str(home.root),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "tiffin", "pull", "-q", name],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(engine, big, count, process):
    """Wait until so many bytes of the layer are in the store."""
    path = engine.home.partial / big.digest.replace(":", "-")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.stat().st_blocks * 512 >= count:
            return
        time.sleep(0.01)
    pytest.fail(f"the layer never came: {process.stdout.read() if process.poll() is not None else ''}")


def test_a_pull_that_was_killed_asks_only_for_the_rest(engine, big, start):
    big.upto = 4 << 20
    process = start()
    wait_for(engine, big, big.upto - (1 << 20), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    collection.collect(engine)  # which must leave it alone
    big.more.set()
    pull(engine, big.name)
    first, second = big.asked()
    assert first == 0
    assert 2 << 20 <= second <= big.upto
    assert engine.home.blob(need_image(engine, big.name).manifest.layers[0].digest).read_bytes() == big.data
    assert list(engine.home.partial.iterdir()) == []


def test_two_that_pull_the_same_fetch_each_blob_once(engine, big, start):
    big.upto = 4 << 20
    first = start()
    wait_for(engine, big, 1 << 20, first)
    second = start()
    # It has the documents, and now it waits for the layer.
    deadline = time.monotonic() + 60
    while len([one for one in big.double.seen if "/manifests/1" in one.path]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    big.more.set()
    for process in (first, second):
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    assert big.asked() == [0]
    blobs = [one.path for one in big.double.seen if one.method == "GET" and "/blobs/" in one.path]
    assert len(blobs) == len(set(blobs)) == 2  # the layer and the config


def poison(engine, big, data):
    """Leave what a pull from a place that lies would have left."""
    with partials.Partials(engine.home).claim(Descriptor.of(big.data, GZIP), lambda _count: None) as partial:
        partial.write(0, data, partial.turn)


def test_what_was_left_by_a_registry_that_lies_is_thrown_away(engine, big):
    poison(engine, big, bytes(1 << 20))
    pull(engine, big.name)
    assert big.asked() == [1 << 20, 0]
    assert need_image(engine, big.name).config.rootfs.diff_ids
    assert list(engine.home.partial.iterdir()) == []


def test_a_registry_that_lies_leaves_nothing(engine, big):
    big.data = big.data[: 1 << 20] + bytes(16) + big.data[(1 << 20) + 16 :]
    with pytest.raises(CorruptError):
        pull(engine, big.name)
    assert list(engine.home.partial.iterdir()) == []
    assert not engine.layers.all()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_or_quota_that_is_full_is_not_kept_full(engine, big, monkeypatch, code):
    write = partials.Partial.write

    def full(partial, *arguments):
        write(partial, *arguments)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(partials.Partial, "write", full)
    with pytest.raises(OSError, match=os.strerror(code)):
        pull(engine, big.name)
    assert list(engine.home.partial.iterdir()) == []
