from pathlib import Path

from tiffin.build.hostenv import BUNDLE, find_bundle, lend, only_proxies, socks_proxy


def test_proxies_and_indexes_are_lent():
    environ = {
        "HTTPS_PROXY": "http://p:3128",
        "no_proxy": "localhost",
        "PIP_INDEX_URL": "http://m/",
        "SECRET": "x",
    }
    loan = lend(environ, None, {})
    assert loan.variables == {
        "HTTPS_PROXY": "http://p:3128",
        "no_proxy": "localhost",
        "PIP_INDEX_URL": "http://m/",
    }


def test_what_the_step_sets_itself_is_not_overridden():
    loan = lend(
        {"PIP_INDEX_URL": "http://host/"}, Path("/ca.pem"), {"PIP_INDEX_URL": "x", "SSL_CERT_FILE": "/own"}
    )
    assert "PIP_INDEX_URL" not in loan.variables
    assert "SSL_CERT_FILE" not in loan.variables
    assert loan.variables["PIP_CERT"] == BUNDLE


def test_the_bundle_that_a_variable_names_comes_before_the_system(tmp_path):
    own = tmp_path / "own.pem"
    own.write_text("certificates")
    assert find_bundle({"REQUESTS_CA_BUNDLE": str(own)}) == own
    assert find_bundle({"REQUESTS_CA_BUNDLE": str(tmp_path / "gone.pem")}) != tmp_path / "gone.pem"


def test_without_a_bundle_no_variable_points_to_one():
    assert lend({}, None, {}).variables == {}


def test_proxies_that_the_relay_cannot_use():
    assert socks_proxy({"ALL_PROXY": "socks5h://p:1080", "http_proxy": "http://p"}) == "ALL_PROXY"
    assert socks_proxy({"http_proxy": "http://socks", "OTHER": "socks5://p"}) == ""
    assert only_proxies(
        {"http_proxy": "http://p", "NO_PROXY": "x", "PIP_INDEX_URL": "y", "https_proxy": ""}
    ) == {
        "http_proxy": "http://p",
        "NO_PROXY": "x",
    }
