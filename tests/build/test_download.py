"""Files of the web: what is asked, what is kept of a cut connection, and what a user reads when it fails."""

import base64
import hashlib
import threading

import pytest
from tests.doubles import pki
from tests.doubles.web import Page, WebDouble

from tiffin.build.canceled import Canceled
from tiffin.build.ops.download import Downloads, Web
from tiffin.build.ops.urlmemory import Validators
from tiffin.errors import DeniedError, NotFoundError, UnauthorizedError, UnavailableError

DATA = bytes(range(256)) * 2000


@pytest.fixture
def web():
    with WebDouble().serve() as served:
        yield served


class Ours:
    """Downloads with an environment of their own; what was told of their progress is kept."""

    def __init__(self, place) -> None:
        self.place, self.stop, self.told = place, threading.Event(), []
        self.environ = {"HOME": str(place)}
        self.secrets = {}
        self._made = None

    @property
    def downloads(self):
        if self._made is None:
            self._made = Downloads(Web(self.environ, self.secrets, read_seconds=10), self.stop)
            self._made._transport.sleep = lambda _seconds: None
        return self._made

    def get(self, url, known=None, algorithm="sha256"):
        """The bytes, the digests and the validators; None if nothing changed."""
        offer = self.downloads.ask(url, known)
        if offer is None:
            return None
        target = self.place / "target"
        target.unlink(missing_ok=True)
        received = self.downloads.receive(offer, target, algorithm, self.told.append, "7")
        return target.read_bytes(), received, offer.validators


@pytest.fixture
def ours(tmp_path):
    found = Ours(tmp_path)
    yield found
    found.downloads.close()


