"""A pull on every rung: what comes is unpacked meanwhile, and what was cut off is gone on with."""

import random

import pytest
from tests.engine.test_transfers import serve_image

pytestmark = pytest.mark.live


def test_what_was_cut_off_is_gone_on_with_on_every_rung(tiffin, double):
    serve_image(double, "a/b", "1", text=random.Random(1).randbytes(2000).hex())
    name = f"{double.address}/a/b:1"
    left = [True]

    def cut(handler):
        """Give the beginning of each layer, and then nothing more."""
        data = double.blobs.get(("a/b", handler.path.rpartition("/")[2]))
        if not left[0] or handler.command != "GET" or data is None or data[:2] != b"\x1f\x8b":
            return False
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        if start:
            handler.fail(404, "BLOB_UNKNOWN", "gone")
            return True
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:500])
        handler.cut()
        return True

    double.faults.append(cut)
    failed = tiffin("pull", "-q", name, check=False)
    assert failed.returncode == 1, failed.stderr
    left[0] = False
    double.seen.clear()
    tiffin("pull", "-q", name)
    asked = {one.headers.get("Range") for one in double.seen if one.method == "GET" and "/blobs/" in one.path}
    assert "bytes=500-" in asked
    assert name in tiffin("images", "--format", "{{.Repository}}:{{.Tag}}").stdout
    assert "All is as it should be" in tiffin("system", "fsck").stdout
