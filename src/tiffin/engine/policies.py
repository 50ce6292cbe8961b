"""Enforces the policy for images: before anything of one is kept, its name and its signatures are judged.

What was found right once is remembered in the store by all that it hangs on: the name, the digest, the
requirement and the keys themselves. So an image that is here needs no registry again, and a changed policy
asks again.
"""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from tiffin.errors import DeniedError, InvalidError
from tiffin.oci import codec
from tiffin.oci.reference import Reference
from tiffin.trust.policy import (
    LARGEST,
    AcceptAnything,
    Reject,
    Sigstore,
    Unsupported,
    parse_policy,
    scopes_of,
    scopes_of_path,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.engine import Engine
    from tiffin.oci.digest import Digest
    from tiffin.registry.access import Registries
    from tiffin.trust.policy import Policy, Requirement, Source
    from tiffin.trust.verify import Signer, Verified

_REMEMBERED: Final = 4096


def load_policy(path: Path) -> Policy:
    """The policy in the file. Raises InvalidError for one that cannot be used, or read."""
    return _parsed(_read(path, f"the policy {path}"), str(path))


@lru_cache(maxsize=1)
def _parsed(data: bytes, where: str) -> Policy:
    """It is asked about every image of a command, and is read each time, so that a change counts at once."""
    return parse_policy(data, where)


class Judge:
    """The policy at `path`, for the images that `engine` lets in."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self.policy = load_policy(path)

    def admit(
        self, reference: Reference, digests: Sequence[Digest], registries: Registries | None = None
    ) -> None:
        """See that the image `reference` may come in: one of its manifests `digests` has to be signed.

        Raises DeniedError if it may not, and whatever registries raise when they are asked for signatures.
        """
        name = judged_name(reference)
        scope, requirements = self.policy.find("docker", scopes_of(name))
        for requirement in requirements:
            if isinstance(requirement, Sigstore):
                self._need_signature(requirement, name, list(dict.fromkeys(digests)), registries)
            else:
                self._need(requirement, name.familiar, scope)

    def admit_file(self, transport: str, path: str, tag: str) -> None:
        """See that an image may come in from a file, a folder or another engine. Raises DeniedError."""
        place = str(Path(path).resolve()) if path else ""
        scopes = scopes_of_path(place, tag) if transport in ("oci", "oci-archive") else []
        scope, requirements = self.policy.find(transport, scopes)
        for requirement in requirements:
            if isinstance(requirement, Sigstore):
                self._refuse(f"{transport}:{path}", f"{scope} needs signatures, which only registries have")
            self._need(requirement, f"{transport}:{path}", scope)

    def _need(self, requirement: Requirement, what: str, scope: str) -> None:
        if isinstance(requirement, Reject):
            self._refuse(what, f"{scope} rejects everything")
        if isinstance(requirement, Unsupported):
            self._refuse(what, requirement.reason, requirement.hint)
        assert isinstance(requirement, AcceptAnything)

    def _need_signature(
        self, requirement: Sigstore, name: Reference, digests: Sequence[Digest], registries: Registries | None
    ) -> None:
        material = _Material(requirement)
        places = [self._place(material.fingerprint(name, digest)) for digest in digests]
        if any(place.exists() for place in places):
            return
        from tiffin.engine.signatures import Unusable, reasons, verified

        signer = material.signer()
        refused: list[Unusable] = []
        with self._engine.registries() if registries is None else nullcontext(registries) as asked:
            for digest, place in zip(digests, places, strict=True):
                for found in verified(asked, name, digest, signer):
                    if isinstance(found, Unusable):
                        refused.append(found)
                    elif requirement.identity.accepts(name, found.reference):
                        self._remember(place, name, found)
                        return
                    else:
                        refused.append(Unusable(_misnamed(found)))
        self._refuse(
            name.familiar,
            f"a signature is needed {requirement.identity}, and {reasons(refused)}",
            f"'tiffin trust inspect {name.familiar}' shows its signatures, 'tiffin trust show' the policy",
        )

    def _refuse(self, what: str, why: str, hint: str = "") -> NoReturn:
        raise DeniedError(
            f"{what} is refused by the policy {self._path}: {why}",
            code="policy-refused",
            hint=hint or "'tiffin trust show' shows what it allows",
        )

    def _place(self, fingerprint: str) -> Path:
        return self._engine.home.root / "verified" / fingerprint

    def _remember(self, place: Path, name: Reference, found: Verified) -> None:
        from tiffin.linux.files import atomic_write

        place.parent.mkdir(mode=0o700, exist_ok=True)
        known = list(place.parent.iterdir())
        if len(known) >= _REMEMBERED:  # whatever is forgotten is asked for again
            for each in known:
                each.unlink(missing_ok=True)
        record = {"digest": found.digest, "name": str(name), "signer": found.signer, "issuer": found.issuer}
        atomic_write(place, codec.encode(record) + b"\n")


class _Material:
    """The keys and certificates of a requirement, read from their files."""

    def __init__(self, requirement: Sigstore) -> None:
        self._requirement = requirement
        self._keys = _load(requirement.keys)
        self._logs = _load(requirement.logs)
        self._authorities = _load(requirement.fulcio.authorities) if requirement.fulcio else []

    def fingerprint(self, name: Reference, digest: Digest) -> str:
        """All that a verdict hangs on, as one name of a file."""
        fulcio = self._requirement.fulcio
        parts = [
            [self._keys, self._logs, self._authorities],
            [fulcio.issuer, fulcio.email] if fulcio else [],
            list(self._requirement.identity),
            [str(name), digest],
        ]
        return hashlib.sha256(codec.encode(parts)).hexdigest()

    def signer(self) -> Signer:
        """The signer that is trusted. Raises InvalidError for files that hold something else."""
        from tiffin.trust.certificates import Authority, load_certificates
        from tiffin.trust.keys import load_public_key
        from tiffin.trust.log import Log
        from tiffin.trust.verify import ByCertificate, ByKey, by_email

        logs = [load_public_key(data, "the key of the log in the policy") for data in self._logs]
        entered = tuple(Log(key, key.id) for key in logs)
        fulcio = self._requirement.fulcio
        if fulcio is None:
            return ByKey(
                tuple(load_public_key(data, "the key in the policy") for data in self._keys), entered
            )
        roots = [load_certificates(data, "the authority in the policy") for data in self._authorities]
        authorities = tuple(Authority(tuple(each)) for each in roots)
        return ByCertificate(authorities, entered, by_email(fulcio.email, fulcio.issuer))


def judged_name(reference: Reference) -> Reference:
    """The name as policies judge it: with a digest, the tag beside it says nothing (as in Podman).

    Hosts are the same in any case, so that no scope is got around by a capital letter.
    """
    tag = None if reference.digest is not None else reference.tagged().tag
    return Reference(reference.registry.lower(), reference.repository, tag, reference.digest)


def _misnamed(found: Verified) -> str:
    if not found.reference:
        return (
            f"the signature by {found.signer[:200]} is for no name at all, as those of cosign 3 are but for "
            "'cosign sign --new-bundle-format=false'"
        )
    return f"the signature by {found.signer[:200]} is for the name {found.reference[:200]}"


def _load(source: Source) -> list[bytes]:
    return [*source.data, *(_read(Path(path), f"the key {path} of the policy") for path in source.paths)]


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise InvalidError(f"{what} cannot be read: {error.strerror}", code="invalid-policy") from error
    if len(data) > LARGEST:
        raise InvalidError(f"{what} has more than {LARGEST} bytes", code="invalid-policy")
    return data
