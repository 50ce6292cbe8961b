import shutil

import pytest

from tiffin.base.keys import Keys
from tiffin.base.verify import Signed, good_signatures, verify
from tiffin.errors import CorruptError, DeniedError, UnsupportedError

TEXT = "Origin: Tin\nSuite: tinny\n- a line with a dash\nlast: line\n"
TOOLS = [tool for tool in ("gpgv", "sqv") if shutil.which(tool)]


def keys(*rings, fingerprints=()):
    return Keys(rings, fingerprints, "the ring")


@pytest.fixture(params=TOOLS or ["gpgv"])
def check(request, verifiers):
    """Verify with one of the tools that this machine has."""

    def run(signed, trusted):
        return verify(signed, trusted, tools=(request.param,))

    return run


def test_a_good_signature_gives_the_signed_text(check, archive_key):
    assert (
        check(Signed("InRelease", archive_key.inline(TEXT)), keys(archive_key.ring)).decode().strip()
        == TEXT.strip()
    )


def test_a_detached_signature(check, archive_key):
    data = TEXT.encode()
    assert check(Signed("Release", data, archive_key.detached(data)), keys(archive_key.ring)) == data
    with pytest.raises(DeniedError):
        check(Signed("Release", data + b"more\n", archive_key.detached(data)), keys(archive_key.ring))


def test_one_of_several_rings_is_enough(check, archive_key, other_key):
    trusted = keys(other_key.ring, archive_key.ring)
    assert check(Signed("InRelease", archive_key.inline(TEXT)), trusted)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"tinny", b"other"),
        lambda data: data.replace(b"Origin: Tin\n", b""),
        lambda data: data.replace(b"last: line\n", b"last: line\nSHA256:\n"),
    ],
)
def test_a_changed_text_is_refused(check, archive_key, change):
    with pytest.raises(DeniedError, match="not signed by a key of the ring"):
        check(Signed("InRelease", change(archive_key.inline(TEXT))), keys(archive_key.ring))


def test_another_key_is_refused(check, archive_key, other_key):
    with pytest.raises(DeniedError, match="InRelease is not signed"):
        check(Signed("InRelease", other_key.inline(TEXT)), keys(archive_key.ring))


def test_an_expired_key_is_refused(check, kit):
    old = kit.Key("expired", lifetime=30 * kit.DAY)
    with pytest.raises(DeniedError):
        check(Signed("InRelease", old.inline(TEXT)), keys(old.ring))


def test_only_the_named_fingerprint_counts(check, archive_key, other_key):
    signed = Signed("InRelease", archive_key.inline(TEXT))
    both = archive_key.ring + other_key.ring
    assert check(signed, keys(both, fingerprints=(archive_key.fingerprint,)))
    assert check(signed, keys(both, fingerprints=(archive_key.fingerprint + "!",)))
    with pytest.raises(DeniedError):
        check(signed, keys(both, fingerprints=(other_key.fingerprint,)))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: b"Origin: Evil\n\n" + data,
        lambda data: data + b"Origin: Evil\n",
        lambda data: data + data,
        lambda data: data[: data.index(b"-----BEGIN PGP SIGNATURE")],
        lambda _data: b"<html>please log in</html>",
        lambda _data: b"",
    ],
)
def test_anything_around_the_signed_text_is_refused(check, archive_key, wrap):
    with pytest.raises(CorruptError):
        check(Signed("InRelease", wrap(archive_key.inline(TEXT))), keys(archive_key.ring))


def test_without_a_tool_nothing_is_trusted(archive_key):
    with pytest.raises(UnsupportedError, match="cannot be checked"):
        verify(Signed("InRelease", archive_key.inline(TEXT)), keys(archive_key.ring), tools=())


VALID = "[GNUPG:] VALIDSIG KEY 2023-01-01 1 0 4 0 22 {hash} 01 PRIMARY"


@pytest.mark.parametrize(
    ("status", "good", "bad"),
    [
        (
            f"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG K me\n{VALID.format(hash=8)}\n",
            [("KEY", "PRIMARY", "8")],
            False,
        ),
        (f"[GNUPG:] NEWSIG\n[GNUPG:] EXPKEYSIG K me\n{VALID.format(hash=8)}\n", [], False),
        (f"[GNUPG:] NEWSIG\n[GNUPG:] REVKEYSIG K me\n{VALID.format(hash=8)}\n", [], False),
        (f"[GNUPG:] NEWSIG\n[GNUPG:] BADSIG K me\n{VALID.format(hash=8)}\n", [], True),
        (f"[GNUPG:] GOODSIG K me\n[GNUPG:] NEWSIG\n{VALID.format(hash=8)}\n", [], False),
        (f"x{VALID.format(hash=8)}\n GOODSIG\n", [], False),
    ],
)
def test_status_lines_of_gpgv(status, good, bad):
    assert good_signatures(status) == (good, bad)


def test_a_weak_hash_does_not_count(archive_key, monkeypatch):
    from tiffin.base import verify as module

    status = f"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG K me\n{VALID.format(hash=2)}\n"
    monkeypatch.setattr(module, "_execute", lambda _argv: (0, status, ""))
    monkeypatch.setattr(module.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    with pytest.raises(DeniedError, match="weak hash"):
        verify(Signed("InRelease", archive_key.inline(TEXT)), keys(archive_key.ring), tools=("gpgv",))
