"""tiffin trust, from the words to the registry."""

import json
import subprocess
import sys

import pytest
from tests.engine.test_transfers import digest_of, serve_image

from tiffin.cli.command import Session


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "store"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COSIGN_PASSWORD", "secret")
    monkeypatch.delenv("TIFFIN_SIGNATURE_POLICY", raising=False)
    return tmp_path


@pytest.fixture
def keys(here, tiffin):
    assert tiffin("trust", "key", "generate").out == "cosign.key\ncosign.pub\n"
    return here


def test_a_key_pair_is_for_its_owner_and_never_written_over(keys, tiffin):
    assert (keys / "cosign.key").stat().st_mode & 0o777 == 0o600
    before = (keys / "cosign.key").read_bytes()
    again = tiffin("trust", "key", "generate")
    assert (again.status, (keys / "cosign.key").read_bytes()) == (1, before)
    assert "already" in again.err
    (keys / "other.pub").symlink_to("nowhere")
    assert tiffin("trust", "key", "generate", "other").status == 1
    assert not (keys / "other.key").exists()
    assert tiffin("trust", "key", "generate", "third").out == "third.key\nthird.pub\n"
    assert "there is no 'trust key load'" in tiffin("trust", "key", "load").err


def test_the_password_is_read_from_a_pipe_or_a_person(here, tiffin, stdin, monkeypatch):
    monkeypatch.delenv("COSIGN_PASSWORD")
    stdin(b"from the pipe\n")
    assert tiffin("trust", "key", "generate").status == 0
    answers = iter(["one", "two"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    stdin(terminal=True)
    assert "the two passwords differ" in tiffin("trust", "key", "generate", "b").err
    assert not (here / "b.key").exists()


def test_sign_verify_inspect_and_check(keys, double, tiffin, stdin, monkeypatch):
    digest = digest_of(serve_image(double, "a", "1"))
    name = f"{double.address}/a:1"
    refused = tiffin("trust", "verify", "--key", "cosign.pub", name)
    assert refused.status == 1
    assert "it has no signature" in refused.err
    assert tiffin("trust", "sign", "--key", "cosign.key", "-a", "build=7", name).out == f"{digest}\n"
    assert "was signed already" in tiffin("trust", "sign", "--key", "cosign.key", name).out
    rows = tiffin("trust", "verify", "--key", "cosign.pub", "--format", "json", name)
    assert (json.loads(rows.out)["Digest"], json.loads(rows.out)["Name"]) == (digest, name)
    assert "a key" in tiffin("trust", "inspect", name).out
    evil = f"evil/name{chr(27)}[2J"
    assert tiffin("trust", "sign", "--key", "cosign.key", "--sign-container-identity", evil, name).status == 1
    monkeypatch.delenv("COSIGN_PASSWORD")
    stdin()
    assert "nobody to ask" in tiffin("trust", "sign", "--key", "cosign.key", name).err
    (keys / "password").write_text("secret\nmore\n")
    assert (
        tiffin("trust", "sign", "--key", "cosign.key", "--sign-passphrase-file", "password", name).status == 0
    )
    (keys / "password").write_text("wrong\n")
    assert (
        "does not open"
        in tiffin("trust", "sign", "--key", "cosign.key", "--sign-passphrase-file", "password", name).err
    )
    other = tiffin("trust", "verify", "--key", "cosign.key", name)
    assert "cosign.key is a private key" in other.err
    requirement = {"type": "sigstoreSigned", "keyPath": str(keys / "cosign.pub")}
    (keys / "policy.json").write_text(
        json.dumps({"default": [{"type": "reject"}], "transports": {"docker": {name: [requirement]}}})
    )
    assert tiffin("trust", "check", "--signature-policy", "policy.json", name).out == f"{digest}\n"
    serve_image(double, "b", "1")
    told = tiffin("--signature-policy", "policy.json", "trust", "check", f"{double.address}/b:1")
    assert (told.status, "default rejects everything" in told.err) == (1, True)
    shown = tiffin("trust", "show", "--signature-policy", "policy.json").out
    assert "(default)" in shown
    assert "signed by" in shown
    assert "there is no policy" in tiffin("--signature-policy", "none.json", "trust", "show").err


@pytest.mark.parametrize("words", [["--signature-policy", ""], ["--signature-policy="], []])
def test_a_policy_whose_name_is_empty_is_not_as_none_at_all(here, double, tiffin, monkeypatch, words):
    serve_image(double, "a", "1")
    if not words:
        monkeypatch.setenv("TIFFIN_SIGNATURE_POLICY", "")
    for command in (["trust", "show"], ["trust", "check", f"{double.address}/a:1"]):
        told = tiffin(*words, *command)
        assert (told.status, "is empty and names no policy" in told.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("sign x", "--key is needed"),
        ("verify x", "give either --key"),
        ("verify --key k --certificate-identity a x", "give either --key"),
        ("verify --certificate-identity a x", "--certificate-oidc-issuer"),
        ("verify --certificate-identity a --certificate-identity-regexp b x", "exactly one"),
        ("verify --certificate-identity a --certificate-oidc-issuer b x", "--trusted-root is needed"),
        (
            "verify --rekor-public-key k --certificate-identity a --certificate-oidc-issuer b x",
            "--rekor-public-key goes with --key",
        ),
        ("verify --key k --insecure-ignore-sct x", "--insecure-ignore-sct is about certificates"),
        ("verify --key none.pub x", "none.pub cannot be read"),
        ("sign --key none.key x", "none.key cannot be read"),
    ],
)
def test_words_that_do_not_fit(here, tiffin, words, told):
    result = tiffin("trust", *words.split())
    assert result.status == 1
    assert told in result.err


def test_options_of_push_and_copies(here, tiffin):
    told = tiffin("push", "--sign-passphrase-file", "f", "a")
    assert "--sign-passphrase-file needs --sign-by-sigstore-private-key" in told.err
    assert "none.key cannot be read" in tiffin("push", "--sign-by-sigstore-private-key", "none.key", "a").err
    tiffin("trust", "key", "generate")
    copied = tiffin("image", "cp", "--sign-by-sigstore-private-key", "cosign.key", "oci:a", "oci:b")
    assert "only what goes to a registry" in copied.err


def test_the_policy_reaches_the_settings(here):
    session = Session("pull", {"signature-policy": "p.json"}, {"HOME": "/h", "TIFFIN_HOME": str(here)})
    assert session.settings().environ["TIFFIN_SIGNATURE_POLICY"] == "p.json"


@pytest.mark.parametrize("words", [["push", "--help"], ["pull", "--help"], ["images"]])
def test_help_and_usual_commands_load_no_ciphers(here, words):
    text = f"import sys; from tiffin.cli.main import main; main({words!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert "tiffin.cli.main" in loaded
    assert not [name for name in loaded if name.startswith(("cryptography", "nacl", "tiffin.trust"))]
