import pytest

from tiffin.base.aptconf import AptConfig
from tiffin.base.machine import Login, Machine, Network

URI = "http://mirror.example.org/tin/file"


@pytest.mark.parametrize(
    ("options", "environ", "expected"),
    [
        ({}, {}, ""),
        ({}, {"http_proxy": "http://p:1"}, "http://p:1"),
        ({}, {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ({}, {"HTTP_PROXY": "http://evil:1", "REQUEST_METHOD": "GET"}, ""),
        ({}, {"https_proxy": "http://p:1"}, ""),
        ({}, {"http_proxy": "http://p:1", "no_proxy": "other.org, .example.org"}, ""),
        ({}, {"http_proxy": "http://p:1", "no_proxy": "ple.org"}, "http://p:1"),
        ({}, {"http_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/8 *.example.org:80"}, ""),
        ({}, {"http_proxy": "http://p:1", "no_proxy": ".example.org:8080"}, "http://p:1"),
        ({"acquire::http::proxy": "http://a:2"}, {"http_proxy": "http://p:1", "no_proxy": "*"}, "http://a:2"),
        ({"acquire::http::proxy": "DIRECT"}, {"http_proxy": "http://p:1"}, ""),
        (
            {"acquire::http::proxy": "http://a:2", "acquire::http::proxy::mirror.example.org": "DIRECT"},
            {},
            "",
        ),
    ],
)
def test_proxy(options, environ, expected):
    assert Network(AptConfig(options), environ).proxy(URI) == expected


def test_logins_are_for_https_unless_they_say_else():
    logins = (
        Login("mirror.example.org/tin", "a", "1"),
        Login("http://plain.example.org", "b", "2"),
    )
    network = Network(AptConfig({}), {}, logins)
    assert network.login("https://mirror.example.org/tin/x") == logins[0]
    assert network.login("http://mirror.example.org/tin/x") is None
    assert network.login("https://mirror.example.org/other") is None
    assert network.login("https://mirror.example.org.evil.example/tin/x") is None
    assert network.login("http://plain.example.org/x") == logins[1]


def test_the_machine_is_read_from_its_files(tmp_path):
    (tmp_path / "etc/apt/auth.conf.d").mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").write_text("deb http://mirror.example.org/tin tinny main\n")
    (tmp_path / "etc/apt/auth.conf.d/a.conf").write_text(
        "machine mirror.example.org\n login me\n password secret\n"
        "machine two.example.org login you password x\n"
    )
    (tmp_path / "etc/os-release").write_text('ID=tin\nVERSION_CODENAME="tinny"\n')
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    machine = Machine.load({"SSL_CERT_FILE": str(bundle)}, tmp_path)
    assert (machine.distribution, machine.codename) == ("tin", "tinny")
    assert machine.sources[0].suite == "tinny"
    assert machine.network.logins == (
        Login("mirror.example.org", "me", "secret"),
        Login("two.example.org", "you", "x"),
    )
    assert machine.network.ca_bundle == str(bundle)


def test_an_empty_machine(tmp_path):
    machine = Machine.load({}, tmp_path)
    assert machine.sources == ()
    assert machine.codename == ""
