"""What keyless signatures are checked against: sigstore's `trusted_root.json` (protobuf-specs)."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from tiffin.errors import InvalidError
from tiffin.oci import codec
from tiffin.trust.certificates import Authority, load_certificate
from tiffin.trust.keys import load_public_der, need_library
from tiffin.trust.log import Log

LARGEST: Final = 4 << 20
_MOST: Final = 64
_FORMAT: Final = "application/vnd.dev.sigstore.trustedroot"


class TrustedRoot(NamedTuple):
    """Authorities for certificates, logs of signatures, logs of certificates, and authorities for time."""

    authorities: tuple[Authority, ...]
    logs: tuple[Log, ...]
    certificate_logs: tuple[Log, ...]
    stampers: tuple[Authority, ...] = ()


class _Time(msgspec.Struct):
    start: datetime | None = None
    end: datetime | None = None


class _Key(msgspec.Struct, rename="camel"):
    raw_bytes: bytes
    valid_for: _Time = msgspec.field(default_factory=_Time)


class _LogID(msgspec.Struct, rename="camel"):
    key_id: bytes


class _Log(msgspec.Struct, rename="camel"):
    public_key: _Key
    log_id: _LogID


class _Certificate(msgspec.Struct, rename="camel"):
    raw_bytes: bytes


class _Chain(msgspec.Struct):
    certificates: list[_Certificate]


class _Authority(msgspec.Struct, rename="camel"):
    cert_chain: _Chain
    valid_for: _Time = msgspec.field(default_factory=_Time)


class _Root(msgspec.Struct, rename="camel"):
    media_type: str
    certificate_authorities: list[_Authority]
    tlogs: list[_Log] = []
    ctlogs: list[_Log] = []
    timestamp_authorities: list[_Authority] = []


def parse_trusted_root(data: bytes, what: str) -> TrustedRoot:
    """The roots in the file. Raises InvalidError, UnsupportedError without the library."""
    need_library()
    root = codec.decode(data, _Root, what, fault=InvalidError, limit=LARGEST)
    if not root.media_type.startswith(_FORMAT):
        raise InvalidError(f"{what} is no trusted root but {root.media_type[:80]!r}", code="trusted-root")
    kinds = (root.certificate_authorities, root.timestamp_authorities, root.tlogs, root.ctlogs)
    if max(len(each) for each in kinds) > _MOST:
        raise InvalidError(f"{what} has more than {_MOST} roots of one kind", code="trusted-root")
    return TrustedRoot(
        tuple(_authority(each, what) for each in root.certificate_authorities),
        tuple(_log(each, what) for each in root.tlogs),
        tuple(_log(each, what) for each in root.ctlogs),
        tuple(_authority(each, what) for each in root.timestamp_authorities),
    )


def _authority(found: _Authority, what: str) -> Authority:
    chain = [load_certificate(each.raw_bytes, what) for each in found.cert_chain.certificates[:_MOST]]
    if not chain:
        raise InvalidError(f"{what} has an authority without a certificate", code="trusted-root")
    return Authority((chain[-1],), tuple(chain[:-1]), *_times(found.valid_for))


def _log(found: _Log, what: str) -> Log:
    key = load_public_der(found.public_key.raw_bytes, what)
    return Log(key, found.log_id.key_id.hex(), *_times(found.public_key.valid_for))


def _times(found: _Time) -> tuple[float, float]:
    start = found.start.timestamp() if found.start else 0.0
    return start, found.end.timestamp() if found.end else float("inf")
