import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from tiffin.base.certificates import install_certificates, pem_name, subject_hash
from tiffin.base.tree import Tree
from tiffin.errors import CorruptError

ROOT = (Path(__file__).parent / "isrg-root-x2.pem").read_bytes()


def test_the_hash_that_every_system_links_this_root_under():
    assert f"{subject_hash(ROOT):08x}" == "0b9bc432"


def der(tag, content):
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def certificate(*attributes):
    """So much of a certificate as a subject needs: attributes are (string tag, text bytes)."""
    oid = der(6, bytes([0x55, 4, 3]))
    name = b"".join(der(0x31, der(0x30, oid + der(tag, text))) for tag, text in attributes)
    fields = der(0xA0, der(2, b"\2")) + der(2, b"\1") + der(0x30, b"") * 3 + der(0x30, name)
    text = base64.encodebytes(der(0x30, der(0x30, fields)))
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"


def test_case_blanks_and_string_types_make_no_difference():
    plain = subject_hash(certificate((0x0C, b"my root ca")))
    assert subject_hash(certificate((0x13, b"  My   Root CA "))) == plain
    assert subject_hash(certificate((0x1E, "My Root CA".encode("utf-16-be")))) == plain
    assert subject_hash(certificate((0x0C, b"my rootca"))) != plain


@pytest.mark.parametrize("bad", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate(bad):
    with pytest.raises(CorruptError, match="CA certificate"):
        subject_hash(bad)


@pytest.mark.live
def test_openssl_agrees_on_this_machines_roots():
    paths = sorted(Path("/usr/share/ca-certificates/mozilla").glob("*.crt"))
    if shutil.which("openssl") is None or not paths:
        pytest.skip("the packages openssl and ca-certificates are not installed")
    for path in paths:
        argv = ["openssl", "x509", "-in", path, "-noout", "-subject_hash"]
        expected = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
        assert f"{subject_hash(path.read_bytes()):08x}" == expected, path


def test_the_store_that_is_made(new_layer):
    tree = Tree(new_layer())
    directory = "usr/share/ca-certificates/mozilla"
    tree.write(f"{directory}/Root_(A).crt", ROOT.rstrip(b"\n"))
    tree.write(f"{directory}/Same.crt", ROOT)
    assert install_certificates(tree) == 2
    assert tree.read("etc/ssl/certs/ca-certificates.crt").count(b"-----BEGIN CERTIFICATE-----\n") == 2
    assert tree.link_target("etc/ssl/certs/Root_=A=.pem") == "/usr/share/ca-certificates/mozilla/Root_(A).crt"
    assert tree.link_target("etc/ssl/certs/0b9bc432.0") == "Root_=A=.pem"
    assert tree.link_target("etc/ssl/certs/0b9bc432.1") == "Same.pem"
    assert tree.read("usr/lib/ssl/cert.pem") == tree.read("etc/ssl/certs/ca-certificates.crt")
    assert tree.read("etc/ca-certificates.conf") == b"mozilla/Root_(A).crt\nmozilla/Same.crt\n"


def test_no_certificates_no_store(new_layer):
    tree = Tree(new_layer())
    assert install_certificates(tree) == 0
    assert tree.paths() == []


def test_names_of_links():
    assert pem_name("mozilla/A (b), c.crt") == "A_=b=__c.pem"
