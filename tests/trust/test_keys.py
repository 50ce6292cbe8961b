import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import DeniedError, InvalidError, TiffinError, UnsupportedError
from tiffin.trust import keys, pem
from tiffin.trust.keyfiles import SEALED, load_private_key, new_key_pair
from tiffin.trust.keys import load_public_key


def never():
    raise AssertionError("nobody should be asked for a password")


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key, form=PrivateFormat.PKCS8):
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


@pytest.fixture(scope="module")
def pair():
    return new_key_pair(b"secret")


def test_a_new_pair_signs_and_verifies(pair):
    key = load_private_key(pair.private, lambda: b"secret", "cosign.key")
    signature = key.sign(b"data")
    public = load_public_key(pair.public, "cosign.pub")
    assert public == key.public
    assert public.signed(signature, b"data")
    assert not public.signed(signature, b"other")
    assert not public.signed(b"", b"data")
    assert len(public.id) == 64


def test_a_sealed_key_is_in_the_form_that_all_readers_know(pair):
    sealed = json.loads(pem.block(pair.private, "cosign.key").data)
    assert pair.private.startswith(b"-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n")
    assert sealed["kdf"]["name"] == "scrypt"
    assert sealed["kdf"]["params"] == {"N": 32768, "r": 8, "p": 1}
    assert sealed["cipher"]["name"] == "nacl/secretbox"
    assert [len(base64.b64decode(text)) for text in (sealed["kdf"]["salt"], sealed["cipher"]["nonce"])] == [
        32,
        24,
    ]


@pytest.mark.parametrize("password", [b"wrong", b""])
def test_a_wrong_password_is_told(pair, password):
    with pytest.raises(DeniedError) as caught:
        load_private_key(pair.private, lambda: password, "cosign.key")
    assert caught.value.code == "wrong-password"


def test_the_newer_name_of_the_form_is_read(pair):
    text = pair.private.replace(b"COSIGN", b"SIGSTORE")
    assert load_private_key(text, lambda: b"secret", "cosign.key").public


@pytest.mark.parametrize("change", ["N", "salt", "nonce", "cipher", "kdf", "box"])
def test_a_sealed_key_that_is_damaged_or_costly(pair, change):
    sealed = json.loads(pem.block(pair.private, "cosign.key").data)
    match change:
        case "N":
            sealed["kdf"]["params"]["N"] = 1 << 23
        case "salt":
            sealed["kdf"]["salt"] = 7
        case "nonce":
            sealed["cipher"]["nonce"] = "AAAA"
        case "cipher" | "kdf":
            sealed[change]["name"] = "rot13"
        case _:
            sealed["ciphertext"] = "AAAA"
    text = pem.armoured(SEALED[0], json.dumps(sealed).encode())
    with pytest.raises(TiffinError):
        load_private_key(text, lambda: b"secret", "cosign.key")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=lambda key: type(key).__name__,
)
def test_plain_keys_of_all_kinds(key):
    signing = load_private_key(private_pem(key), never, "key.pem")
    public = load_public_key(public_pem(key), "key.pub")
    signature = signing.sign(b"data")
    assert public.signed(signature, b"data")
    assert not public.signed(signature[:-1] + bytes([signature[-1] ^ 1]), b"data")


def test_older_forms_of_plain_keys():
    for key in (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)):
        assert load_private_key(private_pem(key, PrivateFormat.TraditionalOpenSSL), never, "key.pem").public


def test_a_bigger_curve_may_sign_with_a_bigger_hash():
    key = ec.generate_private_key(ec.SECP384R1())
    public = load_public_key(public_pem(key), "key.pub")
    assert public.signed(key.sign(b"data", ec.ECDSA(hashes.SHA384())), b"data")
    assert not public.signed(key.sign(b"data", ec.ECDSA(hashes.SHA512())), b"data")


def test_other_paddings_and_hashes_do_not_count():
    key = rsa.generate_private_key(65537, 2048)
    public = load_public_key(public_pem(key), "key.pub")
    assert not public.signed(key.sign(b"data", padding.PKCS1v15(), hashes.SHA512()), b"data")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "not-pem"),
        (b"\xff\xfe", "not-pem"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not-a-key"),
        (b"-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n", "not-pem"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n", "not-pem"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not-a-key"),
        (private_pem(ec.generate_private_key(ec.SECP256R1())), "private-key"),
        (public_pem(rsa.generate_private_key(65537, 1024)), "weak-key"),
        (public_pem(ec.generate_private_key(ec.SECP256K1())), "unknown-key"),
        (public_pem(dsa.generate_private_key(2048)), "unknown-key"),
    ],
)
def test_what_is_no_public_key(text, code):
    with pytest.raises(InvalidError) as caught:
        load_public_key(text, "key.pub")
    assert caught.value.code == code


def test_a_public_key_is_no_private_one(pair):
    with pytest.raises(UnsupportedError):
        load_private_key(pair.public, never, "cosign.pub")


def test_without_the_library_it_says_what_to_install(monkeypatch, pair):
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(UnsupportedError) as caught:
        keys.load_public_key(pair.public, "cosign.pub")
    assert caught.value.hint == "install it: pip install 'tiffin[trust]'"


@given(st.binary(max_size=100), st.sampled_from(["PUBLIC KEY", "PRIVATE KEY", "X"]))
def test_armour_is_taken_off_again(data, label):
    assert pem.block(pem.armoured(label, data), "it") == (label, data)


def test_a_block_of_nothing_but_spaces_is_read_at_once():
    with pytest.raises(InvalidError, match="not in PEM format"):
        pem.blocks(b"-----BEGIN CERTIFICATE-----" + b"\n" * (pem.LARGEST - 100), "it")


@given(st.binary(max_size=100))
def test_no_bytes_make_it_fail_in_another_way(data):
    with pytest.raises(TiffinError):
        load_public_key(data, "key.pub")
    with pytest.raises(TiffinError):
        load_private_key(data, never, "key.pem")
