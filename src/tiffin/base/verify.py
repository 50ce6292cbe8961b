"""Signatures of Release files, checked by gpgv or sqv. Closed by default: no answer is a refusal.

What is verified is what is returned: the verifier writes the signed text to a
file of its own, and only that is ever parsed, so nothing around the signed part
can be smuggled in.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import CorruptError, DeniedError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.base.keys import Keys

# RFC 4880, 9.4: SHA-256, SHA-384, SHA-512, SHA-224 (as apt, which refuses MD5, SHA-1 and RIPEMD).
_STRONG_HASHES: Final = frozenset({"8", "9", "10", "11"})
_BEGIN: Final = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE: Final = b"-----BEGIN PGP SIGNATURE-----"
_END: Final = b"-----END PGP SIGNATURE-----"
_SECONDS: Final = 60


class Signed(NamedTuple):
    """A document and its signature; inline when `signature` is None."""

    name: str
    data: bytes
    signature: bytes | None = None


def verify(signed: Signed, keys: Keys, *, tools: Sequence[str] = ("gpgv", "sqv")) -> bytes:
    """The text that a trusted key has signed.

    `DeniedError` if no trusted key has (or a bad signature is among them),
    `CorruptError` for what is no signed document, `UnsupportedError` if the
    machine has no tool to check with.
    """
    if signed.signature is None:
        _check_form(signed)
    for tool in tools:
        if path := shutil.which(tool):
            return _run(tool, path, signed, keys)
    raise UnsupportedError(
        f"the signature of {signed.name} cannot be checked: this machine has neither gpgv nor sqv",
        code="no-verifier",
        hint="install the package gpgv",
    )


def good_signatures(status: str) -> tuple[list[tuple[str, str, str]], bool]:
    """From the status lines of gpgv: (key, primary key, hash) of good signatures, and whether one was bad."""
    good: list[tuple[str, str, str]] = []
    state, bad = "", False
    for line in status.split("\n"):
        prefix, _, rest = line.partition(" ")
        words = rest.split()
        if prefix != "[GNUPG:]" or not words:
            continue
        if words[0] == "NEWSIG":
            state = ""
        elif words[0] in {"GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "ERRSIG"}:
            state = words[0]
        elif words[0] == "BADSIG":
            bad = True
        elif words[0] == "VALIDSIG" and state == "GOODSIG" and len(words) >= 11:
            good.append((words[1], words[10], words[8]))
    return good, bad


def _run(tool: str, path: str, signed: Signed, keys: Keys) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tiffin-verify-") as directory:
        place = Path(directory)
        document, output = place / "document", place / "verified"
        document.write_bytes(signed.data)
        rings = []
        for number, ring in enumerate(keys.rings):
            # GnuPG tells a key box from a key ring by its content, sequoia by its name.
            rings.append(place / f"{number}.gpg")
            rings[-1].write_bytes(ring)
        signature = None
        if signed.signature is not None:
            signature = place / "signature"
            signature.write_bytes(signed.signature)
        check = _with_gpgv if tool == "gpgv" else _with_sqv
        problem = check(_Call(path, document, signature, output, tuple(rings)), keys)
        if problem:
            raise DeniedError(
                f"{signed.name} is not signed by a key of {keys.origin}: {problem}",
                code="bad-signature",
                hint="somebody changed it on the way, or the key ring is too old or of another distribution",
            )
        verified = document if signature is not None else output
        return verified.read_bytes()


class _Call(NamedTuple):
    tool: str
    document: Path
    signature: Path | None
    output: Path
    rings: tuple[Path, ...]


def _with_gpgv(call: _Call, keys: Keys) -> str:
    """What is wrong with the signatures, in a few words; empty if one of a trusted key is good."""
    argv = [call.tool, "--homedir", str(call.document.parent), "--status-fd", "1"]
    argv += ["--weak-digest", "SHA1", "--weak-digest", "RIPEMD160"]
    for ring in call.rings:
        argv += ["--keyring", str(ring)]
    inline = ["--output", str(call.output), str(call.document)]
    argv += inline if call.signature is None else [str(call.signature), str(call.document)]
    _, status, complaint = _execute(argv)
    # The exit status is no help: one signature by a key that we do not have makes it 2.
    good, bad = good_signatures(status)
    if bad:
        return "a signature is bad"
    trusted = [
        entry for entry in good if entry[2] in _STRONG_HASHES and _is_named(entry[:2], keys.fingerprints)
    ]
    if trusted and (call.signature is not None or call.output.is_file()):
        return ""
    return _reason(status, complaint)


def _with_sqv(call: _Call, keys: Keys) -> str:
    argv = [call.tool]
    for ring in call.rings:
        argv += ["--keyring", str(ring)]
    if call.signature is None:
        argv += ["--output", str(call.output), "--cleartext", str(call.document)]
    else:
        argv += ["--signature-file", str(call.signature), str(call.document)]
    status, found, complaint = _execute(argv)
    if status != 0:
        return (complaint.strip().splitlines() or ["no reason given"])[0][:200]
    signers = found.split()
    if not any(_is_named((signer, signer), keys.fingerprints) for signer in signers):
        return "none of the keys that the source names has signed it"
    return "" if call.signature is not None or call.output.is_file() else "the verifier gave no text"


def _execute(argv: Sequence[str]) -> tuple[int, str, str]:
    import subprocess

    environ = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    try:
        done = subprocess.run(
            argv, env=environ, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def _is_named(signer: tuple[str, str], fingerprints: Sequence[str]) -> bool:
    """Whether the signer (key, primary key) counts; `FINGERPRINT!` means exactly that key, not its family."""
    if not fingerprints:
        return True
    key, primary = signer[0].upper(), signer[1].upper()
    return any(key == f.removesuffix("!") or (primary == f and not f.endswith("!")) for f in fingerprints)


def _reason(status: str, complaint: str) -> str:
    missing = [line.split()[2] for line in status.split("\n") if line.startswith("[GNUPG:] NO_PUBKEY ")]
    if missing:
        return f"it is signed by {', '.join(missing)}, which is not among them"
    if "EXPKEYSIG" in status or "EXPSIG" in status:
        return "the key or the signature has expired"
    if "REVKEYSIG" in status:
        return "the key has been revoked"
    if "GOODSIG" in status:
        return "the signature is by a key that the source does not name, or made with a weak hash"
    lines = [line for line in complaint.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "there is no signature"


def _check_form(signed: Signed) -> None:
    """Refuse what is not exactly one signed message: nothing before, nothing after, no second one."""
    data = signed.data
    if not data.startswith(_BEGIN):
        raise CorruptError(
            f"{signed.name} is not a signed document; it begins with {data[:40]!r}",
            code="not-signed",
            hint="is there a login page or an error page of a proxy in the way?",
        )
    once = all(data.count(b"\n" + mark) == 1 for mark in (_SIGNATURE, _END)) and data.count(_BEGIN) == 1
    if not once or data.rpartition(_END)[2].strip():
        raise CorruptError(f"{signed.name} is not one signed document and nothing else", code="not-signed")
