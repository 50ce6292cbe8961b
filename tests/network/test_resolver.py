from __future__ import annotations

import pytest

from tiffin.errors import InvalidError
from tiffin.network.resolver import ExtraHost, check, hostname, hosts, parse_extra_host, resolv_conf

STUB = "# stub\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n"
REAL = "nameserver 192.168.1.1\nnameserver 2001:db8::1\nsearch home.example\n"


def test_the_hosts_own_resolver_is_replaced_in_a_private_network():
    found = resolv_conf([STUB, REAL], private=True)
    assert found.text == "nameserver 192.168.1.1\nnameserver 2001:db8::1\nsearch home.example\n"
    assert not found.empty


def test_the_hosts_own_resolver_is_kept_in_the_hosts_network():
    assert resolv_conf([STUB, REAL], private=False).text == (
        "nameserver 127.0.0.53\nsearch lan\noptions edns0 trust-ad\n"
    )


def test_only_loopback_servers_are_dropped():
    text = "nameserver 127.0.0.1\nnameserver ::1\nnameserver 10.0.0.2 # office\n; nameserver 9.9.9.9\n"
    assert resolv_conf([text], private=True).text == "nameserver 10.0.0.2\n"


def test_no_usable_server_is_said():
    assert resolv_conf([STUB], private=True) == ("search lan\noptions edns0 trust-ad\n", True)
    assert resolv_conf([], private=True) == ("", True)


def test_options_replace_what_the_host_says():
    found = resolv_conf([REAL], private=True, servers=["1.1.1.1"], search=["a", "b"], options=["ndots:2"])
    assert found == ("nameserver 1.1.1.1\nsearch a b\noptions ndots:2\n", False)
    assert "search" not in resolv_conf([REAL], private=True, search=["."]).text


def test_the_last_search_wins_and_domain_counts():
    assert resolv_conf(["search a\nsearch b c\n"], private=True).text == "search b c\n"
    assert resolv_conf(["domain d\n"], private=True).text == "search d\n"


def test_hosts_names_the_container_last():
    lines = hosts("web", "10.88.0.2", [ExtraHost("db", "10.0.0.5")]).splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[1].startswith("::1\tlocalhost")
    assert lines[-2:] == ["10.0.0.5\tdb", "10.88.0.2\tweb"]
    assert hosts("web", "").splitlines()[-1] == "127.0.0.1\tweb"


def test_the_gateway_to_the_host():
    extra = [parse_extra_host("host.docker.internal:host-gateway")]
    assert "10.88.0.1\thost.docker.internal\n" in hosts("web", "10.88.0.2", extra, "10.88.0.1")
    with pytest.raises(InvalidError, match="no way to the host"):
        hosts("web", "", extra)


def test_the_hosts_file_is_kept_in_the_hosts_network():
    base = "127.0.0.1 localhost\n10.1.1.1 me\n"
    assert hosts("web", "", [ExtraHost("db", "10.0.0.5")], base=base) == base + "10.0.0.5\tdb\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db:10.0.0.5", ("db", "10.0.0.5")),
        ("db=10.0.0.5", ("db", "10.0.0.5")),
        ("six:2001:db8::1", ("six", "2001:db8::1")),
        ("six=[2001:db8::1]", ("six", "2001:db8::1")),
    ],
)
def test_extra_hosts(text, expected):
    assert parse_extra_host(text) == expected


@pytest.mark.parametrize("text", ["db", "db:", ":1.2.3.4", "db:nowhere", "a b:1.2.3.4"])
def test_bad_extra_hosts(text):
    with pytest.raises(InvalidError, match="--add-host"):
        parse_extra_host(text)


def test_hostname_ends_its_line():
    assert hostname("web") == "web\n"


@pytest.mark.parametrize(
    ("servers", "search", "options", "message"),
    [
        (["dns.lan"], [], [], "--dns dns.lan: not an IP address"),
        (["1.1.1.1\noptions x"], [], [], "not an IP address"),
        ([], ["a b"], [], "--dns-search 'a b'"),
        ([], [], ["ndots:1\nnameserver 6.6.6.6"], "--dns-option"),
        ([], [], [""], "--dns-option ''"),
    ],
)
def test_what_would_not_be_one_word_of_the_resolvers_file(servers, search, options, message):
    with pytest.raises(InvalidError, match=message):
        check(servers, search, options)


def test_addresses_and_words_pass():
    check(["10.0.0.53", "fd00::1"], ["lan", "."], ["ndots:1", "rotate"])
