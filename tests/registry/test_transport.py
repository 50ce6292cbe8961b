"""What a user reads when the network is at fault, and whom we trust."""

import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from select import select
from typing import ClassVar

import pytest
from tests.doubles.pki import make, tls
from tests.doubles.registry import RegistryDouble
from tests.registry.conftest import offer

from tiffin.errors import DeniedError, UnavailableError
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.reference import Reference
from tiffin.registry import patience, reach, transport
from tiffin.registry.transport import Answer, Trust, _check_redirect, _seconds, origin

ABSENT = Descriptor.of(b"absent", MediaType.OCI_LAYER)


def resolve(ours, name):
    return ours.pull(name).resolve(Reference.parse(name))


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return make(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def strict(monkeypatch):
    """Let this machine count as any other: its registries have to prove themselves."""
    monkeypatch.setattr("tiffin.registry.hosts.is_loopback", lambda _: False)


@pytest.fixture
def trusted(ours, strict, pki):
    """Ours, with our CA as the host's."""
    ours.environ["SSL_CERT_FILE"] = str(pki / "ca.crt")
    return ours


@pytest.fixture
def secure(pki):
    with RegistryDouble().serve(tls(pki)) as served:
        yield served


def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_remedy(secure, ours, strict):
    with pytest.raises(UnavailableError) as caught:
        resolve(ours, f"{secure.address}/a:1")
    assert caught.value.code == "certificate"
    assert f"the certificate of {secure.address} is not trusted" in caught.value.message
    assert "SSL_CERT_FILE" in caught.value.hint
    assert f"/etc/docker/certs.d/{secure.address}/ca.crt" in caught.value.hint
    assert secure.seen == []
    assert ours.pauses == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_bundle_of_the_host_is_trusted(secure, ours, strict, pki, image, variable):
    offer(secure, "a", *image, "1")
    ours.environ[variable] = str(pki / "ca.crt")
    assert resolve(ours, f"{secure.address}/a:1") == image[1]


def test_the_ca_of_one_registry_is_trusted_for_it(secure, ours, strict, pki, image):
    offer(secure, "a", *image, "1")
    folder = ours.root / "etc/docker/certs.d" / secure.address
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes((pki / "ca.crt").read_bytes())
    assert resolve(ours, f"{secure.address}/a:1") == image[1]
    with RegistryDouble().serve(tls(pki)) as other, pytest.raises(UnavailableError, match="not trusted"):
        resolve(ours, f"{other.address}/a:1")


def test_a_certificate_for_another_name_is_refused(ours, strict, pki):
    ours.environ["SSL_CERT_FILE"] = str(pki / "ca.crt")
    with (
        RegistryDouble().serve(tls(pki, "other")) as served,
        pytest.raises(UnavailableError, match=r"not trusted: .*127\.0\.0\.1"),
    ):
        resolve(ours, f"{served.address}/a:1")


def test_a_client_certificate_is_shown_where_certs_d_has_one(ours, strict, pki, image):
    context = tls(pki)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki / "ca.crt")
    ours.environ["SSL_CERT_FILE"] = str(pki / "ca.crt")
    with RegistryDouble().serve(context) as served:
        offer(served, "a", *image, "1")
        folder = ours.root / "etc/docker/certs.d" / served.address
        folder.mkdir(parents=True)
        (folder / "client.cert").write_bytes((pki / "server.crt").read_bytes())
        (folder / "client.key").write_bytes((pki / "server.key").read_bytes())
        assert resolve(ours, f"{served.address}/a:1") == image[1]


def test_an_insecure_registry_may_have_any_certificate(secure, ours, strict, image):
    offer(secure, "a", *image, "1")
    ours.environ["TIFFIN_INSECURE_REGISTRIES"] = secure.address
    assert resolve(ours, f"{secure.address}/a:1") == image[1]


def test_plain_http_is_not_spoken_with_others_and_the_remedy_is_named(double, ours, strict):
    with pytest.raises(UnavailableError) as caught:
        resolve(ours, f"{double.address}/a:1")
    assert caught.value.code in ("not-tls", "cut-off")
    assert double.requests() == []


def test_plain_http_is_spoken_with_those_named_insecure(double, ours, strict, image):
    offer(double, "a", *image, "1")
    ours.environ["TIFFIN_INSECURE_REGISTRIES"] = "127.0.0.0/8"
    assert resolve(ours, f"{double.address}/a:1") == image[1]


def test_a_registry_on_this_machine_may_have_tls_or_not(double, secure, ours, image):
    for served in (double, secure):
        offer(served, "a", *image, "1")
        assert resolve(ours, f"{served.address}/a:1") == image[1]


def test_a_redirect_from_tls_to_plain_http_is_refused():
    with pytest.raises(DeniedError, match=r"not encrypted"):
        _check_redirect("https://a/x?secret", "http://b/y")
    _check_redirect("http://a/x", "http://b/y")
    _check_redirect("https://a/x", "https://b/y")


# Places that cannot be reached.


@pytest.fixture
def no_names(monkeypatch):
    def unknown(host, *_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)


def test_an_unknown_host_is_said_at_once(ours, no_names):
    with pytest.raises(UnavailableError) as caught:
        resolve(ours, "registry.invalid/a:1")
    assert caught.value.message == "the host registry.invalid is not known"
    assert "TIFFIN_MIRRORS" in caught.value.hint
    assert ours.pauses == []


def test_a_silent_name_server_does_not_hold_up_anyone(monkeypatch):
    release = threading.Event()

    def silent(*_, **__):
        release.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(Exception, match="no answer within 0 seconds") as caught:
        reach.reach(("r.example.org", 443), "https://r.example.org/", None, seconds=0.05)
    release.set()
    assert caught.value.error.code == "unreachable"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_refused_connection_is_said_at_once(ours):
    port = free_port()
    with pytest.raises(
        UnavailableError, match=f"127.0.0.1:{port} cannot be reached: the connection was refused"
    ):
        resolve(ours, f"127.0.0.1:{port}/a:1")
    assert ours.pauses == []


