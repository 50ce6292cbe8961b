"""A distribution in miniature: a signing key, packages, a signed archive, and a web server for it."""

import base64
import functools
import gzip
import hashlib
import http.server
import io
import lzma
import os
import shutil
import tarfile
import threading
import types
from email.utils import formatdate
from pathlib import Path

import pytest

from tiffin.base.aptconf import AptConfig
from tiffin.base.machine import Machine, Network
from tiffin.base.request import NewLayer
from tiffin.base.sources import Source
from tiffin.errors import CorruptError
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import Digest

NOW = 1_700_000_000
DAY = 24 * 3600

# -- Ed25519 (RFC 8032), slow and small: the tests need no key generator and no agent

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)


def _add(one, two):
    """Points as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z."""
    a = (one[1] - one[0]) * (two[1] - two[0]) % _P
    b = (one[1] + one[0]) * (two[1] + two[0]) % _P
    c = 2 * one[3] * two[3] * _D % _P
    d = 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(factor):
    point = (*_BASE, 1, _BASE[0] * _BASE[1] % _P)
    total = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _add(point, point)
        factor >>= 1
    return total


def _pack(point):
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


# -- OpenPGP (RFC 4880, with EdDSA)


def _mpi(data):
    data = data.lstrip(b"\0") or b"\0"
    return (len(data) * 8 - (8 - data[0].bit_length())).to_bytes(2, "big") + data


def _packet(tag, body):
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def _sub(kind, body):
    return bytes([len(body) + 1, kind]) + body


def _armour(kind, data):
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    text = base64.encodebytes(data).decode()
    check = base64.b64encode(crc.to_bytes(3, "big")).decode()
    return f"-----BEGIN PGP {kind}-----\n\n{text}={check}\n-----END PGP {kind}-----\n"


class Key:
    """A key that signs; `lifetime` in seconds from its making a year before NOW."""

    def __init__(self, seed, lifetime=0) -> None:
        digest = hashlib.sha512(seed.encode()).digest()
        self._scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
        self._prefix = digest[32:]
        self._public = _pack(_times(self._scalar))
        self._made = NOW - 365 * DAY
        curve = bytes.fromhex("2B06010401DA470F01")
        self._body = (
            b"\x04"
            + self._made.to_bytes(4, "big")
            + b"\x16"
            + bytes([len(curve)])
            + curve
            + _mpi(b"\x40" + self._public)
        )
        self._framed = b"\x99" + len(self._body).to_bytes(2, "big") + self._body
        self.fingerprint = hashlib.sha1(self._framed).hexdigest().upper()
        name = f"{seed} <{seed}@example.org>".encode()
        flags = _sub(27, b"\x03") + (_sub(9, lifetime.to_bytes(4, "big")) if lifetime else b"")
        certified = self._framed + b"\xb4" + len(name).to_bytes(4, "big") + name
        proof = self._signature(0x13, certified, self._made, flags)
        self.ring = _packet(6, self._body) + _packet(13, name) + proof

    @property
    def armoured(self):
        return _armour("PUBLIC KEY BLOCK", self.ring)

    def inline(self, text):
        lines = [line.rstrip(" \t") for line in text.removesuffix("\n").split("\n")]
        proof = self._signature(0x01, "\r\n".join(lines).encode(), NOW - DAY)
        escaped = "\n".join(f"- {line}" if line.startswith("-") else line for line in lines)
        head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
        return f"{head}{escaped}\n{_armour('SIGNATURE', proof)}".encode()

    def detached(self, data):
        return _armour("SIGNATURE", self._signature(0x00, data, NOW - DAY)).encode()

    def _signature(self, kind, data, moment, extra=b""):
        issuer = _sub(33, b"\x04" + bytes.fromhex(self.fingerprint))
        hashed = _sub(2, moment.to_bytes(4, "big")) + issuer + extra
        head = b"\x04" + bytes([kind]) + b"\x16\x08" + len(hashed).to_bytes(2, "big") + hashed
        digest = hashlib.sha256(data + head + b"\x04\xff" + len(head).to_bytes(4, "big")).digest()
        unhashed = _sub(16, bytes.fromhex(self.fingerprint)[-8:])
        first, second = self._sign(digest)
        body = head + len(unhashed).to_bytes(2, "big") + unhashed + digest[:2] + _mpi(first) + _mpi(second)
        return _packet(2, body)

    def _sign(self, message):
        nonce = int.from_bytes(hashlib.sha512(self._prefix + message).digest(), "little") % _ORDER
        point = _pack(_times(nonce))
        challenge = int.from_bytes(hashlib.sha512(point + self._public + message).digest(), "little")
        return point, ((nonce + challenge * self._scalar) % _ORDER).to_bytes(32, "little")


# -- packages


