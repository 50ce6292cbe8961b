import pytest

from tiffin.base.lock import Lock, LockedPackage, LockedSource, decode_lock
from tiffin.errors import InvalidError

LOCK = Lock(
    distribution="tin",
    suite="tinny",
    architecture="amd64",
    flavour="runtime",
    python=True,
    include=("curl",),
    epoch=1_700_000_000,
    sources=(LockedSource("http://mirror.example.org/tin", "tinny", ("main",)),),
    packages=(
        LockedPackage("a", "1:2-3", "all", "a" * 64, 10, "pool/a.deb", "http://mirror.example.org/tin"),
    ),
)


def test_there_and_back():
    assert decode_lock(LOCK.encode(), "base.lock") == LOCK
    assert LOCK.encode().endswith(b"}\n")
    assert b'\n   "package": "a",\n' in LOCK.encode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a" * 64, "a" * 63),
        ('"runtime"', '"tiny"'),
        ('"epoch": 1700000000', '"epoch": "now"'),
        ('"version": 1\n', '"version": 2\n'),
        ('"packages"', '"parcels"'),
        ("{", "["),
    ],
)
def test_a_broken_lock_names_the_file(old, new):
    text = LOCK.encode().decode()
    assert old in text
    with pytest.raises(InvalidError, match=r"^base\.lock is not a lock of a base"):
        decode_lock(text.replace(old, new).encode(), "base.lock")


def test_the_digest_tells_locks_apart():
    other = decode_lock(LOCK.encode().replace(b"1:2-3", b"1:2-4"), "l")
    assert other.digest != LOCK.digest
