"""What several connections for one layer are worth, and what they cost where nothing limits one connection.

Pulls an image from a registry on loopback, with and without a limit for each connection, interleaved:

    python benchmarks/pulls.py [--size MB] [--rate MB/s] [--rounds N] [--other SRC]

`--other` names the `src` folder of another edition, which is measured beside this one.
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ALONE = "import tiffin.engine.arriving as a; a.HELPERS = 0; "
RUN = "from tiffin.cli.main import main; main(['pull', '-q', '{name}'])"


def digest(data: bytes | memoryview) -> str:
    """Name the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_image(size: int, layers: int) -> tuple[dict[str, bytes], bytes]:
    """Blobs by digest, and the manifest: layers of which half is random."""
    blobs, described, diff_ids = {}, [], []
    for number in range(layers):
        out, seed = io.BytesIO(), random.Random(number)
        with tarfile.open(fileobj=out, mode="w") as archive:
            for part in range(size // layers // 2):
                for kind in ("weights", "code"):
                    data = seed.randbytes(1 << 20) if kind == "weights" else b"import this\n" * 87381
                    info = tarfile.TarInfo(f"{number}/{kind}-{part}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        packed = gzip.compress(out.getvalue(), 1, mtime=0)
        diff_ids.append(digest(out.getvalue()))
        blobs[digest(packed)] = packed
        described.append({"mediaType": LAYER, "digest": digest(packed), "size": len(packed)})
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    config = json.dumps({"architecture": machine, "os": "linux", "rootfs": rootfs}).encode()
    blobs[digest(config)] = config
    about = {"mediaType": CONFIG, "digest": digest(config), "size": len(config)}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": described}
    return blobs, json.dumps(manifest).encode()


class Registry(BaseHTTPRequestHandler):
    """As much of a registry as a pull needs; `rate` bytes a second for each connection, 0 for no limit."""

    protocol_version = "HTTP/1.1"
    blobs: ClassVar[dict[str, bytes]] = {}
    manifest = b""
    rate = 0

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer for manifests and blobs, and parts of them."""
        data, kind = self.blobs.get(self.path.rpartition("/")[2]), "application/octet-stream"
        if "/manifests/" in self.path:
            data, kind = self.manifest, MANIFEST
        data = memoryview(data or b"{}")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        self.send_response(206 if wanted else 200)
        if wanted:
            first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            data = data[first : last + 1]
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", digest(data))
        self.end_headers()
        if self.command == "GET":
            self._send(data)

    do_HEAD = do_GET  # noqa: N815  # its name in the library

    def _send(self, data: memoryview) -> None:
        with contextlib.suppress(ConnectionError):
            self._pour(data)

    def _pour(self, data: memoryview) -> None:
        step = max(self.rate // 20, 1) if self.rate else len(data) or 1
        begun = time.monotonic()
        for at in range(0, len(data), step):
            self.wfile.write(data[at : at + step])
            if self.rate:
                time.sleep(max(0.0, begun + (at + step) / self.rate - time.monotonic()))


def pull(source: Path, code: str, name: str) -> float:
    """The seconds of one pull into a new store."""
    home = tempfile.mkdtemp(prefix="tiffin-pulls-")
    environ = {**os.environ, "TIFFIN_HOME": home, "PYTHONPATH": str(source)}
    try:
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", code.format(name=name)], env=environ, check=True, stdout=-3)
        return time.monotonic() - begun
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Print a line for each way to pull."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rate", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--other", type=Path)
    asked = parser.parse_args()
    own = Path(__file__).parents[1] / "src"
    ways = {"as it is": (own, RUN), "one connection a layer": (own, ALONE + RUN)}
    if asked.other:
        ways["the other edition"] = (asked.other, RUN)
    for layers in (1, 4):
        Registry.blobs, Registry.manifest = make_image(asked.size, layers)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        name = f"127.0.0.1:{server.server_port}/bench/image:1"
        for rate in (0, asked.rate):
            Registry.rate = rate << 20
            times = {way: [] for way in ways}
            for _ in range(asked.rounds):
                for way, (source, code) in ways.items():
                    times[way].append(pull(source, code, name))
            limit = f"{rate} MB/s a connection" if rate else "no limit"
            for way, found in times.items():
                print(f"{layers} layers, {limit:24} {way:24} {statistics.median(found):6.2f} s")
        server.shutdown()


if __name__ == "__main__":
    main()
