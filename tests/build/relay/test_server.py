"""The relay as an HTTP server and proxy: what it answers, keeps and refuses."""

import base64
import errno
import gzip
import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.build.relay.conftest import LOGIN, Index, needs_login
from tests.doubles.web import Page, WebDouble

from tiffin.build.relay import flight, keeping, shelf
from tiffin.build.relay.shelf import Shelf

LIST = hashlib.sha256(b"list").hexdigest()


class Client:
    """A client at an entrance."""

    def __init__(self, entrance) -> None:
        self.base = urlsplit(entrance.addresses.base)
        self.token = urlsplit(entrance.proxy).password
        self.entrance = entrance

    def __call__(self, target, method="GET", body=None, **fields):  # noqa: ANN204
        if target.startswith("/"):
            target = f"{self.base.path}{target}"
        else:
            login = base64.b64encode(f"relay:{self.token}".encode()).decode()
            fields.setdefault("proxy_authorization", f"Basic {login}")
        named = {name.replace("_", "-"): text for name, text in fields.items() if text}
        with closing(http.client.HTTPConnection(self.base.netloc, timeout=60)) as connection:
            connection.request(method, target, body, named)
            answer = connection.getresponse()
            answer.data = answer.read()
        return answer

    def raw(self, data):
        with socket.create_connection((self.base.hostname, self.base.port), timeout=60) as connection:
            connection.sendall(data)
            answer = b""
            while more := connection.recv(65536):
                answer += more
            return answer


@pytest.fixture
def client(machine):
    with machine.build() as entrance:
        yield Client(entrance)


def test_loopback_and_metadata_are_no_targets(client, web):
    port = urlsplit(web.url).port
    for url in (f"http://127.0.0.1:{port}/", f"http://localhost:{port}/", "http://169.254.169.254/latest/"):
        answer = client(url)
        assert (answer.status, b"address of the machine that builds" in answer.data) == (403, True), url
    assert b" 403 " in client.raw(tunnel(client, f"127.0.0.1:{port}")).partition(b"\r\n")[0]
    assert web.seen == []


def tunnel(client, authority, token=None):
    login = base64.b64encode(f"relay:{token or client.token}".encode())
    return b"CONNECT %b HTTP/1.1\r\nProxy-Authorization: Basic %b\r\nConnection: close\r\n\r\n" % (
        authority.encode(),
        login,
    )


def test_nobody_gets_in_without_the_token(client):
    assert client("http://example.org/", proxy_authorization="Basic bm86bm8=").status == 407
    assert client.raw(tunnel(client, "example.org:443", "wrong")).startswith(b"HTTP/1.1 407 ")
    assert client.raw(b"GET /_hub/api/models HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000, b"400"),
    ],
)
def test_what_is_no_request_ends_the_connection(client, data, status):
    assert client.raw(data).split(b" ", 2)[1] == status


def test_apt_files_are_kept_and_asked_about(client, lan):
    with WebDouble().serve() as web:
        web.pages = {
            "/dists/x/InRelease": Page(b"one", {"ETag": '"1"', "Last-Modified": "then"}),
            f"/dists/x/by-hash/SHA256/{LIST}": Page(b"list", {"ETag": '"2"'}),
            "/pool/a.deb": Page(b"deb", {"Last-Modified": "then"}),
            "/now": Page(b"now", {"Cache-Control": "no-store", "ETag": '"3"'}),
        }
        for _ in range(2):
            assert client(f"{web.url}/dists/x/InRelease").data == b"one"
            assert client(f"{web.url}/dists/x/by-hash/SHA256/{LIST}").data == b"list"
            assert client(f"{web.url}/pool/a.deb").data == b"deb"
            assert client(f"{web.url}/now").data == b"now"
        asked = [one.path.rpartition("/")[2] for one in web.seen]
        assert sorted(asked) == sorted(["InRelease", "InRelease", "a.deb", LIST, "now", "now"])
        assert client(f"{web.url}/dists/x/InRelease", If_Modified_Since="then").status == 304
        web.pages["/dists/x/InRelease"] = Page(b"two", {"ETag": '"4"', "Last-Modified": "later"})
        assert client(f"{web.url}/dists/x/InRelease", If_Modified_Since="then").data == b"two"


