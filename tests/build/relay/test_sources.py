"""What the settings of a machine say about where packages come from."""

import base64

import pytest

from tiffin.build.relay.logins import Logins
from tiffin.build.relay.sources import HUB, NPM, PYPI, Source, read_sources


def basic(text):
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.fixture
def home(tmp_path):
    """Writes files below a root, of which `home` is the user's folder."""

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)

    def read(**environ):
        return read_sources({"HOME": str(tmp_path / "home"), **environ}, tmp_path)

    write.read = read
    write.place = tmp_path
    return write


def test_with_nothing_said(home):
    found = home.read()
    assert found.pip == found.uv == (Source(PYPI),)
    assert (found.npm, found.hub, found.keyring) == (Source(NPM), Source(HUB), False)


def test_pip_the_nearer_counts_more(home):
    home(
        "etc/pip.conf",
        "[global]\nindex-url = https://a/simple/\nextra-index-url =\n  https://b/s\n  file:///opt/x\n",
    )
    home(
        "home/.config/pip/pip.conf", "[install]\nindex-url = https://u:p%40@c/simple\ntrusted_host = d e:8\n"
    )
    found = home.read()
    assert [source.url for source in found.pip] == ["https://c/simple", "https://b/s"]
    assert found.pip[0].authorization == basic("u:p@")
    assert found.insecure == ("d", "e:8")
    assert home.read(PIP_INDEX_URL="https://e/simple").pip[0].url == "https://e/simple"
    assert home.read(PIP_CONFIG_FILE="/dev/null").pip == (Source(PYPI),)
    assert "p@" not in repr(found)


def test_uv(home):
    home("etc/uv/uv.toml", '[[index]]\nname = "more"\nurl = "https://m/simple"\n')
    home(
        "home/.config/uv/uv.toml",
        '[[index]]\nname = "my-own"\nurl = "https://d/simple"\ndefault = true\n'
        '[[index]]\nurl = "https://x/simple"\nexplicit = true\n',
    )
    found = home.read(
        UV_INDEX_MY_OWN_USERNAME="u", UV_INDEX_MY_OWN_PASSWORD="p", UV_INDEX="n=https://e/simple"
    )
    assert [source.url for source in found.uv] == ["https://d/simple", "https://e/simple", "https://m/simple"]
    assert found.uv[0].authorization == basic("u:p")
    assert home.read(UV_DEFAULT_INDEX="https://w/simple").uv[0].url == "https://w/simple"
    assert home.read(UV_NO_CONFIG="1").uv == (Source(PYPI),)


def test_npm(home):
    home("home/.npmrc", "; c\nregistry = https://n/r/\n//n/r/:_authToken=${TOKEN}\n")
    assert home.read(TOKEN="t").npm == Source("https://n/r", "Bearer t")


def test_the_hub(home):
    home("home/.cache/huggingface/token", "t\n")
    assert home.read().hub == Source(HUB, "Bearer t")
    assert home.read(HF_TOKEN="u", HF_ENDPOINT="https://m/").hub == Source("https://m", "Bearer u")


@pytest.mark.parametrize("text", ["[global\n", "\xff", "x", "index-url = a"])
def test_files_that_cannot_be_read_say_nothing(home, text):
    for path in ("home/.config/pip/pip.conf", "home/.config/uv/uv.toml", "home/.npmrc"):
        home(path, "")
        (home.place / path).write_bytes(text.encode("latin-1"))
    assert home.read().pip == (Source(PYPI),)


def test_a_login_is_for_its_own_host(home):
    home("home/.netrc", "machine files.example.org login n password s\n")
    sources = home.read(PIP_INDEX_URL="https://u:p@index.example.org/simple")
    logins = Logins(sources, {"HOME": str(home.place / "home")})
    for url, login in {
        "https://index.example.org/simple/x/": basic("u:p"),
        "https://index.example.org/files/x.whl": basic("u:p"),
        "https://index.example.org:8443/x": "",
        "http://index.example.org/x": "",
        "https://files.example.org/x": basic("n:s"),
        "https://pypi.org/simple": "",
    }.items():
        assert logins.authorization(url) == login, url


def test_the_keyring_is_asked_where_it_is_configured(home):
    program = home.place / "bin/keyring"
    home(
        "bin/keyring", '#!/bin/sh\necho "$*" >> "$HOME/asked"\necho \'{"username": "k", "password": "r"}\'\n'
    )
    program.chmod(0o755)
    environ = {"HOME": str(home.place / "home"), "PATH": f"{program.parent}:/usr/bin:/bin"}
    home(
        "home/.config/pip/pip.conf", "[global]\nindex-url = https://i/simple\nkeyring-provider = subprocess\n"
    )
    logins = Logins(read_sources(environ, home.place), environ)
    assert [logins.ask("https://i/simple/x/") for _ in range(2)] == [basic("k:r"), ""]
    assert logins.authorization("https://i/files/x") == basic("k:r")
    assert (home.place / "home/asked").read_text() == "--mode=creds --output=json get https://i/simple\n"
    without = Logins(read_sources({}, home.place / "nothing"), environ)
    assert without.ask("https://i/simple/x/") == ""
