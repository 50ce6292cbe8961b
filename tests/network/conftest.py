from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tiffin.network.tool import find


@contextlib.contextmanager
def _namespace():
    """A network namespace of its own, as an open file descriptor; it goes with its one process."""
    own = Path("/proc/self/ns/net").readlink()
    pid = os.posix_spawnp("unshare", ["unshare", "-n", "sleep", "600"], dict(os.environ))
    try:
        place = Path(f"/proc/{pid}/ns/net")
        for _ in range(2000):
            if place.readlink() != own:
                break
            time.sleep(0.002)
        else:
            pytest.fail("no namespace appeared")
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def fresh_namespace():
    """Makes network namespaces: `with fresh_namespace() as descriptor`."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes network namespaces")
    return _namespace


@pytest.fixture
def needs_nft():
    if not find("nft"):
        pytest.skip("needs nft")
