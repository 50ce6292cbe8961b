"""Packages found in a root filesystem, and the SPDX document that they make."""

import json
import sqlite3
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.suites.attestations import check_spdx

from tiffin.build.attest.languages import is_described, read_description
from tiffin.build.attest.packages import Distribution, read_apk, read_copyright, read_dpkg, read_os_release
from tiffin.build.attest.scan import scan
from tiffin.build.attest.spdx import Subject, document
from tiffin.oci.codec import encode
from tiffin.snapshot.merged import MergedTree

DEBIAN = Distribution("debian", "12")
SUBJECT = Subject("finca:latest", "sha256:" + "a" * 64)
STATUS = """\
Package: libc6
Status: install ok installed
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u7
Description: GNU C Library
 Version: not this one
Homepage: https://www.gnu.org/software/libc/libc.html

Package: gone
Status: deinstall ok config-files
Version: 1

Package: bad name
Version: 2

Package: zlib1g
Version: 1:1.2.13.dfsg-1
Architecture: amd64
"""
APK = """\
C:Q1abc=
P:busybox
V:1.36.1-r5
A:x86_64
L:GPL-2.0-only
U:https://busybox.net/
o:busybox
m:Somebody <s@example.org>
F:bin
R:busybox

P:libssl3
V:3.1.4-r0
A:x86_64
L:Apache-2.0
o:openssl

P:nothing
"""


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return MergedTree([root])


def urls(inventory):
    return [package.url for package in inventory.packages]


def test_dpkg():
    found = list(read_dpkg(STATUS, "/s", DEBIAN))
    assert [package.url for package in found] == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u7?arch=amd64&distro=debian-12&upstream=glibc%402.36-9",
        "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12",
    ]
    assert found[0].supplier.startswith("GNU Libc Maintainers")
    assert found[0].homepage == "https://www.gnu.org/software/libc/libc.html"


def test_apk():
    found = list(read_apk(APK, "/i", Distribution("alpine", "3.19.1")))
    assert [package.url for package in found] == [
        "pkg:apk/alpine/busybox@1.36.1-r5?arch=x86_64&distro=alpine-3.19.1",
        "pkg:apk/alpine/libssl3@3.1.4-r0?arch=x86_64&distro=alpine-3.19.1&upstream=openssl",
    ]
    assert found[0].licenses == ("GPL-2.0-only",)


def test_the_distribution():
    assert read_os_release('NAME=x\nID=debian\nVERSION_ID="12"\n').qualifier == "debian-12"
    assert read_os_release("ID='wolfi'\n").qualifier == "wolfi"
    assert read_os_release("").qualifier == ""


def test_copyright_files():
    text = "Format: https://www.debian.org/doc/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-2+\n"
    assert read_copyright(f"{text} text\n\nFiles: x\nLicense: Expat\n") == ("Expat", "GPL-2+")
    assert read_copyright("This is free software.\nLicense: all of them\n") == ()


PYTHON = "Metadata-Version: 2.1\nName: Flask_Thing\nVersion: 1.2\n{}\n\nName: not-this\n"


@pytest.mark.parametrize(
    ("head", "licenses"),
    [
        ("License: MIT", ("MIT",)),
        ("License-Expression: Apache-2.0 OR MIT\nLicense: old", ("Apache-2.0 OR MIT",)),
        (f"License: {'text ' * 40}\nClassifier: License :: OSI Approved :: BSD License", ("BSD License",)),
        ("License: UNKNOWN", ()),
        ("", ()),
    ],
)
def test_python(head, licenses):
    path = "/usr/lib/python3/dist-packages/flask_thing-1.2.dist-info/METADATA"
    package = read_description(path, PYTHON.format(head).encode())
    assert package.url == "pkg:pypi/flask-thing@1.2"
    assert package.licenses == licenses