def digest(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def failing(web, *faults):
    """Let each of the next requests meet one of `faults`; those after them are answered."""
    left = list(faults)
    web.faults.append(lambda handler: bool(left) and (left.pop(0)(handler), True)[1])


def cut(handler):
    page = handler.web.pages[handler.path]
    handler.reply(200, page.headers, page.data, cut=300_000)


def status(number, **headers):
    return lambda handler: handler.reply(
        number, {name.replace("_", "-"): value for name, value in headers.items()}
    )


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_file_and_its_digests(web, ours, algorithm):
    web.pages["/f"] = Page(DATA, {"ETag": '"1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})
    data, received, validators = ours.get(f"{web.url}/f", algorithm=algorithm)
    assert data == DATA
    assert received == (digest(DATA), digest(DATA, algorithm))
    assert validators == Validators('"1"', "Wed, 21 Oct 2015 07:28:00 GMT")


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ({"ETag": '"1"'}, Validators('"1"')),
        ({"Last-Modified": "yesterday"}, Validators(modified="yesterday")),
        ({"ETag": 'W/"1"'}, Validators('W/"1"')),
        ({"ETag": 'W/"1"'}, Validators('"1"')),  # sent again, but the same
    ],
)
def test_what_is_known_is_not_fetched_again(web, ours, headers, known):
    web.pages["/f"] = Page(DATA, headers)
    assert ours.get(f"{web.url}/f", known) is None
    assert ours.get(f"{web.url}/f", Validators('"other"', "today"))[0] == DATA
    assert ours.get(f"{web.url}/f")[0] == DATA


@pytest.mark.parametrize("etag", ['"strong"', 'W/"weak"', None])
def test_a_cut_connection_is_taken_up_where_it_ended(web, ours, etag):
    headers = {"Last-Modified": "yesterday"} | ({"ETag": etag} if etag else {})
    web.pages["/f"] = Page(DATA, headers, ranges=True)
    failing(web, cut)
    assert ours.get(f"{web.url}/f")[:2] == (DATA, (digest(DATA),) * 2)
    assert web.seen[-1].headers["Range"] == "bytes=300000-"
    assert web.seen[-1].headers["If-Range"] == (etag if etag == '"strong"' else "yesterday")


@pytest.mark.parametrize(
    ("page", "later"),
    [
        (Page(DATA, {"ETag": '"1"'}), None),  # the server knows no ranges
        (Page(DATA), None),  # it tells nothing by which the rest could be recognised
        (Page(DATA, {"ETag": '"1"'}, ranges=True), Page(DATA[::-1], {"ETag": '"2"'}, ranges=True)),  # changed
    ],
)
def test_what_cannot_be_taken_up_begins_anew(web, ours, page, later):
    web.pages["/f"] = page

    def change(handler):
        cut(handler)
        web.pages["/f"] = later or page

    failing(web, change)
    expected = (later or page).data
    assert ours.get(f"{web.url}/f")[:2] == (expected, (digest(expected),) * 2)


def test_a_part_that_was_not_asked_for_is_not_believed(web, ours):
    web.pages["/f"] = Page(DATA, {"ETag": '"1"'})
    wrong = {"Content-Range": "bytes 5-9/10"}
    failing(web, cut, lambda handler: handler.reply(206, wrong, b"12345"))
    assert ours.get(f"{web.url}/f")[0] == DATA
    failing(web, lambda handler: handler.reply(206, wrong, b"12345"))
    with pytest.raises(UnavailableError, match="206"):
        ours.get(f"{web.url}/f")


def test_a_server_that_always_cuts_is_given_up(web, ours):
    web.pages["/f"] = Page(DATA)
    web.faults.append(lambda handler: (handler.reply(200, {}, DATA, cut=10), True)[1])
    with pytest.raises(UnavailableError) as caught:
        ours.get(f"{web.url}/f")
    assert caught.value.code == "cut-off"
    assert f"{web.url}/f" in caught.value.message
    assert caught.value.hint
    assert 2 < len(web.seen) < 20


def test_a_busy_server_is_asked_again(web, ours):
    web.pages["/f"] = Page(DATA)
    failing(web, status(503), status(429, Retry_After="1"))
    assert ours.get(f"{web.url}/f")[0] == DATA


@pytest.mark.parametrize(
    ("number", "kind"),
    [(404, NotFoundError), (410, NotFoundError), (401, UnauthorizedError), (403, UnauthorizedError)]
    + [(number, UnavailableError) for number in (204, 304, 400, 500)],
)
def test_a_refusal(web, ours, number, kind):
    web.faults.append(lambda handler: (status(number)(handler), True)[1])
    with pytest.raises(kind) as caught:
        ours.get(f"{web.url}/f?signature=s")
    assert str(number) in caught.value.message
    assert caught.value.hint


def test_a_proxy_that_asks_for_a_login(web, ours):
    failing(web, status(407))
    with pytest.raises(UnavailableError, match=f"the proxy before {web.url}/f asks for a login") as caught:
        ours.get(f"{web.url.replace('://', '://u:secret@')}/f")
    assert "HTTPS_PROXY=" in caught.value.hint


def test_redirects_are_followed(web, ours):
    web.pages["/f"] = Page(DATA)
    failing(web, status(302, Location="/elsewhere"), status(308, Location=f"{web.url}/f"))
    assert ours.get(f"{web.url}/start")[0] == DATA


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://h/x", "gopher://h/"])
def test_redirects_lead_nowhere_but_to_the_web(web, ours, location):
    failing(web, status(302, Location=location))
    with pytest.raises(UnavailableError):
        ours.get(f"{web.url}/f")


def test_redirects_in_a_circle_end(web, ours):
    web.faults.append(lambda handler: (status(302, Location="/f")(handler), True)[1])
    with pytest.raises(UnavailableError, match="redirects without end"):
        ours.get(f"{web.url}/f")


def test_logins_do_not_follow_a_redirect(web, ours):
    with WebDouble().serve() as other:
        other.pages["/f"] = Page(DATA)
        failing(web, status(302, Location=f"{other.url}/f"))
        assert ours.get(f"{web.url.replace('://', '://u:p%40@')}/f")[0] == DATA
        sent = web.seen[0].headers["Authorization"]
        assert base64.b64decode(sent.removeprefix("Basic ")) == b"u:p@"
        assert "Authorization" not in other.seen[0].headers


@pytest.mark.parametrize(
    ("name", "sent"),
    [("HTTP_AUTH_TOKEN_127.0.0.1", "Bearer secret"), ("HTTP_AUTH_HEADER_127.0.0.1", "secret")],
)
def test_a_login_may_be_a_secret(web, ours, name, sent):
    web.pages["/f"] = Page(DATA)
    ours.secrets = {name: b"secret\n", "HTTP_AUTH_TOKEN_other": b"x"}
    ours.get(f"{web.url}/f")
    assert web.seen[0].headers["Authorization"] == sent


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"))


def test_the_hosts_own_ca_is_believed_and_no_other(authority, ours):
    with WebDouble().serve(pki.tls(authority)) as web:
        web.pages["/f"] = Page(DATA)
        with pytest.raises(UnavailableError) as caught:
            ours.get(f"{web.url}/f")
        assert caught.value.code == "certificate"
        assert "SSL_CERT_FILE" in caught.value.hint
        ours.downloads.close()
        ours.environ["SSL_CERT_FILE"] = str(authority / "ca.crt")
        ours._made = None
        assert ours.get(f"{web.url}/f")[0] == DATA
        with WebDouble().serve() as plain:
            plain.pages["/f"] = Page(DATA)
            failing(web, status(302, Location=f"{plain.url}/f"))
            with pytest.raises(DeniedError, match="not encrypted"):
                ours.get(f"{web.url}/f")


def test_the_hosts_proxy_is_asked(web, ours):
    web.pages["http://far.example/f"] = Page(DATA)  # what a proxy is asked for
    ours.environ["http_proxy"] = web.url.replace("://", "://user:secret@")
    assert ours.get("http://far.example/f")[0] == DATA
    assert web.seen[0].headers["proxy-authorization"].startswith("Basic ")
    ours.environ["no_proxy"] = "far.example"
    with pytest.raises(UnavailableError) as caught:
        ours.get("http://far.example/f")
    assert "secret" not in caught.value.message


def test_without_a_network_there_is_one_clear_line(ours):
    with pytest.raises(UnavailableError) as caught:
        ours.get("http://u:secret@127.0.0.1:9/f?x")
    assert caught.value.message.startswith("http://127.0.0.1:9/f")
    assert "refused" in caught.value.message
    assert "secret" not in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_build_that_is_stopped_stops_a_download(web, ours):
    web.pages["/f"] = Page(DATA)
    offer = ours.downloads.ask(f"{web.url}/f")
    ours.stop.set()
    with pytest.raises(Canceled):
        ours.downloads.receive(offer, ours.place / "target", "sha256", ours.told.append, "7")
    with pytest.raises(Canceled):
        ours.downloads.ask(f"{web.url}/f")


def test_a_server_may_not_fill_the_disk(web, ours, monkeypatch):
    web.pages["/f"] = Page(DATA * 6)
    monkeypatch.setattr("tiffin.build.ops.download._RESERVE", 1 << 60)
    with pytest.raises(
        UnavailableError, match=r"/f cannot be fetched: after .* MiB of it the disk of "
    ) as caught:
        ours.get(f"{web.url}/f")
    assert (caught.value.code, "tiffin system prune" in caught.value.hint) == ("enospc", True)


def test_progress_is_told(web, ours):
    web.pages["/f"] = Page(DATA * 6)
    ours.get(f"{web.url}/f")
    assert {event.step for event in ours.told} == {"7"}
    assert {event.total for event in ours.told} == {len(DATA) * 6}