def test_a_proxy_passes_all_else_on_and_lends_nothing(client, lan, machine):
    (machine.place / ".netrc").write_text(f"machine 127.0.0.1 login {LOGIN.replace(':', ' password ')}\n")
    with WebDouble().serve() as web:
        told = {
            "Location": "http://127.0.0.9/",
            "Connection": "x-hop, Keep-Alive",
            "X-Hop": "b",
            "X-End": "e",
        }
        web.faults.append(lambda handler: handler.reply(302, told, handler.body()) or True)
        answer = client(
            f"{web.url}/form?x", "POST", b"data", cookie="c", connection="close, X-Own", x_own="o"
        )
        assert (answer.status, answer.data, answer.headers["Location"]) == (302, b"data", "http://127.0.0.9/")
        [seen] = web.seen
        assert seen.path == "/form?x"
        assert "Proxy-Authorization" not in seen.headers
        assert "Authorization" not in seen.headers
        assert seen.headers["cookie"] == "c"
    # What is of one connection only does not go on, either way.
    assert "X-Own" not in seen.headers
    assert ("X-Hop" in answer.headers, answer.headers["X-End"]) == (False, "e")


def test_a_tunnel_leads_to_the_other_side(client, lan):
    with WebDouble().serve() as web:
        web.pages["/x"] = Page(b"through")
        request = b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n"
        answer = client.raw(tunnel(client, urlsplit(web.url).netloc) + request)
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK")
    assert answer.endswith(b"through")


def test_only_what_an_index_offers_is_fetched_with_its_login(machine, index):
    index.add("wine", "1.0")
    index.web.pages["/admin"] = Page(b"secret")
    with_login(machine, index)
    with machine.build() as entrance:
        client = Client(entrance)
        there = index.web.url.replace("://", "/")
        page = client(f"/_index/{there}/simple/wine/")
        assert (page.status, page.headers["Cache-Control"]) == (200, "no-store")
        assert client(f"/_index/{there}/admin").status == 404
        assert client(f"/_index/{there}/simple/../admin").status == 400
        assert client(f"/_file/{'0' * 24}/-/{there}/admin").status == 404
        assert client(f"/_index/{there}/simple/wine/", "POST", b"x").status == 501
    assert all("/admin" not in path for path in index.web.requests())


def test_a_login_does_not_follow_a_redirect(machine, authority):
    with WebDouble().serve() as other, WebDouble().serve() as web:
        other.pages["/w.whl"] = Page(b"wheel", {"ETag": '"1"'})
        web.faults += [needs_login, moved(f"{other.url}/w.whl")]
        Index(web).add("w", "1")
        machine.environ["PIP_EXTRA_INDEX_URL"] = other.url  # so that this machine may be asked there
        machine.environ["PIP_INDEX_URL"] = web.url.replace("://", f"://{LOGIN}@") + "/simple"
        with machine.build() as entrance:
            path = entrance.addresses.file(f"{web.url}/files/w.whl").partition("/_file")[2]
            assert Client(entrance)(f"/_file{path}").data == b"wheel"
        assert "Authorization" in web.seen[-1].headers
        assert "Authorization" not in other.seen[-1].headers


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x", "https://[/x", "file:///etc/passwd", "//:x/"])
def test_redirects_to_what_is_not_safe(machine, index, target):
    index.web.faults.append(moved(target))
    index.add("w", "1")
    with_login(machine, index)
    with machine.build() as entrance:
        client = Client(entrance)
        answer = client(file_of(client, index, "w"))
    assert (answer.status, b"not safe" in answer.data) == (502, True)


def moved(target):
    def fault(handler):
        if not handler.path.startswith("/files/"):
            return False
        handler.reply(302, {"Location": target})
        return True

    return fault