@pytest.mark.parametrize(
    ("path", "described"),
    [
        ("/a/x-1.dist-info/METADATA", True),
        ("/a/x-1.dist-info/RECORD", False),
        ("/a/x.egg-info/PKG-INFO", True),
        ("/a/x-1-py3.11.egg-info", True),
        ("/app/node_modules/left-pad/package.json", True),
        ("/app/node_modules/@scope/name/package.json", True),
        ("/app/node_modules/name/lib/package.json", False),
        ("/app/package.json", False),
        ("/opt/conda/conda-meta/numpy-1.26.4-py311_0.json", True),
        ("/opt/conda/conda-meta/history", False),
    ],
)
def test_which_files_describe_packages(path, described):
    assert is_described(path) == described


def test_npm_and_conda():
    node = json.dumps(
        {"name": "@types/node", "version": "20.1.0", "license": "MIT", "homepage": "https://x.example"}
    )
    assert read_description("/node_modules/@types/node/package.json", node.encode()).url == (
        "pkg:npm/%40types/node@20.1.0"
    )
    conda = {
        "name": "numpy",
        "version": "1.26.4",
        "build": "py311_0",
        "subdir": "linux-64",
        "license": "BSD-3-Clause",
    }
    conda["channel"] = "https://repo.anaconda.com/pkgs/main/linux-64"
    package = read_description("/conda-meta/numpy.json", json.dumps(conda).encode())
    assert package.url == "pkg:conda/numpy@1.26.4?build=py311_0&channel=main&subdir=linux-64"
    assert package.licenses == ("BSD-3-Clause",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1]",
        b'{"name": 1, "version": "1"}',
        b'{"name": "../x/y", "version": "1"}',
        b"[" * 9999,
        b"\xff",
    ],
)
@pytest.mark.parametrize(
    "path", ["/node_modules/a/package.json", "/conda-meta/a.json", "/a.dist-info/METADATA"]
)
def test_what_is_no_description(path, data):
    assert read_description(path, data) is None


def header(**fields):
    """A header of rpm with these tags, as it lies in the data base."""
    tags = {"name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "license": 1014, "arch": 1022}
    entries, store = b"", b""
    for key, value in fields.items():
        if isinstance(value, int):
            store += bytes(-len(store) % 4)
            entries += struct.pack(">IIII", tags[key], 4, len(store), 1)
            store += struct.pack(">I", value)
        else:
            entries += struct.pack(">IIII", tags[key], 6, len(store), 1)
            store += value.encode() + b"\0"
    return struct.pack(">II", len(fields), len(store)) + entries + store


def rpmdb(path, *blobs, statement="CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)"):
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")  # as rpm has it
        db.execute(statement)
        db.executemany("INSERT INTO Packages(blob) VALUES (?)", [(blob,) for blob in blobs])
    db.close()


def test_rpm(tmp_path):
    bash = header(name="bash", version="5.2.26", release="3.fc40", arch="x86_64", license="GPL-3.0-or-later")
    dns = header(name="bind", version="9.18", release="1", epoch=32, arch="x86_64")
    rubbish = [
        b"",
        b"\xff" * 40,
        struct.pack(">II", 1, 10) + bytes(26),
        header(name="gpg-pubkey", version="a"),
    ]
    rpmdb(tmp_path / "usr/lib/sysimage/rpm/rpmdb.sqlite", bash, dns, *rubbish)
    tree = write(tmp_path, {"etc/os-release": "ID=fedora\nVERSION_ID=40\n"})
    found = scan(tree)
    assert urls(found) == [
        "pkg:rpm/fedora/bash@5.2.26-3.fc40?arch=x86_64&distro=fedora-40",
        "pkg:rpm/fedora/bind@9.18-1?arch=x86_64&distro=fedora-40&epoch=32",
    ]
    assert found.packages[1].version == "32:9.18-1"
    assert sorted(path.name for path in (tmp_path / "usr/lib/sysimage/rpm").iterdir()) == ["rpmdb.sqlite"]


def test_a_data_base_that_never_ends(tmp_path):
    path = tmp_path / "var/lib/rpm/rpmdb.sqlite"
    path.parent.mkdir(parents=True)
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS hnum, x'' AS blob FROM n"
    )
    with sqlite3.connect(path) as db:
        db.execute(f"CREATE VIEW Packages AS {endless}")
    db.close()
    found = scan(MergedTree([tmp_path]))
    assert (found.packages, found.missed) == ((), ("/var/lib/rpm/rpmdb.sqlite",))


