"""An engine over a store of its own whose events are kept, and a registry in this process."""

import pytest
from tests.doubles.registry import RegistryDouble
from tests.suites.images import open_engine


@pytest.fixture
def events():
    return []


@pytest.fixture
def engine(tmp_path, events):
    with open_engine(tmp_path, emit=events.append) as opened:
        yield opened


@pytest.fixture
def double():
    with RegistryDouble().serve() as served:
        yield served