@pytest.mark.parametrize("path", ["", "/private/npm"])
def test_npm(machine, path):
    document = json.dumps({"name": "x"}).encode()
    with WebDouble().serve() as web:
        web.pages = {
            f"{path}/x": Page(gzip.compress(document), {"ETag": '"1"', "Content-Encoding": "gzip"}),
            f"{path}/x/-/x-1.0.0.tgz": Page(b"tgz", {"ETag": '"2"'}),
            f"{path}/-/npm/v1/security/audits": Page(b"{}"),
        }
        machine.environ["NPM_CONFIG_REGISTRY"] = f"{web.url}{path}/"
        with machine.build() as entrance:
            client = Client(entrance)
            for _ in range(2):
                assert client("/x", accept="application/json").data == document
                assert client(f"{path}/x/-/x-1.0.0.tgz").data == b"tgz"
            assert web.requests() == [f"GET {path}/x", f"GET {path}/x/-/x-1.0.0.tgz", f"GET {path}/x"]
            assert web.seen[-1].headers["If-None-Match"] == '"1"'
            assert client("/-/npm/v1/security/audits", "POST", b"{}").data == b"{}"
            assert client("/x", "PUT", b"{}").status == 501


def test_the_hub(machine):
    data = b"weights" * 1000
    digest = hashlib.sha256(data).hexdigest()
    with WebDouble().serve() as store, WebDouble().serve() as hub:
        store.pages["/blob"] = Page(data, {"ETag": '"x"'})
        told = {
            "Location": f"{store.url}/blob",
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(data)),
            "X-Repo-Commit": "c0ffee",
            "X-Xet-Hash": "1",
            "ETag": '"pointer"',
        }
        hub.faults.append(lambda handler: "/resolve/" in handler.path and (handler.reply(302, told) or True))
        machine.environ |= {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": "hub-secret",
            "PIP_EXTRA_INDEX_URL": store.url,
        }
        with machine.build() as entrance:
            client = Client(entrance)
            head = client("/_hub/m/r/resolve/main/w.bin", "HEAD")
            assert (head.headers["ETag"], head.headers["X-Repo-Commit"]) == (f'"{digest}"', "c0ffee")
            assert head.headers["Content-Length"] == str(len(data))
            assert "Location" not in head.headers
            assert "X-Xet-Hash" not in head.headers
            for _ in range(2):
                assert client("/_hub/m/r/resolve/main/w.bin").data == data
            assert client("/_hub/m/r/resolve/main/w.bin", Range="bytes=7-13").data == b"weights"
            more = {"Link": f'<{hub.url}/api/models/m/r/tree/x?cursor=2>; rel="next"'}
            hub.pages["/api/models/m/r/tree/x"] = Page(b"[]", more)
            link = client("/_hub/api/models/m/r/tree/x").headers["Link"]
            assert link == f'<{entrance.addresses.hub()}/api/models/m/r/tree/x?cursor=2>; rel="next"'
            assert client("/_hub/api/whoami-v2").status == 501
            assert client("/_hub/api/models/m/r/commit/main", "POST", b"{}").status == 501
    assert len(store.seen) == 1
    assert "Authorization" not in store.seen[0].headers
    assert all(one.headers["Authorization"] == "Bearer hub-secret" for one in hub.seen)


def test_two_at_once_share_a_download(machine, index):
    data = index.add("big", "1.0", size=1_000_000)
    with_login(machine, index)
    begun, go = hold_files(index)
    with machine.build() as entrance:
        client = Client(entrance)
        path = file_of(client, index, "big")
        got = []
        threads = [threading.Thread(target=lambda: got.append(client(path).data)) for _ in range(4)]
        for thread in threads:
            thread.start()
        begun.wait(60)
        go.set()
        for thread in threads:
            thread.join()
    assert got == [data] * 4
    assert index.fetched() == ["big-1.0-py3-none-any.whl"]