def test_an_image_of_several_layers(tmp_path):
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    write(lower, {"var/lib/dpkg/status": STATUS, "etc/os-release": "ID=debian\nVERSION_ID=12\n"})
    write(lower, {"usr/share/doc/zlib1g/copyright": "Format: x\nLicense: Zlib\n"})
    write(lower, {"var/lib/dpkg/status.d/tzdata": "Package: tzdata\nVersion: 2024a\n"})
    write(lower, {"var/lib/dpkg/status.d/tzdata.md5sums": "Package: no\nVersion: 1\n"})
    write(upper, {"usr/lib/python3/a-1.dist-info/METADATA": "Name: a\nVersion: 1\n"})
    write(upper, {"proc/x/b-1.dist-info/METADATA": "Name: b\nVersion: 1\n"})
    found = scan(MergedTree([upper, lower]))
    assert [package.name for package in found.packages] == ["libc6", "tzdata", "zlib1g", "a"]
    assert found.packages[2].licenses == ("Zlib",)
    assert found.missed == ()
    made = document(found, SUBJECT, 315_619_200)
    check_spdx(made)
    assert made == document(scan(MergedTree([upper, lower])), SUBJECT, 315_619_200)
    assert made["creationInfo"]["created"] == "1980-01-02T00:00:00Z"
    assert [package["name"] for package in made["packages"][1:]] == ["libc6", "tzdata", "zlib1g", "a"]


def test_paths_need_not_be_unicode(tmp_path):
    odd = tmp_path / "r\udce9sum"
    tree = write(tmp_path, {"r\udce9sum/a-1.dist-info/METADATA": "Name: a\nVersion: 1\n"})
    rpmdb(odd / "var/lib/rpm/rpmdb.sqlite", header(name="bash", version="5", release="1"))
    write(tmp_path, {"r\udce9sum/usr/lib/sysimage/rpm/Packages.db": "RpmP"})
    found = scan(tree)
    assert [(package.name, package.found) for package in found.packages] == [
        ("a", "/r\ufffdsum/a-1.dist-info/METADATA"),
        ("bash", "/r\ufffdsum/var/lib/rpm/rpmdb.sqlite"),
    ]
    assert found.missed == ("/r\ufffdsum/usr/lib/sysimage/rpm/Packages.db",)
    made = document(found, SUBJECT, 0)
    check_spdx(made)
    assert json.loads(encode(made)) == made


def test_links_stay_inside(tmp_path):
    tree = write(tmp_path / "image", {"var/lib/dpkg/x": ""})
    (tmp_path / "status").write_text(STATUS)
    (tmp_path / "image/var/lib/dpkg/status").symlink_to("../../../../status")
    (tmp_path / "image/etc").symlink_to("/etc")
    found = scan(tree)
    assert found.packages == ()
    assert found.distribution.id == ""


def test_what_cannot_be_read_is_said(tmp_path):
    tree = write(tmp_path, {"var/lib/rpm/Packages": b"\0" * 100, "var/lib/rpm/Packages.db": "RpmP"})
    found = scan(tree)
    assert found.missed == ("/var/lib/rpm/Packages", "/var/lib/rpm/Packages.db")
    assert "/var/lib/rpm/Packages" in document(found, SUBJECT, 0)["comment"]


def test_an_image_with_nothing_in_it():
    check_spdx(document(scan(MergedTree([])), SUBJECT, 0))


_LINES = st.text(st.sampled_from("PV:acknge \n\t.-+/\u00e9\0"), max_size=60)


@given(_LINES, _LINES, _LINES)
def test_whatever_is_in_the_files_the_document_is_valid(tmp_path_factory, status, apk, metadata):
    root = tmp_path_factory.mktemp("tree")
    files = {
        "var/lib/dpkg/status": f"Package: a\nVersion: 1\nMaintainer: {status}\n{status}",
        "lib/apk/db/installed": f"P:b\nV:2\nL:{apk}\n{apk}",
        "a-1.dist-info/METADATA": f"Name: c\nVersion: 3\nLicense: {metadata}\n{metadata}",
    }
    check_spdx(document(scan(write(root, files)), SUBJECT, 0))
