import pytest

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.registry.proxies import proxy_for

P = "http://proxy.example.org:3128"


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://r.example.org/", {}, None),
        ("https://r.example.org/", {"HTTPS_PROXY": P}, P),
        ("https://r.example.org/", {"https_proxy": P}, P),
        ("https://r.example.org/", {"https_proxy": P, "HTTPS_PROXY": "http://other:1"}, P),
        ("https://r.example.org/", {"HTTP_PROXY": P}, None),
        ("http://r.example.org/", {"HTTP_PROXY": P}, P),
        ("http://r.example.org/", {"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None),
        ("http://r.example.org/", {"ALL_PROXY": P}, P),
        ("https://r.example.org/", {"HTTPS_PROXY": "proxy.example.org:3128"}, P),
        ("https://localhost:5000/", {"HTTPS_PROXY": P}, None),
        ("http://127.0.0.1:5000/", {"HTTP_PROXY": P}, None),
        ("http://[::1]:5000/", {"HTTP_PROXY": P}, None),
    ],
)
def test_the_variables_name_the_proxy(url, environ, expected):
    found = proxy_for(url, environ)
    assert (found and found.url) == expected


@pytest.mark.parametrize(
    ("listed", "url", "exempt"),
    [
        ("*", "https://r.example.org/", True),
        ("r.example.org", "https://r.example.org/", True),
        ("example.org", "https://r.example.org/", True),
        (".example.org", "https://r.example.org/", True),
        ("*.example.org", "https://r.example.org/", True),
        ("ample.org", "https://r.example.org/", False),
        ("a.b, r.example.org", "https://r.example.org/", True),
        ("r.example.org:443", "https://r.example.org/", True),
        ("r.example.org:5000", "https://r.example.org/", False),
        ("10.0.0.0/8", "https://10.2.3.4:5000/", True),
        ("10.0.0.0/8", "https://11.2.3.4:5000/", False),
        ("", "https://r.example.org/", False),
    ],
)
def test_no_proxy_exempts_names_domains_ports_and_networks(listed, url, exempt):
    assert (proxy_for(url, {"HTTPS_PROXY": P, "NO_PROXY": listed}) is None) is exempt


def test_the_login_of_a_proxy_is_apart_and_never_shown():
    found = proxy_for("https://r/", {"HTTPS_PROXY": "http://u:p%40ss@proxy:1"})
    assert found
    assert (found.url, found.login) == ("http://proxy:1", "u:p@ss")
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("socks5://h:1", UnsupportedError), ("http://", InvalidError), ("http://h:x", InvalidError)],
)
def test_what_is_no_proxy_is_refused_by_the_name_of_its_variable(value, kind):
    with pytest.raises(kind, match="HTTPS_PROXY"):
        proxy_for("https://r/", {"HTTPS_PROXY": value})