def test_two_builds_at_once_download_once(machine, index, monkeypatch):
    monkeypatch.setattr(keeping, "_PATIENCE", 60.0)
    data = index.add("big", "1.0", size=1_000_000)
    with_login(machine, index)
    begun, go = hold_files(index)
    got = []

    def fetch(entrance):
        client = Client(entrance)
        got.append(client(file_of(client, index, "big")).data)

    with machine.build() as first, machine.build() as second:
        one = threading.Thread(target=fetch, args=(first,))
        one.start()
        begun.wait(60)
        other = threading.Thread(target=fetch, args=(second,))
        other.start()
        go.set()
        one.join()
        other.join()
    assert got == [data] * 2
    assert index.fetched() == ["big-1.0-py3-none-any.whl"]


def hold_files(index):
    """Let the index give no file before the second event is set; the first says that one was asked for."""
    begun, go = threading.Event(), threading.Event()

    def hold(handler):
        if handler.path.startswith("/files/"):
            begun.set()
            go.wait(60)
        return False

    index.web.faults.append(hold)
    return begun, go


def file_of(client, index, name):
    """The address of the first file on the page of a package, as a path."""
    page = client(f"/_index/{index.web.url.replace('://', '/')}/simple/{name}/").data.decode()
    return "/_file/" + page.partition('href="')[2].partition("/_file/")[2].partition("#")[0]


def test_a_transfer_that_breaks_off_is_taken_up(machine, index):
    data = index.add("big", "1.0", size=1_000_000)
    with_login(machine, index)
    cuts = [data[:400_000]]

    def cut(handler):
        if handler.path.startswith("/files/") and cuts:
            handler.reply(200, {"ETag": '"big-1.0-py3-none-any.whl"'}, data, cut=len(cuts.pop()))
            return True
        return False

    index.web.faults.append(cut)
    with machine.build() as entrance:
        client = Client(entrance)
        assert client(file_of(client, index, "big")).data == data
    assert [one.headers.get("Range") for one in index.web.seen if "/files/" in one.path] == [
        None,
        "bytes=400000-",
    ]


BUILD = """
import sys
from pathlib import Path
from tests.build.relay.conftest import Machine
from tests.build.relay.test_server import Client
place, authority, index, path = sys.argv[1:]
machine = Machine(Path(place), Path(authority))
machine.environ["PIP_INDEX_URL"] = index
with machine.build() as entrance:
    Client(entrance)(path)
"""


def test_a_build_that_is_killed_leaves_what_the_next_goes_on_with(machine, index, authority):
    data = index.add("big", "1.0", size=2_000_000)
    with_login(machine, index)
    half, killed = len(data) // 2, threading.Event()

    def stop_halfway(handler):
        if not handler.path.startswith("/files/") or handler.headers.get("Range"):
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:half])
        handler.wfile.flush()
        killed.wait(60)
        handler.close_connection = True
        return True

    index.web.faults.append(stop_halfway)
    with machine.build() as entrance:
        path = file_of(Client(entrance), index, "big")
    words = (machine.place, authority, machine.environ["PIP_INDEX_URL"], path)
    build = subprocess.Popen([sys.executable, "-c", BUILD, *map(str, words)], cwd=Path(__file__).parents[3])
    part = machine.home.cache / "packages/parts" / hashlib.sha256(data).hexdigest()
    while build.poll() is None and not (part.exists() and part.stat().st_size == half):
        time.sleep(0.02)
    build.kill()
    assert build.wait() == -9
    killed.set()
    assert list(Shelf(machine.home).damaged(repair=False)) == []
    with machine.build() as entrance:
        assert Client(entrance)(path).data == data
    assert index.web.seen[-1].headers["Range"] == f"bytes={half}-"


def test_what_was_got_of_a_file_is_not_asked_for_again(machine, index):
    data = index.add("big", "1.0", size=1_000_000)
    with_login(machine, index)
    parts = machine.home.cache / "packages/parts"
    parts.mkdir(parents=True)
    (parts / hashlib.sha256(data).hexdigest()).write_bytes(data[:600_000])
    with machine.build() as entrance:
        client = Client(entrance)
        assert client(file_of(client, index, "big")).data == data
    assert [one.headers.get("Range") for one in index.web.seen if "/files/" in one.path] == ["bytes=600000-"]


