import os
import subprocess
import sys

import pytest

from tiffin.store.leases import Leases, process_identity

HOLD = """
import sys
from pathlib import Path
from tiffin.store.db import Database
from tiffin.store.leases import Leases
with Leases(Database(Path(sys.argv[1]))).hold("build") as lease:
    lease.add("blob", "sha256:child")
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def leases(db):
    return Leases(db)


def test_a_lease_protects_while_its_block_runs(leases):
    with leases.hold("build") as lease:
        lease.add("blob", "a")
        lease.add_all([("layer", "b"), ("blob", "a")])
        assert leases.holding().items == {("blob", "a"), ("layer", "b")}
    assert leases.holding() == (frozenset(), None)


def test_a_failed_block_ends_its_lease(leases):
    def broken():
        with leases.hold("build") as lease:
            lease.add("blob", "a")
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert leases.holding().items == frozenset()


def test_leases_tell_since_when_everything_new_is_protected(db):
    now = iter(range(100, 10_000, 100))
    leases = Leases(db, clock=now.__next__)
    with leases.hold("first"), leases.hold("second"):
        assert leases.holding().since == 100


def test_a_lease_dies_with_its_process(home, leases):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, home.database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"held\n"
        assert leases.holding().items == {("blob", "sha256:child")}
        child.kill()
        child.wait()
        assert leases.holding() == (frozenset(), None)


def test_a_zombie_holds_nothing(home, leases):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, home.database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"held\n"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert leases.holding().items == frozenset()


@pytest.mark.parametrize(
    ("change", "lives"),
    [
        ({}, True),
        ({"boot": "another boot"}, False),
        ({"start": "12345"}, False),
        ({"namespace": "1", "expires": 10**30 // 10**12}, True),
        ({"namespace": "1", "expires": 1}, False),
    ],
)
def test_a_lease_lives_as_long_as_the_very_process_that_took_it(db, leases, change, lives):
    boot, namespace, start = process_identity(os.getpid()).split("/")
    parts = {"boot": boot, "namespace": namespace, "start": start, "expires": 1} | change
    started = "{boot}/{namespace}/{start}".format(**parts)
    with db.transaction() as connection:
        row = ("id", os.getpid(), started, parts["expires"], "build", 5)
        connection.execute("INSERT INTO lease VALUES (?, ?, ?, ?, ?, ?)", row)
    expires = parts["expires"]
    frozen = Leases(db, clock=lambda: expires - 1 if lives else expires + 1)
    assert (frozen.holding().since == 5) is lives


def test_an_identity_is_of_one_process():
    own = process_identity(os.getpid())
    assert own == process_identity(os.getpid())
    assert own != process_identity(1)
    assert process_identity(2**22 + 1).endswith("/")
