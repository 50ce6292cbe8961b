import pytest

from tiffin.base.keys import binary_ring, keys_for
from tiffin.errors import InvalidError, NotFoundError


def put(machine, path, data):
    place = machine.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)


def test_armour_is_taken_off(archive_key, other_key):
    assert binary_ring(archive_key.armoured.encode(), "k") == archive_key.ring
    two = (archive_key.armoured + "\n" + other_key.armoured).encode()
    assert binary_ring(two, "k") == archive_key.ring + other_key.ring
    commented = archive_key.armoured.replace("BLOCK-----\n\n", "BLOCK-----\nVersion: 1\nComment: a: b\n\n", 1)
    assert binary_ring(commented.encode(), "k") == archive_key.ring
    assert binary_ring(archive_key.ring, "k") == archive_key.ring


def test_what_is_no_key_is_refused():
    with pytest.raises(InvalidError, match="no public key"):
        binary_ring(b"-----BEGIN CERTIFICATE-----\n", "k")


def test_signed_by_file_fingerprint_and_text(machine, source_of, archive_key, other_key):
    put(machine, "etc/apt/keyrings/a.asc", other_key.armoured.encode())
    named = source_of("http://a.example.org", signed_by=("/etc/apt/keyrings/a.asc",))
    assert keys_for(named, machine, None).rings == (other_key.ring,)
    printed = source_of("http://a.example.org", signed_by=(archive_key.fingerprint,))
    assert keys_for(printed, machine, None).fingerprints == (archive_key.fingerprint,)
    assert keys_for(printed, machine, None).rings == (archive_key.ring,)
    inline = source_of("http://a.example.org", inline_key=other_key.armoured)
    assert keys_for(inline, machine, None).rings == (other_key.ring,)


def test_without_signed_by_what_apt_trusts_comes_before_the_distributions_ring(
    machine, source_of, other_key, archive_key
):
    source = source_of("http://a.example.org")
    assert keys_for(source, machine, None).rings == (archive_key.ring,)
    put(machine, "etc/apt/trusted.gpg.d/b.asc", other_key.armoured.encode())
    put(machine, "etc/apt/trusted.gpg.d/ignored.txt", b"x")
    assert keys_for(source, machine, None).rings == (other_key.ring,)


def test_a_named_ring_replaces_all(machine, source_of, other_key, tmp_path):
    path = tmp_path / "mine.gpg"
    path.write_bytes(other_key.ring)
    source = source_of("http://a.example.org", signed_by=("/no/such",))
    assert keys_for(source, machine, path).rings == (other_key.ring,)


@pytest.mark.parametrize(
    "signed_by", [("/no/such.gpg",), ("/no/such.gpg", "/usr/share/keyrings/tin-archive-keyring.gpg")]
)
def test_a_missing_ring_is_an_error(machine, source_of, signed_by):
    with pytest.raises(NotFoundError, match=r"/no/such\.gpg"):
        keys_for(source_of("http://a.example.org", signed_by=signed_by), machine, None)


def test_no_key_at_all_is_an_error_and_never_any_key(machine, source_of):
    bare = machine._replace(root=machine.root / "nothing")
    with pytest.raises(NotFoundError, match="no key"):
        keys_for(source_of("http://a.example.org"), bare, None)


def test_nonsense_in_signed_by(machine, source_of):
    with pytest.raises(InvalidError, match="neither a file nor a fingerprint"):
        keys_for(source_of("http://a.example.org", signed_by=("tin.gpg",)), machine, None)