def test_no_more_is_kept_than_may_be(machine, index):
    for name in ("a", "b"):
        index.add(name, "1.0", size=300_000)
    with_login(machine, index)
    for name in ("a", "b", "a"):
        with machine.build(most=400_000) as entrance:
            client = Client(entrance)
            client(file_of(client, index, name))
    wheel = "-1.0-py3-none-any.whl"
    assert index.fetched() == [f"a{wheel}", f"b{wheel}", f"a{wheel}"]
    content = machine.home.cache / "packages/content"
    assert sum(path.stat().st_size for path in content.iterdir()) <= 400_000
    assert not list((machine.home.cache / "packages/parts").iterdir())


def with_login(machine, index):
    """The index, behind its login, is in the settings of this machine."""
    machine.environ["PIP_INDEX_URL"] = index.web.url.replace("://", f"://{LOGIN}@") + "/simple"


def test_a_package_that_was_changed_on_the_disk_is_fetched_again(machine, index):
    with_login(machine, index)
    data = index.add("wine", "1.0", size=100_000)
    for again in (False, True):
        with machine.build() as entrance:
            client = Client(entrance)
            if again:
                [path] = [
                    each
                    for each in Shelf(machine.home).place.glob("content/*")
                    if each.stat().st_size == len(data)
                ]
                path.write_bytes(data[:-1] + b"?")
            assert client(file_of(client, index, "wine")).data == data
    assert index.fetched() == ["wine-1.0-py3-none-any.whl"] * 2
    assert list(Shelf(machine.home).damaged(repair=False)) == []


def test_a_server_that_lies_about_a_file_is_found_out(machine, index):
    with_login(machine, index)
    data = index.add("wine", "1.0", size=100_000)
    true = index.web.pages["/files/wine-1.0-py3-none-any.whl"]
    index.web.pages["/files/wine-1.0-py3-none-any.whl"] = true._replace(data=data[:-1] + b"?")
    with machine.build() as entrance:
        client = Client(entrance)
        path = file_of(client, index, "wine")
        with pytest.raises(http.client.IncompleteRead):
            client(path)
        index.web.pages["/files/wine-1.0-py3-none-any.whl"] = true
        assert client(path).data == data
    assert any("is not what the index says" in text for text in machine.told)


def test_an_index_that_has_gone_is_used_as_it_was(machine):
    with WebDouble().serve() as web:
        index = Index(web)
        data = index.add("wine", "1.0")
        with_login(machine, index)
        with machine.build() as entrance:
            client = Client(entrance)
            client(file_of(client, index, "wine"))
    with machine.build() as entrance:
        client = Client(entrance)
        assert client(file_of(client, index, "wine")).data == data
    assert any("what it said on" in text for text in machine.told)


def test_without_a_network_what_is_kept_is_there(machine, index, lan):
    with_login(machine, index)
    data = index.add("wine", "1.0")
    index.add("glass", "1.0")
    with WebDouble().serve() as web:
        web.pages["/dists/Release"] = Page(b"release", {"ETag": '"1"'})
        for offline in ("", "1"):
            machine.environ["TIFFIN_OFFLINE"] = offline
            with machine.build() as entrance:
                client = Client(entrance)
                assert client(file_of(client, index, "wine")).data == data
                assert client(f"{web.url}/dists/Release").data == b"release"
                if not offline:
                    glass = file_of(client, index, "glass").partition("/_file/")[2]
    assert index.fetched() == ["wine-1.0-py3-none-any.whl"]
    with machine.build() as entrance:
        answer = Client(entrance)(f"/_file/{glass}")
    assert (answer.status, b"the network must not be used" in answer.data) == (502, True)


