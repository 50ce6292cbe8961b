import http.server
import threading

import pytest

from tiffin.base import fetch
from tiffin.base.aptconf import AptConfig
from tiffin.base.fetch import Download, Mirror, download, without_login
from tiffin.base.machine import Login, Network
from tiffin.errors import CorruptError, NotFoundError, UnauthorizedError, UnavailableError
from tiffin.events import StepDone, ignore
from tiffin.oci.descriptor import Descriptor


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(fetch, "_PAUSE", 0)


@pytest.fixture
def mirror(network):
    mirror = Mirror(network)
    yield mirror
    mirror.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www/file").write_bytes(b"content")
    return tmp_path / "www"


def test_a_file_over_http_and_from_disk(mirror, serve, folder):
    assert mirror.read(f"{serve(folder).uri}/file", 100) == b"content"
    assert mirror.read(f"file://{folder}/file", 100) == b"content"
    assert mirror.read(f"file:{folder}/file", 100) == b"content"


def test_what_is_not_there(mirror, serve, folder):
    for uri in (f"{serve(folder).uri}/gone", f"file:{folder}/gone"):
        with pytest.raises(NotFoundError, match="gone does not exist"):
            mirror.read(uri, 100)


def test_a_file_that_is_too_long_is_cut_off(mirror, serve, folder):
    assert mirror.read(f"{serve(folder).uri}/file", 7) == b"content"
    for uri in (f"{serve(folder).uri}/file", f"file:{folder}/file"):
        with pytest.raises(CorruptError, match="longer than the 6 bytes"):
            mirror.read(uri, 6)


def test_a_busy_mirror_and_a_broken_transfer_are_tried_again(mirror, serve, folder):
    server = serve(folder, {"/file": [503, b"con", 429]})
    assert mirror.read(f"{server.uri}/file", 200) == b"content"
    assert server.asked == ["/file"] * 4


def test_it_gives_up_after_some_attempts(mirror, serve, folder):
    server = serve(folder, {"/file": [503] * 9})
    with pytest.raises(UnavailableError, match="status 503"):
        mirror.read(f"{server.uri}/file", 100)
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_refusal_is_not_tried_again(mirror, serve, folder, status):
    server = serve(folder, {"/file": [status]})
    with pytest.raises(UnauthorizedError) as caught:
        mirror.read(f"{server.uri}/file", 100)
    assert "auth.conf" in caught.value.hint
    assert len(server.asked) == 1


def test_nobody_there(mirror, serve, folder):
    uri = serve(folder).uri
    with pytest.raises(UnavailableError) as caught:
        mirror.read(uri.rpartition(":")[0] + ":1/file", 100)
    assert "cannot be reached" in caught.value.message
    assert "--mirror" in caught.value.hint


def test_offline_means_no_network_but_files(network, serve, folder):
    server = serve(folder)
    offline = Mirror(network, offline=True)
    with pytest.raises(UnavailableError, match="network must not be used"):
        offline.read(f"{server.uri}/file", 100)
    assert offline.read(f"file:{folder}/file", 100) == b"content"
    assert server.asked == []


def test_the_login_is_sent_and_never_shown(serve, folder):
    server = serve(folder, {"/gone": [401]})
    host = server.uri.partition("://")[2]
    mirror = Mirror(Network(AptConfig({}), {}, (Login(f"http://{host}", "me", "secret"),)))
    mirror.read(f"{server.uri}/file", 100)
    assert server.headers[0]["Authorization"].startswith("Basic ")
    with pytest.raises(UnauthorizedError) as caught:
        mirror.read(f"http://me:secret@{host}/gone", 100)
    mirror.close()
    assert "secret" not in caught.value.message
    assert without_login("https://me:secret@a.example.org/x") == "https://a.example.org/x"


def test_a_proxy_is_used(folder):
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Proxy-Authorization"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_words):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        network = Network(AptConfig({}), {"http_proxy": f"http://me:pass@127.0.0.1:{server.server_port}"})
        mirror = Mirror(network)
        assert mirror.read("http://mirror.example.org/tin/file", 10) == b"ok"
        mirror.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == [("http://mirror.example.org/tin/file", "Basic bWU6cGFzcw==")]


def wanted(name, data, *uris):
    return Download(name, Descriptor.of(data, "a/b"), uris)


def test_downloads_take_what_is_missing_from_the_first_place_that_has_it(mirror, serve, folder, blobs):
    server = serve(folder)
    (folder / "other").write_bytes(b"other")
    items = [
        wanted("one", b"content", f"{server.uri}/gone", f"{server.uri}/file"),
        wanted("two", b"other", f"{server.uri}/other"),
    ]
    download(mirror, items, blobs, ignore, 2)
    assert all(blobs.has(item.content) for item in items)
    server.asked.clear()
    events = []
    download(mirror, items, blobs, events.append, 2)
    assert server.asked == []
    assert [event.status for event in events if isinstance(event, StepDone)] == ["cached"]


def test_wrong_content_is_refused_and_not_kept(mirror, serve, folder, blobs):
    server = serve(folder)
    (folder / "file").write_bytes(b"contemp")
    events = []
    with pytest.raises(CorruptError, match=r"tool 1\.0 from .*/file is not what the signed index says"):
        download(mirror, [wanted("tool 1.0", b"content", f"{server.uri}/file")], blobs, events.append, 1)
    assert blobs.names() == []
    assert [event.status for event in events if isinstance(event, StepDone)] == ["failed"]


def test_nowhere_to_get_it(mirror, blobs):
    with pytest.raises(UnavailableError, match="no place"):
        download(mirror, [wanted("tool", b"content")], blobs, ignore, 1)
