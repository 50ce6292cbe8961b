"""An engine over a store of its own, and what it told; some tests have others."""

import os
from contextlib import contextmanager

import pytest
from tests.suites.images import open_engine


@pytest.fixture
def events():
    return []


@pytest.fixture
def engine(tmp_path, events):
    with open_engine(tmp_path, emit=events.append) as opened:
        yield opened


@pytest.fixture
def other(tmp_path):
    with open_engine(tmp_path, "other") as opened:
        yield opened


@pytest.fixture
def full_disk(monkeypatch):
    """A context in which no disk has room left."""
    real = os.statvfs

    def small(path):
        found = list(real(path))
        found[4] = 0  # f_bavail
        return os.statvfs_result(found)

    @contextmanager
    def full():
        with monkeypatch.context() as patch:
            patch.setattr(os, "statvfs", small)
            yield

    return full
