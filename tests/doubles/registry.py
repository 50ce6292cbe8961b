"""A registry over HTTP in this process: the distribution-spec as it is written, and every way to break it.

It is written from the specification alone and shares no code with what it tests.
"""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.doubles.server import serve

INDEX = "application/vnd.oci.image.index.v1+json"
REPOSITORY = r"/v2/(?P<name>[a-z0-9._/-]+?)"
ROUTES = [
    (re.compile(r"/v2/"), "base"),
    (re.compile(r"/token"), "token"),
    (re.compile(REPOSITORY + r"/manifests/(?P<ref>[^/]+)"), "manifest"),
    (re.compile(REPOSITORY + r"/tags/list"), "tags"),
    (re.compile(REPOSITORY + r"/referrers/(?P<ref>[^/]+)"), "referrers"),
    (re.compile(REPOSITORY + r"/blobs/uploads/"), "start"),
    (re.compile(REPOSITORY + r"/blobs/uploads/(?P<upload>[0-9]+)"), "upload"),
    (re.compile(REPOSITORY + r"/blobs/(?P<ref>[^/]+)"), "blob"),
]


class Seen(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class RegistryDouble:
    """Content by repository, tags, logins; `faults` are asked before each request and may answer it.

    A fault is a function of the handler; it answers True when it has dealt with the request.
    """

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.seen: list[Seen] = []
        self.faults: list = []
        self.users: dict[str, str] = {}
        self.scheme = ""  # "basic" or "bearer"
        self.tokens: dict[str, set[str]] = {}
        self.issued = 0
        self.begun = 0
        self.page = 1000  # tags, or referrers, in one answer
        self.knows_referrers = False  # as registries before version 1.1 of the specification
        self.filters = True
        self.refresh_tokens: set[str] = set()
        self.expires_in: int | None = 300
        self.forbidden: set[str] = set()
        self.lock = threading.Lock()
        self.address = ""

    def put(self, name, data, media_type=None, tag=None):
        """Have content; the digest of it."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        if media_type is None:
            self.blobs[name, digest] = data
        else:
            self.manifests[name, digest] = (media_type, data)
            if tag:
                self.manifests[name, tag] = (media_type, data)
        return digest

    def requests(self, method=None):
        """What was asked, without the version check: `METHOD path`."""
        return [
            f"{one.method} {one.path.partition('?')[0]}"
            for one in self.seen
            if one.path != "/v2/" and method in (None, one.method)
        ]

    @contextmanager
    def serve(self, tls=None):
        double = self

        class Handler(_Handler):
            registry = double

        with serve(Handler, tls) as self.url:
            self.address = self.url.partition("://")[2]
            yield self


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: RegistryDouble

    def log_message(self, *_):
        pass

    def _handle(self):
        self.replied = False
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query)
        self.body = b""
        if self.command in ("POST", "PUT", "PATCH"):
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = Seen(self.command, self.path, dict(self.headers), self.body)
        with self.registry.lock:
            self.registry.seen.append(seen)
        for fault in list(self.registry.faults):
            if fault(self):
                return
        for pattern, verb in ROUTES:
            found = pattern.fullmatch(parts.path)
            if found:
                if verb == "token" or self._authorised(found.groupdict().get("name")):
                    getattr(self, f"_{verb}")(**found.groupdict())
                return
        self.fail(404, "UNSUPPORTED", "no such route")

    def __getattr__(self, name) -> object:
        """The handler of any method, as the base class looks for it: do_GET and so on."""
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Content-Length", str(len(body)))
        for name, value in named.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status, code, message="", **headers):
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.reply(status, body, Content_Type="application/json", **headers)

    def cut(self):
        """Close the connection without another word."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(2)

    def _authorised(self, name):
        registry = self.registry
        sent = self.headers.get("Authorization", "")
        action = "pull" if self.command in ("GET", "HEAD") else "push"
        if registry.scheme == "basic":
            if not _basic(sent, registry.users):
                self.fail(401, "UNAUTHORIZED", "", WWW_Authenticate='Basic realm="double"')
                return False
        elif registry.scheme == "bearer":
            held = registry.tokens.get(sent.removeprefix("Bearer "))
            wanted = f"repository:{name}:{action}"
            if held is None or (name and wanted not in held):
                challenge = f'Bearer realm="{registry.url}/token",service="double"'
                if name:
                    challenge += f',scope="repository:{name}:pull{",push" if action == "push" else ""}"'
                self.fail(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)
                return False
        return True

    def _token(self):
        registry = self.registry
        form = {key: values[0] for key, values in parse_qs(self.body.decode()).items()}
        answer = {}
        if self.command == "POST":
            if form.get("refresh_token") not in registry.refresh_tokens:
                return self.fail(401, "UNAUTHORIZED", "refresh token is unknown")
            scopes = form.get("scope", "").split()
        else:
            sent = self.headers.get("Authorization", "")
            if registry.users and not _basic(sent, registry.users):
                return self.fail(401, "UNAUTHORIZED", "incorrect username or password")
            scopes = self.query.get("scope", [])
            if self.query.get("offline_token") == ["true"]:
                answer["refresh_token"] = "refresh-1"
                registry.refresh_tokens.add("refresh-1")
        granted = set()
        for scope in scopes:
            kind, name, actions = scope.split(":")
            granted |= {f"{kind}:{name}:{a}" for a in actions.split(",") if name not in registry.forbidden}
        with registry.lock:
            registry.issued += 1
            token = f"token-{registry.issued}"
            registry.tokens[token] = granted
        answer["token"] = token
        if registry.expires_in is not None:
            answer["expires_in"] = registry.expires_in
        return self.reply(200, json.dumps(answer).encode())

    def _base(self):
        self.reply(200, b"{}", Docker_Distribution_API_Version="registry/2.0")

    def _manifest(self, name, ref):
        registry = self.registry
        if self.command == "PUT":
            digest = registry.put(name, self.body, self.headers["Content-Type"])
            if ref.startswith("sha512:"):
                digest = "sha512:" + hashlib.sha512(self.body).hexdigest()
            if ":" in ref and ref != digest:
                return self.fail(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            missing = [one for one in _links(self.body) if not self._has(name, one)]
            if missing:
                return self.fail(404, "MANIFEST_BLOB_UNKNOWN", missing[0])
            registry.manifests[name, ref] = (self.headers["Content-Type"], self.body)
            subject = json.loads(self.body).get("subject")
            said = {"OCI_Subject": subject["digest"]} if subject and registry.knows_referrers else {}
            place = f"/v2/{name}/manifests/{digest}"
            return self.reply(201, Docker_Content_Digest=digest, Location=place, **said)
        found = registry.manifests.get((name, ref))
        if found is None:
            return self.fail(404, "MANIFEST_UNKNOWN", "manifest unknown")
        media_type, data = found
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        return self.reply(200, data, Content_Type=media_type, Docker_Content_Digest=digest)

    def _tags(self, name):
        known = sorted({tag for place, tag in self.registry.manifests if place == name and ":" not in tag})
        if not known:
            return self.fail(404, "NAME_UNKNOWN", "repository name not known to registry")
        last = self.query.get("last", [""])[0]
        size = min(int(self.query.get("n", ["1000"])[0]), self.registry.page)
        rest = [tag for tag in known if tag > last]
        headers = {}
        if len(rest) > size:
            headers["Link"] = f'</v2/{name}/tags/list?n={size}&last={rest[size - 1]}>; rel="next"'
        return self.reply(200, json.dumps({"name": name, "tags": rest[:size]}).encode(), **headers)

    def _referrers(self, name, ref):
        registry = self.registry
        if not registry.knows_referrers:
            return self.fail(404, "UNSUPPORTED", "no such route")
        wanted = self.query.get("artifactType", [""])[0] if registry.filters else ""
        found = {}
        for (place, digest), (media_type, data) in sorted(registry.manifests.items()):
            document = json.loads(data)
            if place != name or ":" not in digest or document.get("subject", {}).get("digest") != ref:
                continue
            kind = document.get("artifactType") or document["config"]["mediaType"]
            if wanted in ("", kind):
                more = {"artifactType": kind, "annotations": document.get("annotations", {})}
                found[digest] = {"mediaType": media_type, "digest": digest, "size": len(data), **more}
        last = self.query.get("last", [""])[0]
        rest = [entry for digest, entry in sorted(found.items()) if digest > last]
        headers = {"OCI_Filters_Applied": "artifactType"} if wanted else {}
        if len(rest) > registry.page:
            headers["Link"] = f'<?last={rest[registry.page - 1]["digest"]}>; rel="next"'
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": rest[: registry.page]}
        return self.reply(200, json.dumps(index).encode(), Content_Type=INDEX, **headers)

    def _has(self, name, digest):
        return (name, digest) in self.registry.blobs or (name, digest) in self.registry.manifests

    def _blob(self, name, ref):
        data = self.registry.blobs.get((name, ref))
        if data is None:
            return self.fail(404, "BLOB_UNKNOWN", "blob unknown to registry")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            start, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
            place = f"bytes {start}-{last}/{len(data)}"
            return self.reply(206, data[start : last + 1], Content_Range=place)
        return self.reply(200, data, Content_Type="application/octet-stream")

    def _start(self, name):
        registry = self.registry
        if "mount" in self.query:
            data = registry.blobs.get((self.query.get("from", [""])[0], self.query["mount"][0]))
            if data is not None:
                registry.blobs[name, self.query["mount"][0]] = data
                return self.reply(201, Location=f"/v2/{name}/blobs/{self.query['mount'][0]}")
        with registry.lock:
            registry.begun += 1
            upload = str(registry.begun)
            registry.uploads[upload] = bytearray()
        return self.reply(202, Location=f"/v2/{name}/blobs/uploads/{upload}?state=a%2Bb", Range="0-0")

    def _upload(self, name, upload):
        held = self.registry.uploads.get(upload)
        if held is None:
            return self.fail(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if self.query.get("state") != ["a+b"]:
            return self.fail(400, "BLOB_UPLOAD_INVALID", "the state was lost")
        location = f"/v2/{name}/blobs/uploads/{upload}?state=a%2Bb"
        if self.command == "DELETE":
            del self.registry.uploads[upload]
            return self.reply(204)
        if self.command == "GET":
            return self.reply(204, Location=location, Range=f"0-{len(held) - 1}", Content_Length=None)
        if self.command == "PATCH":
            start = int(self.headers["Content-Range"].partition("-")[0])
            if start != len(held):
                return self.fail(416, "BLOB_UPLOAD_INVALID", "out of order", Location=location)
            held += self.body
            return self.reply(202, Location=location, Range=f"0-{len(held) - 1}")
        data, digest = bytes(held) + self.body, self.query["digest"][0]
        algorithm = digest.partition(":")[0]
        if f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}" != digest:
            return self.fail(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.registry.blobs[name, digest] = data
        del self.registry.uploads[upload]
        return self.reply(201, Location=f"/v2/{name}/blobs/{digest}", Docker_Content_Digest=digest)


def _basic(header, users):
    scheme, _, packed = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    name, _, password = base64.b64decode(packed).decode().partition(":")
    return users.get(name) == password


def _links(data):
    document = json.loads(data)
    entries = [*document.get("manifests", []), *document.get("layers", [])]
    entries += [document["config"]] if "config" in document else []
    return [entry["digest"] for entry in entries]
