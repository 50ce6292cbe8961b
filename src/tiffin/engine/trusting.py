"""Looks at the signatures of images in registries: who signed what, and whether that is who it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.engine.policies import judged_name, load_policy
from tiffin.engine.policyfile import admit
from tiffin.engine.signatures import Unusable, candidates, reasons, verified
from tiffin.errors import DeniedError, TiffinError, UnsupportedError
from tiffin.image.view import open_image
from tiffin.oci.reference import Reference
from tiffin.trust.bundle import Bundle, signed_name
from tiffin.trust.certificates import holder_of, load_certificate, load_certificates
from tiffin.trust.payload import parse
from tiffin.trust.policy import AcceptAnything, Reject, Sigstore, Source, Unsupported
from tiffin.trust.verify import Verified

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import Certificate

    from tiffin.engine.engine import Engine
    from tiffin.engine.signatures import Candidate
    from tiffin.oci.digest import Digest
    from tiffin.trust.policy import Requirement
    from tiffin.trust.verify import Signer


class Claim(NamedTuple):
    """What a signature says of itself; nothing of it has been checked."""

    kind: str
    reference: str = ""
    signer: str = ""
    issuer: str = ""
    time: int | None = None
    trouble: str = ""


class Inspected(NamedTuple):
    """An image in a registry, and what is attached to it as signatures."""

    digest: Digest
    claims: tuple[Claim, ...]


def verify_image(engine: Engine, name: str, signer: Signer) -> list[Verified]:
    """Return the signatures of the image `name` in its registry that count for `signer`: at least one.

    The name in a signature is not compared, as cosign does not; a policy does so. Raises DeniedError if none
    counts, NotFoundError for an image that is not there.
    """
    reference = judged_name(Reference.parse(name))
    with engine.registries() as registries:
        root = registries.to_pull(reference).resolve(reference)
        found = list(verified(registries, reference, root.digest, signer))
    good = [each for each in found if isinstance(each, Verified)]
    if not good:
        bad = [each for each in found if isinstance(each, Unusable)]
        raise DeniedError(
            f"{reference.familiar} is not signed as it has to be: {reasons(bad)}",
            code="not-signed",
            hint=f"'tiffin trust inspect {reference.familiar}' shows the signatures that it has",
        )
    return good


def inspect_image(engine: Engine, name: str) -> Inspected:
    """Return what the signatures of the image `name` in its registry say of themselves."""
    reference = judged_name(Reference.parse(name))
    with engine.registries() as registries:
        root = registries.to_pull(reference).resolve(reference)
        claims = tuple(_claim(each, root.digest) for each in candidates(registries, reference, root.digest))
    return Inspected(root.digest, claims)


def _claim(found: Candidate, digest: Digest) -> Claim:
    try:
        if isinstance(found, Unusable):
            return Claim("unreadable", trouble=found.reason)
        if isinstance(found, Bundle):
            time = next((entry.time for entry in found.entries if entry.promise), None)
            name = "" if found.envelope is None else signed_name(found.envelope, digest)
            leaf = load_certificate(found.leaf, "its certificate") if found.leaf else None
            return _held(Claim("bundle", name, time=time), leaf)
        payload = parse(found.payload)
        trouble = "" if payload.digest == digest else f"it is for another image: {payload.digest}"
        time = _time(found.entry)
        leaf = load_certificates(found.certificate, "its certificate")[0] if found.certificate else None
        return _held(Claim("signature", payload.reference, time=time, trouble=trouble), leaf)
    except UnsupportedError:  # the library is not installed, which says nothing about the signature
        raise
    except TiffinError as error:
        return Claim("unreadable", trouble=error.message)


def _held(claim: Claim, leaf: Certificate | None) -> Claim:
    if leaf is None:
        return claim._replace(signer="a key")
    holder = holder_of(leaf)
    return claim._replace(signer=", ".join(holder.names), issuer=holder.issuer)


def _time(entry: bytes) -> int | None:
    from tiffin.trust.log import parse_attached

    return parse_attached(entry).time if entry else None


def check_image(engine: Engine, name: str) -> Digest:
    """See that the policy in force would let the image `name` in from its registry; return its digest there.

    Raises DeniedError if it would not, NotFoundError for an image that is not there.
    """
    reference = Reference.parse(name).tagged()
    with engine.registries() as registries:
        repository = registries.to_pull(reference)
        root = repository.resolve(reference)
        image = open_image(repository, root, engine.platform, what=reference.familiar)
        admit(engine, reference, [root.digest, image.descriptor.digest], registries)
    return root.digest


class Rule(NamedTuple):
    """A line of the policy: for which images, and what they need."""

    transport: str
    scope: str
    requirements: tuple[str, ...]


def policy_rules(path: Path) -> list[Rule]:
    """The policy in the file in words, the default first. Raises InvalidError if it cannot be used."""
    policy = load_policy(path)
    rules = [Rule("", "", tuple(map(_words, policy.default)))]
    for transport, scopes in sorted(policy.transports.items()):
        rules += [
            Rule(transport, scope, tuple(map(_words, found))) for scope, found in sorted(scopes.items())
        ]
    return rules


def _words(requirement: Requirement) -> str:
    match requirement:
        case AcceptAnything():
            return "accepted"
        case Reject():
            return "rejected"
        case Unsupported():
            return f"rejected: {requirement.reason}"
        case Sigstore():
            entered = ", entered in a log" if requirement.logs != Source() else ""
            if requirement.fulcio is not None:
                who = f"{requirement.fulcio.email}, vouched for by {requirement.fulcio.issuer}"
            else:
                keys = requirement.keys
                who = " or ".join([*keys.paths, *("a key in the policy" for _ in keys.data)])
            return f"signed by {who}{entered}, {requirement.identity}"
