"""What the tests of this folder build with."""

import os

import pytest
from tests.conformance.base import BUSYBOX
from tests.conformance.ours import Builder


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    """An engine of this process, with a store of its own and the base of the cases in it."""
    if os.geteuid() != 0:
        pytest.skip("the owners of files can only be compared by root")
    if not BUSYBOX.exists():
        pytest.skip("the package busybox-static is not installed")
    made = Builder(tmp_path_factory.mktemp("conformance"))
    yield made
    made.close()
