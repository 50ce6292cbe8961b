"""tiffin trust sign, verify and inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, usage, value, values
from tiffin.cli.output import format_option, print_rows
from tiffin.cli.signingkey import read_file, signing_of
from tiffin.ui.text import sanitise

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.trust.verify import Signer

_CERTIFICATE = (
    "certificate-identity",
    "certificate-identity-regexp",
    "certificate-oidc-issuer",
    "certificate-oidc-issuer-regexp",
    "trusted-root",
)
HEADINGS = {"Kind": "KIND", "Signer": "SIGNER", "Issuer": "ISSUER", "Time": "TIME", "Name": "FOR THE NAME"}


def run_sign(session: Session, arguments: Arguments) -> int:
    """Sign an image in a registry, and print the digests that are signed now."""
    from tiffin.engine.signing import sign_image

    key = arguments.text("key")
    if key is None:
        raise usage("--key is needed", session.path, "give the private key, cosign.key.")
    identity = arguments.text("sign-container-identity") or ""
    signing = signing_of(session, key, arguments.text("sign-passphrase-file"), identity)
    signing = signing._replace(optional=arguments.pairs("annotations"))
    with session.engine() as engine:
        signed = sign_image(engine, arguments.words[0], signing, recursive=arguments.flag("recursive"))
    for each in signed:
        session.print(f"{each.digest}{'' if each.new else ' (was signed already)'}")
    return 0


def run_verify(session: Session, arguments: Arguments) -> int:
    """Print the signatures of an image that are by whom they should be; fail if there is none."""
    from tiffin.engine.trusting import verify_image
    from tiffin.trust.certificates import shown_time

    signer = _signer(session, arguments)
    with session.engine() as engine:
        found = verify_image(engine, arguments.words[0], signer)
    rows: list[Row] = [
        {
            "Digest": str(each.digest),
            "Signer": sanitise(each.signer),
            "Issuer": sanitise(each.issuer),
            "Time": "" if each.time is None else shown_time(each.time),
            "Name": sanitise(each.reference),
        }
        for each in found
    ]
    headings = {"Digest": "DIGEST", **{name: HEADINGS[name] for name in ("Signer", "Issuer", "Time", "Name")}}
    print_rows(session, rows, headings, list(headings), arguments.text("format"))
    return 0


def run_inspect(session: Session, arguments: Arguments) -> int:
    """Print what the signatures of an image say of themselves."""
    from tiffin.engine.trusting import inspect_image
    from tiffin.trust.certificates import shown_time

    with session.engine() as engine:
        found = inspect_image(engine, arguments.words[0])
    rows: list[Row] = [
        {
            "Kind": each.kind,
            "Signer": sanitise(each.signer or each.trouble),
            "Issuer": sanitise(each.issuer),
            "Time": "" if each.time is None else shown_time(each.time),
            "Name": sanitise(each.reference),
            "Digest": str(found.digest),
            "Trouble": sanitise(each.trouble),
        }
        for each in found.claims
    ]
    print_rows(session, rows, HEADINGS, list(HEADINGS), arguments.text("format"))
    return 0


def _signer(session: Session, arguments: Arguments) -> Signer:
    key, log = arguments.text("key"), arguments.text("rekor-public-key")
    given = [name for name in _CERTIFICATE if arguments.text(name) is not None]
    if (key is None) == (not given):
        raise usage("give either --key, or --certificate-identity and what belongs to it", session.path)
    if key is not None:
        if arguments.flag("insecure-ignore-sct"):
            raise usage("--insecure-ignore-sct is about certificates, and --key needs none", session.path)
        from tiffin.trust.keys import load_public_key
        from tiffin.trust.log import Log
        from tiffin.trust.verify import ByKey

        logs = [load_public_key(read_file(log), log)] if log is not None else []
        return ByKey((load_public_key(read_file(key), key),), tuple(Log(each, each.id) for each in logs))
    if log is not None:
        raise usage(
            "--rekor-public-key goes with --key: the logs of certificates are in --trusted-root", session.path
        )
    return _by_certificate(session, arguments)


def _by_certificate(session: Session, arguments: Arguments) -> Signer:
    name, named = _text_or_pattern(session, arguments, "certificate-identity")
    issuer, issued = _text_or_pattern(session, arguments, "certificate-oidc-issuer")
    root = arguments.text("trusted-root")
    if root is None:
        raise usage(
            "--trusted-root is needed", session.path, "it is sigstore's trusted_root.json, checked offline."
        )
    from tiffin.trust.trustedroot import parse_trusted_root
    from tiffin.trust.verify import ByCertificate, by_name

    found = parse_trusted_root(read_file(root), root)
    logs = () if arguments.flag("insecure-ignore-sct") else found.certificate_logs
    wanted = by_name(name, issuer, pattern=named, issuer_pattern=issued)
    return ByCertificate(found.authorities, found.logs, wanted, logs, found.stampers)


def _text_or_pattern(session: Session, arguments: Arguments, option: str) -> tuple[str, bool]:
    text, pattern = arguments.text(option), arguments.text(f"{option}-regexp")
    if (text is None) == (pattern is None):
        raise usage(f"exactly one of --{option} and --{option}-regexp is needed", session.path)
    return (text, False) if text is not None else (pattern or "", True)


_PASSPHRASE = value(
    "--sign-passphrase-file", "FILE", "Read the password of the key from the first line of this file"
)
_KEY = value("--key", "FILE", "The private key, as 'tiffin trust key generate' and cosign write it")

SIGN = Command(
    "sign [OPTIONS] --key FILE NAME[:TAG|@DIGEST]",
    run_sign,
    options=(
        values("-a, --annotations", "KEY=VALUE", "Add this to what is signed"),
        _KEY,
        flag("-r, --recursive", "Sign also every image that an index lists"),
        value("--sign-container-identity", "NAME", "Sign for this name, if not for that of the image"),
        _PASSPHRASE,
    ),
    words=(1, 1),
    names="images",
    description=(
        "Sign an image where it is, in its registry. The signature lies beside it, where cosign, Podman and "
        "skopeo look for it.\n\n"
        "The password of the key is in --sign-passphrase-file or COSIGN_PASSWORD, or is asked for."
    ),
    examples=("tiffin trust sign --key cosign.key registry.example.org/finca/serving:1.2",),
)

VERIFY = Command(
    "verify [OPTIONS] NAME[:TAG|@DIGEST]",
    run_verify,
    options=(
        value("--certificate-identity", "NAME", "Trust certificates for this address of mail, or of a job"),
        value("--certificate-identity-regexp", "PATTERN", "Trust certificates in whose name this is found"),
        value("--certificate-oidc-issuer", "URL", "Whose word the certificate has to rest on"),
        value("--certificate-oidc-issuer-regexp", "PATTERN", "The same, found by an expression"),
        format_option(),
        flag("--insecure-ignore-sct", "Do without the proof that the certificate was made public"),
        value("--key", "FILE", "Trust this public key"),
        value("--rekor-public-key", "FILE", "With --key: the signature has to be in the log with this key"),
        value("--trusted-root", "FILE", "Sigstore's roots of trust (trusted_root.json) for certificates"),
    ),
    words=(1, 1),
    names="images",
    description=(
        "Check the signatures of an image in its registry, without asking anybody else. Those that count are "
        "listed; if none does, the command fails and says why.\n\n"
        "As with cosign the name in a signature is shown, and not compared: 'tiffin trust check' does that."
    ),
    examples=(
        "tiffin trust verify --key cosign.pub registry.example.org/finca/serving:1.2",
        (
            "tiffin trust verify --trusted-root trusted_root.json --certificate-identity anna@example.org "
            "--certificate-oidc-issuer https://accounts.example.org registry.example.org/finca/serving:1.2"
        ),
    ),
)

INSPECT = Command(
    "inspect [OPTIONS] NAME[:TAG|@DIGEST]",
    run_inspect,
    options=(format_option(),),
    words=(1, 1),
    names="images",
    description=(
        "Show who says to have signed an image in a registry. Nothing is checked: 'tiffin trust verify' does."
    ),
    examples=("tiffin trust inspect registry.example.org/finca/serving:1.2",),
)
