"""An engine over a store of its own, and what it told; some tests have others."""

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