def tar_of(entries, compress=lambda data: data):
    """A tar of (name, content or link text or None, mode[, type]) entries."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content, mode, *kind in entries:
            info = tarfile.TarInfo(f"./{name}")
            info.mode, info.mtime = mode, NOW - 30 * DAY
            info.type = kind[0] if kind else (tarfile.DIRTYPE if content is None else tarfile.REGTYPE)
            if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = content
            elif content is not None:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return compress(out.getvalue())


def deb_of(control, entries=(), *, data_kind=".xz", scripts=()):
    """The bytes of a binary package."""
    pack = {".xz": lzma.compress, ".gz": gzip.compress, "": bytes, ".zst": _zstd}[data_kind]
    controls = [
        ("control", control.encode(), 0o644),
        *((name, text.encode(), 0o755) for name, text in scripts),
    ]
    sums = "".join(f"{hashlib.md5(e[1]).hexdigest()}  {e[0]}\n" for e in entries if isinstance(e[1], bytes))
    if sums:
        controls.append(("md5sums", sums.encode(), 0o644))
    parts = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", tar_of(controls, gzip.compress)),
        (f"data.tar{data_kind}", tar_of(entries, pack)),
    ]
    out = b"!<arch>\n"
    for name, data in parts:
        out += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
            + data
            + b"\n" * (len(data) % 2)
        )
    return out


def _zstd(data):
    from backports import zstd

    return zstd.compress(data)


class Distribution:
    """An archive in a folder; `publish` writes and signs its indexes."""

    def __init__(self, root, key, suite="tinny") -> None:
        self.root = root
        self.key = key
        self.suite = suite
        self.paragraphs = {}
        self.release = {"Origin": "Tin", "Suite": "stable", "Codename": suite, "Acquire-By-Hash": "yes"}

    def add(self, name, version="1.0", *, fields="", entries=(), **how):
        base = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody\n{fields}"
        data = deb_of(base, entries, **how)
        path = self.root / "pool" / f"{name}_{version.replace(':', '%3a')}_all.deb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sums = f"Filename: pool/{path.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        self.paragraphs[name, version] = base + sums
        return path

    def publish(self, *, signed_by=None, valid_until=None, change=lambda text: text, detached=False):
        place = self.root / "dists" / self.suite
        shutil.rmtree(place, ignore_errors=True)
        packages = place / "main/binary-amd64"
        (packages / "by-hash/SHA256").mkdir(parents=True)
        plain = "\n".join(self.paragraphs.values()).encode()
        listed = [f" {hashlib.sha256(plain).hexdigest()} {len(plain)} main/binary-amd64/Packages"]
        for name, data in (
            ("Packages.xz", lzma.compress(plain)),
            ("Packages.gz", gzip.compress(plain, mtime=0)),
        ):
            (packages / name).write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            (packages / "by-hash/SHA256" / digest).write_bytes(data)
            listed.append(f" {digest} {len(data)} main/binary-amd64/{name}")
        fields = {**self.release, "Date": formatdate(NOW - DAY, usegmt=True).replace("GMT", "UTC")}
        if valid_until is not None:
            fields["Valid-Until"] = formatdate(valid_until, usegmt=True).replace("GMT", "UTC")
        fields |= {"Architectures": "amd64", "Components": "main"}
        text = (
            "".join(f"{name}: {value}\n" for name, value in fields.items())
            + "SHA256:\n"
            + "\n".join(listed)
            + "\n"
        )
        key = signed_by or self.key
        if detached:
            (place / "Release").write_text(change(text))
            (place / "Release.gpg").write_bytes(key.detached(text.encode()))
        else:
            (place / "InRelease").write_bytes(change(key.inline(text).decode()).encode())


# -- doubles of what the engine lends


class FolderBlobs:
    """Content in a folder, by the contract of the content store."""

    def __init__(self, root) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, digest):
        return self.root / digest.encoded

    def has(self, descriptor):
        return self.path(descriptor.digest).is_file()

    def ingest(self, stream, expected=None):
        data = b"".join(iter(lambda: stream.read(65536), b""))
        found = Descriptor(expected.media_type, Digest.of(data), len(data))
        if found.digest != expected.digest or found.size != expected.size:
            raise CorruptError(
                f"the content has the digest {found.digest}, and {expected.digest} was expected"
            )
        self.path(found.digest).write_bytes(data)
        return found

    def names(self):
        return sorted(path.name for path in self.root.iterdir())


class NotedOwners:
    """Remembers who should own what, and changes nothing: the tests need no root."""

    def __init__(self) -> None:
        self.changes = {}

    def change(self, target, uid, gid):
        self.changes[str(target)] = (uid, gid)

    def set_mode(self, target, mode):
        os.chmod(target, mode)


@pytest.fixture(scope="session")
def archive_key():
    return Key("archive")


@pytest.fixture(scope="session")
def other_key():
    return Key("somebody")


@pytest.fixture
def blobs(tmp_path):
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def new_layer(tmp_path):
    """A maker of layer directories, with the list of those that it made."""
    made = []

    def make():
        path = tmp_path / f"layer-{len(made)}"
        path.mkdir()
        made.append(NewLayer(path, NotedOwners()))
        return made[-1]

    make.made = made
    return make


@pytest.fixture(scope="session")
def kit():
    """The builders of this file, for tests that make their own keys, packages and archives."""
    return types.SimpleNamespace(
        Key=Key, Distribution=Distribution, deb_of=deb_of, tar_of=tar_of, NOW=NOW, DAY=DAY
    )


@pytest.fixture
def network():
    return Network(AptConfig({}), {"no_proxy": "*"})


@pytest.fixture
def serve():
    """Start a server of a folder on loopback: `.uri`, `.asked` the paths, `.wrong` answers to give."""
    running = []

    def start(root, wrong=None):
        handler = functools.partial(_Handler, directory=str(root))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.asked, server.headers, server.wrong = [], [], dict(wrong or {})
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        server.uri = f"http://127.0.0.1:{server.server_port}"
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.headers.append(self.headers)
        answers = self.server.wrong.get(self.path)
        if answers:
            answer = answers.pop(0)
            if isinstance(answer, int):
                self.send_error(answer)
                return
            self.send_response(200)  # a body that breaks off
            self.send_header("Content-Length", str(len(answer) + 100))
            self.end_headers()
            self.wfile.write(answer)
            self.close_connection = True
            return
        super().do_GET()

    def log_message(self, *_words):
        pass


@pytest.fixture
def machine(tmp_path, archive_key, network):
    """A machine that trusts the archive's key, with no source yet: `machine._replace(sources=…)`."""
    ring = tmp_path / "root/usr/share/keyrings/tin-archive-keyring.gpg"
    ring.parent.mkdir(parents=True)
    ring.write_bytes(archive_key.ring)
    return Machine("tin", "tinny", "amd64", (), network, tmp_path / "root")


