"""A CA of our own, with openssl: certificates for this machine, and for another name."""

import ssl
import subprocess


def make(place):
    """Make `ca.crt`, and key and certificate of `server` (127.0.0.1, localhost) and `other`, in `place`."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=our CA", "-days", "2")
    for name, names in (("server", "IP:127.0.0.1,DNS:localhost"), ("other", "DNS:other.example.org")):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (place / "names").write_text(f"subjectAltName={names}")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.crt", "-days", "2", "-extfile", "names",
        )  # fmt: skip
    return place


def tls(place, name="server"):
    """What a server with that certificate wraps its sockets with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / f"{name}.crt", place / f"{name}.key")
    return context
