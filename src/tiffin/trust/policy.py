"""The policy: which images may come in, and whose signature they need (containers-policy.json(5)). Pure.

The file is shared with skopeo, Podman and Buildah, and read as strictly as they read it: an unknown or a
repeated field refuses the whole file, for it may have been meant to restrict something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tiffin.errors import InvalidError
from tiffin.trust.identity import FIELDS, SignedIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiffin.oci.reference import Reference

LARGEST: Final = 4 << 20
"""Bytes of a policy, and of a file that it names."""
_MANUAL: Final = "containers-policy.json(5) says how it has to look"


class AcceptAnything(NamedTuple):
    """Any image will do."""


class Reject(NamedTuple):
    """No image will do."""


class Unsupported(NamedTuple):
    """A requirement that cannot be checked here, so that no image fulfils it; `reason` says why."""

    reason: str
    hint: str


class Source(NamedTuple):
    """Keys or certificates: in files, or in the policy itself."""

    paths: tuple[str, ...] = ()
    data: tuple[bytes, ...] = ()


class Fulcio(NamedTuple):
    """Certificates by an authority for whoever showed that they are `email` to `issuer`."""

    authorities: Source
    issuer: str
    email: str


class Sigstore(NamedTuple):
    """A signature by one of `keys` or a certificate of `fulcio`, and if there are `logs`, entered in one."""

    keys: Source
    fulcio: Fulcio | None
    logs: Source
    identity: SignedIdentity


Requirement = AcceptAnything | Reject | Unsupported | Sigstore


class Policy(NamedTuple):
    """Requirements by transport and scope, and those for all else."""

    default: tuple[Requirement, ...]
    transports: Mapping[str, Mapping[str, tuple[Requirement, ...]]]

    def find(self, transport: str, scopes: Sequence[str]) -> tuple[str, tuple[Requirement, ...]]:
        """The first of `scopes` that has requirements, and these: all of them have to hold."""
        known = self.transports.get(transport, {})
        for scope in (*scopes, ""):
            if scope in known:
                return f"{transport}:{scope}", known[scope]
        return "default", self.default


def scopes_of(reference: Reference) -> list[str]:
    """The scopes of an image in a registry: the name with tag or digest, all its parents, `*.DOMAIN` last."""
    suffix = f"@{reference.digest}" if reference.digest is not None else f":{reference.tag}"
    found = [reference.name + suffix]
    name = reference.name
    while True:
        found.append(name)
        if "/" not in name:
            break
        name = name.rpartition("/")[0]
    host = name.partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    while "." in host:
        host = host.partition(".")[2]
        found.append(f"*.{host}")
    return found


def scopes_of_path(path: str, tag: str) -> list[str]:
    """The scopes of an image in a layout: folder and tag, the folder, all folders above but the root."""
    found = [f"{path}:{tag}"] if tag else []
    while path not in ("", "/"):
        found.append(path)
        path = path.rpartition("/")[0]
    return found


def parse_policy(data: bytes, what: str) -> Policy:
    """The policy in the file. Raises InvalidError, which names the field, for anything that is not plain."""
    if len(data) > LARGEST:
        raise _invalid(what, f"{len(data)} bytes are too many")
    document = _fields(_decode(data, what), what, "the policy", ("default",), ("transports",))
    transports: dict[str, dict[str, tuple[Requirement, ...]]] = {}
    for transport, scopes in _mapping(document.get("transports", {}), what, "transports").items():
        transports[transport] = {
            scope: _requirements(items, what, f"transports.{transport}.{scope or 'default'}")
            for scope, items in _mapping(scopes, what, f"transports.{transport}").items()
        }
    return Policy(_requirements(document["default"], what, "default"), transports)


def _decode(data: bytes, what: str) -> Any:
    import json  # msgspec keeps the last of repeated fields, and says nothing

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise _invalid(what, f"it has the field {twice[:80]!r} twice")
        return found

    try:
        return json.loads(data.decode(), object_pairs_hook=unique)
    except UnicodeDecodeError:
        raise _invalid(what, "it is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise _invalid(what, str(error)[:200]) from None


def _requirements(items: Any, what: str, where: str) -> tuple[Requirement, ...]:
    if not isinstance(items, list) or not items:
        raise _invalid(what, f"{where} is no list of requirements with at least one in it")
    return tuple(_requirement(item, what, f"{where}[{at}]") for at, item in enumerate(items))


def _requirement(item: Any, what: str, where: str) -> Requirement:
    kind = _mapping(item, what, where).get("type")
    match kind:
        case "insecureAcceptAnything":
            _fields(item, what, where, ("type",), ())
            return AcceptAnything()
        case "reject":
            _fields(item, what, where, ("type",), ())
            return Reject()
        case "sigstoreSigned":
            return _sigstore(item, what, where)
        case "signedBy" | "signedBaseLayer":
            return Unsupported(
                f"it asks for signatures by GPG ({kind}), which tiffin does not check",
                "sign the image with 'tiffin trust sign', and ask for sigstoreSigned; or allow it with a "
                "policy of your own: --signature-policy FILE",
            )
        case _:
            raise _invalid(what, f"{where} is of the unknown type {str(kind)[:80]!r}")


_KEYS: Final = ("keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki")
_LOGS: Final = ("rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas")


def _sigstore(item: Any, what: str, where: str) -> Requirement:
    found = _fields(item, what, where, ("type",), (*_KEYS, *_LOGS, "signedIdentity"))
    _one_of(found, _KEYS, what, where)
    if any(name in found for name in _LOGS):
        _one_of(found, _LOGS, what, where)
    elif "fulcio" in found:
        raise _invalid(what, f"{where} has fulcio without the key of a log: one of {', '.join(_LOGS)}")
    identity = SignedIdentity()
    if "signedIdentity" in found:
        identity = _identity(found["signedIdentity"], what, f"{where}.signedIdentity")
    if "pki" in found:
        return Unsupported(
            "it asks for certificates of an authority of your own (pki), which tiffin does not check",
            "ask for a key (keyPath) or for certificates of Fulcio",
        )
    fulcio = _fulcio(found["fulcio"], what, f"{where}.fulcio") if "fulcio" in found else None
    keys = Source() if fulcio else _source(found, "key", what, where)
    return Sigstore(keys, fulcio, _source(found, "rekorPublicKey", what, where), identity)


def _fulcio(item: Any, what: str, where: str) -> Fulcio:
    found = _fields(item, what, where, ("oidcIssuer", "subjectEmail"), ("caPath", "caData"))
    _one_of(found, ("caPath", "caData"), what, where)
    texts = [_text(found[name], what, f"{where}.{name}") for name in ("oidcIssuer", "subjectEmail")]
    return Fulcio(_source(found, "ca", what, where), *texts)


def _identity(item: Any, what: str, where: str) -> SignedIdentity:
    kind = _mapping(item, what, where).get("type")
    for known, names in FIELDS.items():
        if known == kind:
            found = _fields(item, what, where, ("type", *names), ())
            return SignedIdentity(known, *(_text(found[name], what, f"{where}.{name}") for name in names))
    raise _invalid(what, f"{where} is of the unknown type {str(kind)[:80]!r}")


def _source(found: Mapping[str, Any], prefix: str, what: str, where: str) -> Source:
    """What stands in PREFIXPath(s) or PREFIXData(s)."""
    paths = _texts(found, f"{prefix}Path", what, where)
    data = _texts(found, f"{prefix}Data", what, where)
    return Source(paths, tuple(_bytes(text, what, f"{where}.{prefix}Data") for text in data))


def _texts(found: Mapping[str, Any], name: str, what: str, where: str) -> tuple[str, ...]:
    if name in found:
        return (_text(found[name], what, f"{where}.{name}"),)
    items = found.get(f"{name}s")
    if items is None:
        return ()
    if not isinstance(items, list) or not items:
        raise _invalid(what, f"{where}.{name}s is no list with at least one entry")
    return tuple(_text(item, what, f"{where}.{name}s") for item in items)


def _bytes(text: str, what: str, where: str) -> bytes:
    try:
        return msgspec.convert(text, bytes)
    except msgspec.ValidationError:
        raise _invalid(what, f"{where} is not base64") from None


def _text(item: Any, what: str, where: str) -> str:
    if not isinstance(item, str) or not item:
        raise _invalid(what, f"{where} is no text")
    return item


def _one_of(found: Mapping[str, Any], names: Sequence[str], what: str, where: str) -> None:
    given = [name for name in names if name in found]
    if len(given) != 1:
        has = " and ".join(given) or "none"
        raise _invalid(what, f"{where} needs exactly one of {', '.join(names)}, and has {has}")


def _fields(
    item: Any, what: str, where: str, needed: Sequence[str], allowed: Sequence[str]
) -> Mapping[str, Any]:
    found = _mapping(item, what, where)
    for name in needed:
        if name not in found:
            raise _invalid(what, f"{where} lacks the field {name!r}")
    for name in found:
        if name not in needed and name not in allowed:
            raise _invalid(what, f"{where} has the unknown field {name[:80]!r}")
    return found


def _mapping(item: Any, what: str, where: str) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise _invalid(what, f"{where} is no object")
    return item


def _invalid(what: str, why: str) -> InvalidError:
    return InvalidError(f"the policy {what} cannot be used: {why}", code="invalid-policy", hint=_MANUAL)