@pytest.fixture
def source_of():
    def make(uri, suite="tinny", **fields):
        return Source(uri, suite, ("main",), **fields)

    return make


@pytest.fixture(scope="session")
def verifiers():
    """The tools that this machine can verify with; every apt brings one of them."""
    found = [tool for tool in ("gpgv", "sqv") if shutil.which(tool)]
    if not found:
        pytest.skip("neither gpgv nor sqv is installed")
    return found


@pytest.fixture
def tin(tmp_path, archive_key, verifiers):
    """An archive with every package that a runtime base wants, published."""
    tin = Distribution(tmp_path / "mirror", archive_key)
    fill(tin)
    tin.publish()
    return tin


WHICH = """\
ua() {
    update-alternatives --install /usr/bin/which which /usr/bin/which.debianutils 0 \\
        --slave /usr/share/man/man1/which.1.gz which.1.gz /usr/share/man/man1/which.debianutils.1.gz
}
"""
CERTIFICATE = (Path(__file__).parent / "isrg-root-x2.pem").read_bytes()
PLAIN = ("bash", "coreutils", "findutils", "grep", "gzip", "hostname", "ncurses-base", "sed", "tar")
PLAIN += ("login", "passwd")


def fill(tin):
    for name in PLAIN:
        tin.add(name, entries=[(f"usr/bin/{name}", name.encode(), 0o755)], fields="Depends: libtin\n")
    tin.add("libtin", "2:1.5-1", entries=[("lib/libtin.so.1", b"no ELF", 0o644)], data_kind=".zst")
    tin.add("dash", entries=[("bin/dash", b"dash", 0o755), ("usr/bin/sh", "dash", 0o777, tarfile.SYMTYPE)])
    tin.add(
        "debianutils",
        entries=[
            ("usr/bin/which.debianutils", b"which", 0o755),
            ("usr/share/debianutils/shells", b"# shells\n/bin/sh\n", 0o644),
            ("usr/share/debianutils/shells.d/dash", b"/bin/dash\n", 0o644),
        ],
        scripts=[("postinst", WHICH)],
    )
    passwd = b"root:*:0:0:root:/root:/bin/bash\nwww-data:*:33:33:www-data:/var/www:/usr/sbin/nologin\n"
    group = b"root:*:0:\nmail:*:8:\nwww-data:*:33:\nshadow:*:42:\nutmp:*:43:\n"
    masters = "usr/share/base-passwd"
    tin.add(
        "base-passwd",
        entries=[(f"{masters}/passwd.master", passwd, 0o644), (f"{masters}/group.master", group, 0o644)],
    )
    tin.add(
        "base-files",
        fields="Essential: yes\nPriority: required\n",
        data_kind=".gz",
        entries=[
            ("bin", None, 0o755),
            ("tmp", None, 0o1777),
            ("etc/debian_version", b"1.0\n", 0o644),
            ("usr/lib/os-release", b"ID=tin\n", 0o644),
            ("etc/os-release", "../usr/lib/os-release", 0o777, tarfile.SYMTYPE),
            ("usr/share/base-files/nsswitch.conf", b"passwd: files\n", 0o644),
            ("usr/share/doc/base-files/copyright", b"free\n", 0o644),
            ("usr/share/doc/base-files/changelog.gz", b"long", 0o644),
        ],
    )
    tin.add(
        "libc-bin",
        entries=[("sbin/ldconfig", b"ldconfig", 0o755), ("etc/ld.so.conf", b"/usr/lib/tin\n", 0o644)],
    )
    tin.add(
        "ca-certificates",
        fields="Depends: openssl, debconf (>= 0.5) | debconf-2.0\n",
        entries=[("usr/share/ca-certificates/mozilla/ISRG_Root_X2.crt", CERTIFICATE, 0o644)],
    )
