import json

import pytest

from tiffin.errors import InvalidError
from tiffin.registry.hostfiles import HostFiles


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc/containers/registries.conf.d").mkdir(parents=True)
    (tmp_path / "etc/docker").mkdir()
    return tmp_path


def endpoints(root, registry="docker.io", repository="library/python", **environ):
    found = HostFiles(environ, root).hosts().pull_endpoints(registry, repository, by_digest=False)
    return [(one.schemes, one.host, one.repository) for one in found]


HUB = (("https",), "registry-1.docker.io", "library/python")
BOTH = ("https", "http")


def test_a_machine_without_settings_asks_the_registry_itself(tmp_path):
    assert endpoints(tmp_path) == [HUB]


def test_the_one_setting_names_mirrors_of_docker_hub_and_of_others(root):
    text = "https://a.example.org, b.example.org/hub quay.io=http://c.example.org"
    assert endpoints(root, TIFFIN_MIRRORS=text) == [
        (("https",), "a.example.org", "library/python"),
        (("https",), "b.example.org", "hub/library/python"),
        HUB,
    ]
    assert endpoints(root, "quay.io", "x/y", TIFFIN_MIRRORS=text) == [
        (("http",), "c.example.org", "x/y"),
        (("https",), "quay.io", "x/y"),
    ]


def test_dockers_mirrors_are_those_of_docker_hub(root):
    (root / "etc/docker/daemon.json").write_text(
        json.dumps(
            {"registry-mirrors": ["https://m.example.org/"], "insecure-registries": ["in.example.org"]}
        )
    )
    assert endpoints(root) == [(("https",), "m.example.org", "library/python"), HUB]
    assert endpoints(root, "quay.io", "x") == [(("https",), "quay.io", "x")]
    assert endpoints(root, "in.example.org", "x") == [(BOTH, "in.example.org", "x")]


def test_the_one_setting_stands_for_all_mirrors_even_for_none(root):
    (root / "etc/docker/daemon.json").write_text('{"registry-mirrors": ["https://m.example.org"]}')
    assert endpoints(root, TIFFIN_MIRRORS="") == [HUB]


REGISTRIES = """
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io/library"
location = "docker.io/library"
[[registry.mirror]]
location = "one.example.org/lib"
[[registry.mirror]]
location = "two.example.org"
insecure = true
[[registry]]
location = "old.example.org"
insecure = true
[[registry]]
prefix = "moved.example.org"
location = "new.example.org/there"
"""


def test_registries_conf_is_understood(root):
    (root / "etc/containers/registries.conf").write_text(REGISTRIES)
    assert endpoints(root) == [
        (("https",), "one.example.org", "lib/python"),
        (BOTH, "two.example.org", "python"),
        HUB,
    ]
    assert endpoints(root, "old.example.org", "x") == [(BOTH, "old.example.org", "x")]
    assert endpoints(root, "moved.example.org", "x") == [(("https",), "new.example.org", "there/x")]
    assert endpoints(root, "docker.io", "other/x")[-1][1] == "registry-1.docker.io"


def test_a_file_beside_it_replaces_the_rule_for_the_same_prefix(root):
    (root / "etc/containers/registries.conf").write_text(REGISTRIES)
    (root / "etc/containers/registries.conf.d/10.conf").write_text(
        '[[registry]]\nprefix="docker.io/library"\n[[registry.mirror]]\nlocation="three.example.org"\n'
    )
    assert endpoints(root) == [(("https",), "three.example.org", "python"), HUB]


def test_the_users_registries_conf_wins_and_a_variable_names_any(root):
    own = root / "home/.config/containers"
    own.mkdir(parents=True)
    (root / "etc/containers/registries.conf").write_text(REGISTRIES)
    (own / "registries.conf").write_text('[registries.insecure]\nregistries = ["v1.example.org"]\n')
    home = str(root / "home")
    assert endpoints(root, HOME=home) == [HUB]
    assert endpoints(root, "v1.example.org", "x", HOME=home) == [(BOTH, "v1.example.org", "x")]
    named = str(root / "etc/containers/registries.conf")
    assert len(endpoints(root, HOME=home, CONTAINERS_REGISTRIES_CONF=named)) == 3


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("etc/docker/daemon.json", "{", r"daemon.json is not the JSON"),
        (
            "etc/docker/daemon.json",
            '{"registry-mirrors": "x"}',
            r"daemon.json: registry-mirrors is not a list",
        ),
        ("etc/docker/daemon.json", '{"registry-mirrors": ["ftp://x"]}', r"'ftp://x' is no address"),
        ("etc/containers/registries.conf", "[", r"registries.conf is not valid TOML"),
        ("etc/containers/registries.conf", "[[registry]]\n", r"neither prefix nor location"),
        (
            "etc/containers/registries.conf",
            '[[registry]]\nprefix="a.b"\n[[registry.mirror]]\nlocation=""',
            r"has no location",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_file(root, path, text, message):
    (root / path).write_text(text)
    with pytest.raises(InvalidError, match=message):
        HostFiles({}, root).hosts()


@pytest.mark.parametrize("text", ["=x", "docker.io=", "https://u:secret@h"])
def test_a_malformed_setting_is_said_without_what_is_secret_in_it(root, text):
    with pytest.raises(InvalidError, match="TIFFIN_MIRRORS") as caught:
        HostFiles({"TIFFIN_MIRRORS": text}, root).hosts()
    assert "secret" not in str(caught.value)


def test_certificates_of_a_host_lie_in_its_folder(root):
    folder = root / "etc/docker/certs.d/reg.example.org:5000"
    folder.mkdir(parents=True)
    for name in ("ca.crt", "more.crt", "client.cert", "client.key", "README"):
        (folder / name).write_text("")
    found = HostFiles({}, root).certificates("reg.example.org:5000")
    assert found.authorities == (folder / "ca.crt", folder / "more.crt")
    assert found.client == (folder / "client.cert", folder / "client.key")
    assert HostFiles({}, root).certificates("reg.example.org").authorities == ()


def test_the_folder_for_docker_hub_has_the_name_that_people_know(root):
    folder = root / "etc/containers/certs.d/docker.io"
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_text("")
    assert HostFiles({}, root).certificates("registry-1.docker.io").authorities == (folder / "ca.crt",)


def test_a_certificate_without_its_key_is_an_error(root):
    folder = root / "etc/docker/certs.d/h"
    folder.mkdir(parents=True)
    (folder / "client.cert").write_text("")
    with pytest.raises(InvalidError, match="has no key beside it"):
        HostFiles({}, root).certificates("h")


def test_the_bundle_is_the_one_that_a_variable_names_else_the_systems(root):
    system = root / "etc/ssl/certs/ca-certificates.crt"
    system.parent.mkdir(parents=True)
    system.write_text("")
    own, other = root / "own.pem", root / "other.pem"
    own.write_text("")
    other.write_text("")
    assert HostFiles({}, root).bundle() == system
    assert HostFiles({"REQUESTS_CA_BUNDLE": str(other)}, root).bundle() == other
    both = {"REQUESTS_CA_BUNDLE": str(other), "SSL_CERT_FILE": str(own)}
    assert HostFiles(both, root).bundle() == own
    gone = HostFiles({"SSL_CERT_FILE": "/no/such"}, root)
    assert gone.bundle() == system
    assert "SSL_CERT_FILE names /no/such, which does not exist" in gone.bundle_origin()