def test_a_login_that_is_missing_is_told_of(machine, index):
    index.add("wine", "1.0")
    machine.environ["PIP_INDEX_URL"] = f"{index.web.url}/simple"
    with machine.build() as entrance:
        answer = Client(entrance)(f"/_index/{index.web.url.replace('://', '/')}/simple/wine/")
    assert (answer.status, answer.data) == (401, b"who are you?")
    assert any("refuses with status 401" in text and "netrc" in text for text in machine.told)


def test_on_a_full_disk_files_pass_and_are_not_kept(machine, index, monkeypatch):
    with_login(machine, index)
    data = index.add("wine", "1.0", size=100_000)
    monkeypatch.setattr(flight, "_RESERVE", 1 << 60)
    for _ in range(2):
        with machine.build() as entrance:
            client = Client(entrance)
            assert client(file_of(client, index, "wine")).data == data
    assert index.fetched() == ["wine-1.0-py3-none-any.whl"] * 2
    assert not list(Shelf(machine.home).parts.iterdir())


def test_a_disk_that_becomes_full_ends_a_download_and_is_told(machine, index, monkeypatch):
    with_login(machine, index)
    data = index.add("wine", "1.0", size=300_000)
    full = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]

    def check_reserve(_folder, _reserve):
        if full:
            raise full.pop()

    monkeypatch.setattr(flight, "_CHECKED", 0)
    monkeypatch.setattr(flight, "check_reserve", check_reserve)
    with machine.build() as entrance:
        client = Client(entrance)
        path = file_of(client, index, "wine")
        with pytest.raises(http.client.IncompleteRead):
            client(path)
        assert client(path).data == data
    [told] = machine.told
    assert "/files/wine-1.0-py3-none-any.whl did not come to its end: No space left on device: " in told
    assert f"the disk of {Shelf(machine.home).parts} has " in told


def test_pages_pass_a_full_disk_and_leave_nothing(machine, index, monkeypatch):
    with_login(machine, index)
    index.add("wine", "1.0")

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    page = f"/_index/{index.web.url.replace('://', '/')}/simple/wine/"
    with machine.build() as entrance:
        monkeypatch.setattr(Shelf, "take", full)
        assert b"/_file/" in Client(entrance)(page).data
        assert not list(Shelf(machine.home).parts.iterdir())
        monkeypatch.undo()
        assert Client(entrance)(page).status == 200
        monkeypatch.setattr(shelf, "atomic_write", full)  # it is asked about, and the answer cannot be noted
        assert b"/_file/" in Client(entrance)(page).data
    assert "If-None-Match" in index.web.seen[-1].headers


def test_a_proxy_of_the_host_is_asked_with_its_login(machine):
    with WebDouble().serve() as proxy:
        proxy.pages["http://pypi.test/simple/x/"] = Page(
            b"<a href=x-1.whl>x</a>", {"Content-Type": "text/html"}
        )
        netloc = urlsplit(proxy.url).netloc
        machine.environ |= {"PIP_INDEX_URL": "http://pypi.test/simple", "http_proxy": f"http://u:p@{netloc}"}
        with machine.build() as entrance:
            assert b"/_file/" in Client(entrance)("/_index/http/pypi.test/simple/x/").data
            lent = entrance.lend({"http_proxy": machine.environ["http_proxy"]}, {}, lambda _path: False)
        assert proxy.seen[-1].headers["proxy-authorization"] == "Basic dTpw"
        assert lent.variables["http_proxy"] == entrance.proxy


def test_a_step_that_ends_is_answered_no_more(machine):
    with machine.build() as entrance:
        idle = socket.create_connection(
            (urlsplit(entrance.addresses.base).hostname, urlsplit(entrance.addresses.base).port)
        )
    with idle, suppress(ConnectionResetError):
        idle.settimeout(30)
        assert idle.recv(1) == b""
    with pytest.raises(OSError):
        Client(entrance)("/x")


def test_who_sends_a_request_too_slowly_is_left(client, monkeypatch):
    from tiffin.build.relay import wire

    monkeypatch.setattr(wire, "_HEAD_SECONDS", 0.05)
    assert client.raw(b"GET / HTTP/1.1\r\nHost: ") == b""
