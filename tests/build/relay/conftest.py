"""A relay in this process, and an index over TLS by a CA that only this side trusts, behind a login."""

import base64
import hashlib
import io
import threading
import zipfile
from contextlib import contextmanager

import pytest
from tests.doubles import pki
from tests.doubles.web import Page, WebDouble

from tiffin.build.relay.relay import Relay
from tiffin.store.home import Home

LOGIN = "anna:s3cret"


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """The CA, with the certificate of a server at 127.0.0.1."""
    return pki.make(tmp_path_factory.mktemp("authority"))


def wheel(name, version, needs=(), size=0):
    """A wheel with one module."""
    data = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    lines += [f"Requires-Dist: {need}\n" for need in needs]
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f'VERSION = "{version}"\n')
        archive.writestr(f"{name}/data", b"\0" * size)
        archive.writestr(f"{info}/METADATA", "".join(lines))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(
            f"{info}/RECORD",
            f"{name}/__init__.py,,\n{name}/data,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        )
    return data.getvalue()


class Index:
    """A package index at `web`, its files on the same host."""

    def __init__(self, web) -> None:
        self.web = web
        self.files = {}

    def add(self, name, version, **options):
        data = wheel(name, version, **options)
        self.files.setdefault(name, {})[f"{name}-{version}-py3-none-any.whl"] = data
        links = []
        for file, content in self.files[name].items():
            self.web.pages[f"/files/{file}"] = Page(
                content, {"ETag": f'"{file}"', "Content-Type": "application/zip"}, ranges=True
            )
            links.append(
                f'<a href="../../files/{file}#sha256={hashlib.sha256(content).hexdigest()}">{file}</a>'
            )
        page = f"<!DOCTYPE html><html><body>{'<br/>'.join(links)}</body></html>".encode()
        tag = f'"{hashlib.sha256(page).hexdigest()[:8]}"'
        self.web.pages[f"/simple/{name}/"] = Page(
            page, {"Content-Type": "text/html; charset=utf-8", "ETag": tag}
        )
        return data

    def fetched(self):
        """The files that were sent since the last time that this was asked."""
        with self.web.lock:
            seen = [
                one.path for one in self.web.seen if one.method == "GET" and one.path.startswith("/files/")
            ]
            self.web.seen.clear()
        return [path.removeprefix("/files/") for path in seen]


def needs_login(handler):
    """A fault: only who shows the login gets an answer."""
    if handler.headers.get("Authorization") == f"Basic {base64.b64encode(LOGIN.encode()).decode()}":
        return False
    handler.reply(401, {"WWW-Authenticate": "Basic realm=x"}, b"who are you?")
    return True


@pytest.fixture
def web(authority):
    """A web server over TLS."""
    with WebDouble().serve(pki.tls(authority)) as double:
        yield double


@pytest.fixture
def index(web):
    """An index behind a login."""
    web.faults.append(needs_login)
    return Index(web)


class Machine:
    """A home of its own: settings of tools, a store, and relays of builds one after the other."""

    def __init__(self, place, authority) -> None:
        self.place = place
        self.environ = {"HOME": str(place), "PATH": "/usr/bin:/bin", "no_proxy": ""}
        self.bundle = authority / "ca.crt"
        self.home = Home(place / "store", place / "run").create()
        self.told = []
        self.lock = threading.Lock()

    @contextmanager
    def build(self, **options):
        """A relay, and where a step in the network of this machine finds it."""
        relay = Relay(self.home, self.environ, self.bundle, self.told.append, **options)
        try:
            with relay.entrance(shared=True) as entrance:
                yield entrance
        finally:
            relay.close()

    def lend(self, entrance, place, own=None, has=()):
        """Variables and files of a step, the files below `place`."""
        lent = entrance.lend({}, own or {}, lambda path: path in has)
        variables = {
            name: value.replace("/dev/.tiffin", str(place)) for name, value in lent.variables.items()
        }
        for path, text in lent.files.items():
            file = place / path.removeprefix("/dev/.tiffin/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return variables


@pytest.fixture
def machine(tmp_path, authority):
    place = tmp_path / "machine"
    place.mkdir()
    return Machine(place, authority)


@pytest.fixture
def lan(monkeypatch):
    """The loopback of this machine counts as another machine, for servers of the tests to be there."""
    from tiffin.build.relay import guard

    monkeypatch.setattr(guard, "is_refused", lambda address: address == "127.0.0.9")
    monkeypatch.setattr(guard, "_is_own", lambda _connection: False)
