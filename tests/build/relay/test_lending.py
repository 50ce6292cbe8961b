"""What a step is told of the relay, and what it is not."""

import configparser
import tomllib

import pytest

from tiffin.build.relay.lending import Step, lend_relay, wants_relay, withheld
from tiffin.build.relay.sources import HUB, NPM, Source, Sources
from tiffin.build.relay.target import Addresses

OURS = Addresses("http://127.0.0.1:19090", b"k")
PROXY = "http://127.0.0.1:19090"
SOURCES = Sources(
    (Source("https://m/simple", "Basic secret"), Source("https://e/simple")),
    (Source("https://u/simple"),),
    Source(NPM),
    Source(HUB),
)


def lend(lent, has=(), sources=SOURCES):
    return lend_relay(lent, sources, OURS, PROXY, Step({}, lambda path: path in has))


def test_files_of_settings():
    files = lend({}).files
    pip = configparser.RawConfigParser()
    pip.read_string(files["/dev/.tiffin/xdg/pip/pip.conf"])
    assert dict(pip["global"]) == {
        "index-url": f"{PROXY}/_index/https/m/simple",
        "extra-index-url": f"{PROXY}/_index/https/e/simple",
    }
    assert tomllib.loads(files["/dev/.tiffin/xdg/uv/uv.toml"]) == {
        "pip": {"index-url": f"{PROXY}/_index/https/u/simple"}
    }
    assert files["/dev/.tiffin/npmrc"] == f"registry={PROXY}/\nreplace-registry-host=npmjs\n"
    assert 'Acquire::http::Proxy "http://127.0.0.1:19090";' in files["/dev/.tiffin/apt.conf"]
    assert "secret" not in "".join(files.values())


def test_without_proxies_none_is_set():
    assert set(lend({}).variables) == {
        "XDG_CONFIG_DIRS",
        "NPM_CONFIG_GLOBALCONFIG",
        "HF_ENDPOINT",
        "APT_CONFIG",
    }


def test_proxies_of_the_host_are_here():
    host = {"https_proxy": "http://u:secret@p:3128", "HTTP_PROXY": "http://p:3128", "no_proxy": ".corp"}
    variables = lend(host).variables
    assert variables["https_proxy"] == variables["HTTP_PROXY"] == PROXY
    assert "http_proxy" not in variables
    assert variables["no_proxy"] == variables["NO_PROXY"] == ".corp,127.0.0.1,localhost,::1"


@pytest.mark.parametrize(
    ("name", "value", "lent"),
    [
        ("PIP_INDEX_URL", "https://m/simple", None),
        ("PIP_TRUSTED_HOST", "m", "m"),
        ("UV_DEFAULT_INDEX", "https://m/simple", "https://m/simple"),
        ("UV_DEFAULT_INDEX", "https://u:p@m/simple", f"{PROXY}/_index/https/u/simple"),
        ("UV_INDEX", "a=https://m/s b=https://u:p@m/s", None),
        ("GOPROXY", "https://u:p@go", None),
        ("GOPROXY", "https://go,direct", "https://go,direct"),
        ("GOPROXY", "https://go/a@b|https://h/@v/c", "https://go/a@b|https://h/@v/c"),
        ("GOPROXY", "https://go/x,https://u:p@h", None),
        ("GOPROXY", "https://go/x|https://token@h/y", None),
        ("GOPROXY", "https://go/x,u:p@h", None),
        ("GOPROXY", "https://u:p,|q@h", None),
        ("all_proxy", "socks5://s:1080", "socks5://s:1080"),
        ("all_proxy", "socks5://u:p@s:1080", None),
    ],
)
def test_what_is_lent_carries_no_login(name, value, lent):
    assert lend({name: value}).variables.get(name) == lent


def test_settings_of_the_image_stay_the_only_ones():
    lent = lend({}, has=("/etc/uv/uv.toml", "/usr/local/etc/npmrc"))
    assert "/dev/.tiffin/xdg/uv/uv.toml" not in lent.files
    assert "NPM_CONFIG_GLOBALCONFIG" not in lent.variables


def test_npm_keeps_the_registrys_host_in_archives_where_a_path_names_the_build():
    # npm would put our host in its place, without the path: what it asks then is nobody's.
    base = f"{PROXY}/0a1b"
    files = lend_relay({}, SOURCES, Addresses(base, b"key"), PROXY, Step({}, lambda _path: False)).files
    assert files["/dev/.tiffin/npmrc"] == f"registry={base}/\nreplace-registry-host=never\n"


def test_a_private_npm_registry_is_told_by_its_host():
    files = lend({}, sources=SOURCES._replace(npm=Source("https://n.corp/r"))).files
    assert "replace-registry-host=n.corp\n" in files["/dev/.tiffin/npmrc"]


@pytest.mark.parametrize(
    ("own", "wants"),
    [
        ({}, True),
        ({"http_proxy": ""}, True),
        ({"HTTPS_PROXY": "http://p"}, False),
        ({"all_proxy": "x"}, False),
    ],
)
def test_who_has_a_proxy_asks_that(own, wants):
    assert wants_relay(own) is wants


def test_what_is_withheld_is_told():
    host = {
        "GOPROXY": "https://go,https://u:p@go",
        "UV_INDEX": "https://m/s\ta=https://u:p@m/s",
        "CONDA_CHANNEL_ALIAS": "https://c/@x",
        "PIP_INDEX_URL": "https://u:p@m",
        "https_proxy": "http://u:p@p",
        "A": "b",
    }
    assert withheld(host) == ["GOPROXY", "UV_INDEX"]
