"""Builds, pulls, runs and prunes of many processes at once: none disturbs another, and the store is whole."""

import itertools
import os
from pathlib import Path

import pytest
from tests.live.crowd import Crowd

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="it takes a store of root's"),
    pytest.mark.skipif(
        not Path("/bin/busybox").exists(), reason="the package busybox-static is not installed"
    ),
]


def test_many_at_once(double, tmp_path):
    crowd = Crowd(tmp_path, double.address)
    crowd.prepare()
    turns = itertools.count()
    said = crowd.all_at_once(4, lambda: next(turns) < 16)
    assert crowd.failures == []
    assert said.endswith("All is as it should be")