def test_a_host_that_goes_away_in_the_middle_is_waited_for(ours, image):
    with RegistryDouble().serve() as served:
        offer(served, "a", *image, "1")
        repository = ours.pull(f"{served.address}/a:1")
        repository.resolve(Reference.parse(f"{served.address}/a:1"))
        served.faults.append(lambda handler: handler.cut() or True)
    ours.pauses.clear()
    with pytest.raises(UnavailableError):
        repository.open(image[1])
    assert len(ours.pauses) == 4


# Proxies.


class Tunnel(BaseHTTPRequestHandler):
    """A proxy: whole URLs, and CONNECT."""

    protocol_version = "HTTP/1.1"
    asked: list

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        self.asked.append((self.path, self.headers.get("Proxy-Authorization")))
        port = self.path.rpartition(":")[2]
        with socket.create_connection(("127.0.0.1", int(port))) as far:
            self.send_response(200)
            self.end_headers()
            pairs = {self.connection: far, far: self.connection}
            while ready := select(list(pairs), [], [], 10)[0]:
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    pairs[one].sendall(data)


@pytest.fixture
def proxy():
    class Handler(Tunnel):
        asked: ClassVar = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    server.handle_error = lambda *_: None  # a client that goes away is no news
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    server.asked = Handler.asked
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_registry_is_asked_through_the_proxy_with_its_login(proxy, secure, trusted, image, monkeypatch):
    ours = trusted
    monkeypatch.setattr("tiffin.registry.proxies.is_loopback", lambda _: False)
    offer(secure, "a", *image, "1")
    ours.environ["HTTPS_PROXY"] = f"http://me:pass%40word@127.0.0.1:{proxy.server_port}"
    assert resolve(ours, f"{secure.address}/a:1") == image[1]
    assert proxy.asked[0] == (secure.address, "Basic bWU6cGFzc0B3b3Jk")


def test_names_are_left_to_the_proxy_to_find(proxy, ours, secure, monkeypatch):
    real = socket.getaddrinfo

    def only_numbers(host, *rest, **named):
        if host not in ("127.0.0.1", b"127.0.0.1"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", only_numbers)
    ours.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.server_port}"
    port = secure.address.partition(":")[2]
    with pytest.raises(UnavailableError, match="not trusted"):
        resolve(ours, f"r.example.org:{port}/a:1")
    assert proxy.asked[0][0] == f"r.example.org:{port}"


def test_a_proxy_that_is_not_there_is_named_with_its_variable(ours):
    port = free_port()
    ours.environ["HTTPS_PROXY"] = f"http://me:secret@127.0.0.1:{port}"
    with pytest.raises(UnavailableError) as caught:
        resolve(ours, "r.example.org/a:1")
    assert f"r.example.org cannot be reached: the proxy 127.0.0.1:{port}: the connection was refused" in (
        caught.value.message
    )
    assert "HTTPS_PROXY names that proxy" in caught.value.hint
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_proxy_that_refuses_says_so(proxy, ours):
    proxy.RequestHandlerClass.do_CONNECT = lambda self: self.send_error(403, "Blocked by policy")
    ours.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.server_port}"
    with pytest.raises(UnavailableError, match="403 Blocked by policy"):
        resolve(ours, "r.example.org/a:1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a/x", ("https", "a", 443)),
        ("http://a:80", ("http", "a", 80)),
        ("https://u:p@A:1/", ("https", "a", 1)),
    ],
)
def test_the_origin_is_what_a_login_belongs_to(url, expected):
    assert origin(url) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("120", 120.0), ("nonsense", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("-1", None)],
)
def test_how_long_to_wait_is_seconds_or_a_date(text, expected):
    assert _seconds(text) == expected


def test_an_answer_can_be_closed_at_any_time(double, ours):
    double.put("a", b"x" * 10_000_000)
    transport = ours.registries()._transport
    digest = next(iter(double.blobs))[1]
    for _ in range(3):
        answer = transport.request("GET", f"{double.url}/v2/a/blobs/{digest}", Trust("h"), {})
        assert isinstance(answer, Answer)
        assert answer.some(10)
        answer.close()
        answer.close()


def trickle(head, body):
    """Send an answer byte by byte, for some seconds at most."""

    def fault(handler):
        if "/manifests/" not in handler.path:
            return False
        handler.close_connection = True
        for part in (head, body if handler.command == "GET" else b""):
            for at in range(len(part)):
                handler.wfile.write(part[at : at + 1])
                time.sleep(0.01)
        return True

    return fault


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n"


def test_a_document_that_trickles_in_is_given_up(double, ours, monkeypatch):
    monkeypatch.setattr(transport, "_GRACE", 0.05)
    monkeypatch.setattr(transport, "_SLOWEST", 1 << 20)
    double.faults.append(trickle(HEAD + b"Content-Length: 200\r\n\r\n", b"{" * 200))
    with pytest.raises(UnavailableError) as caught:
        ours.pull(f"{double.address}/a").resolve(Reference.parse(f"{double.address}/a:1"))
    assert caught.value.code == "too-slow"


def test_the_head_of_an_answer_that_trickles_in_is_given_up(double, ours, monkeypatch):
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.05)
    double.faults.append(trickle(HEAD + b"X-Slow: " + b"x" * 400, b""))
    with pytest.raises(UnavailableError):
        ours.pull(f"{double.address}/a").resolve(Reference.parse(f"{double.address}/a:1"))
    assert len(double.seen) <= 8
