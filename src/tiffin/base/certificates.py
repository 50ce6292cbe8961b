"""The CA store of the image, as update-ca-certificates would make it: the bundle and links by subject hash.

OpenSSL finds a CA in a directory by the hash of its subject. The hash is the
first four bytes of the SHA-1 of the subject in a canonical form: strings in
UTF-8, lower case, blanks trimmed and run together (x509 name canonicalisation).
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import CorruptError

if TYPE_CHECKING:
    from tiffin.base.tree import Tree

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_SOURCE: Final = "usr/share/ca-certificates"
_CERTS: Final = "etc/ssl/certs"
_BUNDLE: Final = "ca-certificates.crt"
# ASN.1 string types that are compared without case, with the encoding of their text.
_TEXTS: Final = {
    0x0C: "utf-8",
    0x13: "latin-1",
    0x14: "latin-1",
    0x16: "latin-1",
    0x1A: "latin-1",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
_UTF8_STRING: Final = 0x0C
_SET: Final = 0x31
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0


class Item(NamedTuple):
    """One DER value: its tag, its content, and where the next one begins."""

    tag: int
    content: bytes
    end: int


def install_certificates(tree: Tree) -> int:
    """Make the store from the certificates of the package ca-certificates; returns how many there are."""
    names = sorted(
        path.removeprefix(_SOURCE + "/")
        for path in tree.paths()
        if path.startswith(_SOURCE + "/") and path.endswith(".crt")
    )
    if not names:
        return 0
    bundle = bytearray()
    used: dict[str, int] = {}
    for name in names:
        data = tree.read(f"{_SOURCE}/{name}")
        link = pem_name(name)
        bundle += data if data.endswith(b"\n") else data + b"\n"
        tree.link(f"{_CERTS}/{link}", f"/{_SOURCE}/{name}")
        key = f"{subject_hash(data):08x}"
        number = used[key] = used.get(key, -1) + 1
        tree.link(f"{_CERTS}/{key}.{number}", link)
    tree.write(f"{_CERTS}/{_BUNDLE}", bytes(bundle))
    tree.write("etc/ca-certificates.conf", "".join(f"{name}\n" for name in names).encode())
    tree.make_directory("etc/ca-certificates/update.d")
    tree.make_directory("usr/local/share/ca-certificates")
    # OpenSSL's own directory, which the package openssl would bring.
    tree.link("usr/lib/ssl/certs", f"/{_CERTS}")
    tree.link("usr/lib/ssl/cert.pem", f"/{_CERTS}/{_BUNDLE}")
    return len(names)


def pem_name(name: str) -> str:
    """The name of a certificate's link: without directory, and with what a shell minds replaced."""
    base = name.rpartition("/")[2].removesuffix(".crt")
    return base.translate(str.maketrans(" (),", "_==_")) + ".pem"


def subject_hash(pem: bytes) -> int:
    """The number under which OpenSSL looks for the first certificate in `pem`."""
    found = _PEM.search(pem)
    if found is None:
        raise CorruptError("a CA certificate is not in PEM form", code="certificate")
    try:
        canonical = _canonical_name(_subject(base64.b64decode(found[1])))
    except (IndexError, ValueError) as error:
        raise CorruptError(f"a CA certificate cannot be parsed: {error}", code="certificate") from error
    return int.from_bytes(hashlib.sha1(canonical, usedforsecurity=False).digest()[:4], "little")


def _subject(der: bytes) -> bytes:
    """The content of the subject in a certificate (RFC 5280, 4.1)."""
    position, fields = 0, _item(_item(der, 0).content, 0).content
    first = _item(fields, 0)
    # version (may be absent), serial number, signature, issuer, validity; then the subject
    for _ in range(5 if first.tag == _VERSION else 4):
        position = _item(fields, position).end
    return _item(fields, position).content


def _canonical_name(name: bytes) -> bytes:
    out = b""
    position = 0
    while position < len(name):
        relative = _item(name, position)
        position = relative.end
        attributes = []
        inner = 0
        while inner < len(relative.content):
            attribute = _item(relative.content, inner)
            inner = attribute.end
            kind = _item(attribute.content, 0)
            value = _item(attribute.content, kind.end)
            oid = attribute.content[: kind.end]
            attributes.append(_encode(_SEQUENCE, oid + _canonical_value(value)))
        out += _encode(_SET, b"".join(sorted(attributes)))
    return out


def _canonical_value(value: Item) -> bytes:
    encoding = _TEXTS.get(value.tag)
    if encoding is None:
        return _encode(value.tag, value.content)
    words = value.content.decode(encoding).encode().split()
    lower = bytes(b + 32 if 0x41 <= b <= 0x5A else b for b in b" ".join(words))
    return _encode(_UTF8_STRING, lower)


def _item(data: bytes, position: int) -> Item:
    tag, length = data[position], data[position + 1]
    start = position + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > len(data):
        raise ValueError("a value is longer than what holds it")
    return Item(tag, data[start : start + length], start + length)


def _encode(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
