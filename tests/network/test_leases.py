from __future__ import annotations

import json

import pytest

from tiffin.linux.process import Identity
from tiffin.network.leases import DIRECTORY, deserted, leases

OWNER = Identity.own()


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, False),
        ({"10.0.0.2": json.dumps({"owner": OWNER})}, False),
        ({".10.0.0.2.new": "half"}, False),
        ({"10.0.0.2": json.dumps({"owner": OWNER}), "10.0.0.3": json.dumps({"owner": [OWNER.pid, 1]})}, True),
        ({"10.0.0.2": "damaged"}, True),
        ({"10.0.0.2": "{}"}, True),
    ],
)
def test_a_lease_whose_owner_is_dead_is_noticed(tmp_path, files, found):
    assert leases(tmp_path) == []
    assert not deserted(tmp_path)
    (tmp_path / DIRECTORY).mkdir()
    for name, text in files.items():
        (tmp_path / DIRECTORY / name).write_text(text)
    assert deserted(tmp_path) is found
