"""The distribution's registry as companies run it: over TLS, with tokens from a server that knows rights."""

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.doubles import pki
from tests.doubles.server import serve
from tests.engine.test_transfers import built
from tests.live.test_registry import DAEMON, make, skopeo  # noqa: F401  # fixtures

from tiffin.engine.referring import attach_files, list_beside
from tiffin.engine.transfers import login, pull, push
from tiffin.errors import DeniedError, UnauthorizedError

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="layers are unpacked with their owners, which takes root"),
    pytest.mark.skipif(DAEMON is None, reason="the package docker-registry is not installed"),
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="the package skopeo is not installed"),
]

CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}/data}}}}
http:
  addr: 127.0.0.1:{port}
  secret: not-much-of-one
  tls: {{certificate: {pki}/server.crt, key: {pki}/server.key}}
auth: {{token: {{realm: "{realm}/token", service: ours, issuer: us, rootcertbundle: {pki}/signer.crt}}}}
"""
PASSWORDS = {"anna": "pass:word", "bert": "other"}
RIGHTS = {"anna": ("team/", {"pull", "push"}), "bert": ("team/", {"pull"})}


class Signer:
    """Makes tokens that the registry believes (JWT by RS256)."""

    def __init__(self, place) -> None:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        words = ("-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "signer.key", "-out", "signer.crt")
        subject = ("-subj", "/CN=us", "-days", "2")
        subprocess.run(["openssl", "req", *words, *subject], cwd=place, check=True, capture_output=True)
        self.key = load_pem_private_key((place / "signer.key").read_bytes(), None)
        self.certificate = "".join((place / "signer.crt").read_text().splitlines()[1:-1])

    def token(self, user, access):
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self.certificate]}
        body = {"iss": "us", "sub": user, "aud": "ours", "nbf": now - 60, "iat": now, "exp": now + 300}
        body |= {"jti": os.urandom(8).hex(), "access": access}
        text = b".".join(_base64(json.dumps(part).encode()) for part in (head, body))
        return (text + b"." + _base64(self.key.sign(text, PKCS1v15(), SHA256()))).decode()


def _base64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class TokenServer(BaseHTTPRequestHandler):
    """Gives what a user may do of what is asked for, and nothing to strangers."""

    protocol_version = "HTTP/1.1"
    signer = None
    asked = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        kind, _, packed = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(packed if kind == "Basic" else "").decode().partition(":")
        query = parse_qs(urlsplit(self.path).query)
        self.asked.append((user, sorted(query.get("scope", []))))
        if user and PASSWORDS.get(user) != password:
            self.reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]})
            return
        prefix, rights = RIGHTS.get(user, ("", set()))
        access = []
        for scope in " ".join(query.get("scope", [])).split():
            kind, name, actions = scope.split(":")
            granted = sorted(rights & set(actions.split(","))) if name.startswith(prefix) else []
            access.append({"type": kind, "name": name, "actions": granted})
        self.reply(200, {"token": self.signer.token(user, access), "expires_in": 300})

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Guarded(NamedTuple):
    """Where registry and tokens are, and who asked for which scopes."""

    registry: str
    tokens: str
    asked: list


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def guarded(place, tmp_path_factory):
    """The registry, behind the server of tokens."""
    root = tmp_path_factory.mktemp("guarded")
    asked = []

    class Tokens(TokenServer):
        pass

    Tokens.signer, Tokens.asked = Signer(place), asked
    with serve(Tokens, pki.tls(place)) as realm, socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        one.close()
        (root / "config.yml").write_text(CONFIG.format(root=root, port=port, pki=place, realm=realm))
        with (root / "log").open("wb") as log:
            process = subprocess.Popen([DAEMON, "serve", root / "config.yml"], stdout=log, stderr=log)
        try:
            wait_for(port, process, root / "log")
            yield Guarded(f"127.0.0.1:{port}", realm.partition("://")[2], asked)
        finally:
            process.terminate()
            process.wait(10)


def wait_for(port, process, log):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _ in range(200):
        try:
            urllib.request.urlopen(f"https://127.0.0.1:{port}/v2/", timeout=5, context=context).close()
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    pytest.fail(log.read_text()[-2000:])


@pytest.fixture
def engine(make, place, tmp_path, guarded):  # noqa: F811
    """An engine that trusts our CA for the server of tokens; a registry on this machine needs none."""
    folder = tmp_path / ".config/containers/certs.d" / guarded.tokens
    folder.mkdir(parents=True)
    shutil.copy(place / "ca.crt", folder / "ca.crt")
    return make("one")


def test_tokens_are_for_what_is_done_and_rights_are_kept(engine, make, guarded, skopeo, tmp_path):  # noqa: F811
    registry, _, asked = guarded
    name = f"{registry}/team/app:1"
    built(engine, name, app="a" * 100_000)
    with pytest.raises(UnauthorizedError) as caught:
        push(engine, name)
    assert f"tiffin login {registry}" in caught.value.hint
    with pytest.raises(UnauthorizedError, match="refuses the login of user anna"):
        login(engine.settings, registry, "anna", "wrong")
    login(engine.settings, registry, "anna", "pass:word")
    asked.clear()
    sent = push(engine, name)
    ((user, scopes),) = asked  # one token for all of it
    assert (user, "repository:team/app:pull,push" in scopes) == ("anna", True)
    ours = tmp_path / ".docker/config.json"
    inspected = skopeo("inspect", "--authfile", ours, "--tls-verify=false", f"docker://{name}")
    assert json.loads(inspected)["Digest"] == sent.digest
    # What is in one repository is mounted into another, by a token for both.
    other = f"{registry}/team/other:1"
    from tiffin.engine.images import tag

    tag(engine, name, other)
    asked.clear()
    push(engine, other)
    wanted = {"repository:team/app:pull", "repository:team/other:pull,push"}
    assert any(wanted <= set(scopes) for _, scopes in asked)
    # Another user may read there, and nothing else.
    login(engine.settings, registry, "bert", "other")
    assert pull(make("two"), name).digest == sent.digest
    with pytest.raises(DeniedError, match="does not let bert use"):
        push(engine, name)
    with pytest.raises(DeniedError, match="does not let bert use"):
        pull(engine, f"{registry}/elsewhere/app:1")


def test_what_refers_to_an_image_is_kept_by_a_tag_here(engine, guarded, skopeo, tmp_path):  # noqa: F811
    registry = guarded.registry
    name = f"{registry}/team/signed:1"
    built(engine, name, app="b")
    login(engine.settings, registry, "anna", "pass:word")
    push(engine, name)
    sbom = tmp_path / "sbom.json"
    sbom.write_text("{}")
    subject, sent = attach_files(engine, name, [sbom], "application/spdx+json", {"by": "anna"})
    (found,) = list_beside(engine, name)
    assert (found.descriptor.digest, found.artifact_type) == (sent.digest, "application/spdx+json")
    tag = f"docker://{registry}/team/signed:{subject.digest.replace(':', '-')}"
    words = ("inspect", "--raw", "--authfile", tmp_path / ".docker/config.json", "--tls-verify=false")
    (entry,) = json.loads(skopeo(*words, tag))["manifests"]
    assert (entry["digest"], entry["annotations"]) == (sent.digest, {"by": "anna"})
