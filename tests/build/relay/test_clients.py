"""Real clients against an index over TLS and behind a login, both of which only the relay knows."""

import hashlib
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.build.relay.conftest import LOGIN
from tests.doubles.web import Page, WebDouble

PIP = (sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check")
UV = (sys.executable, "-m", "uv", "--no-progress")


def run(command, variables, place, check=True):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(place), **variables}
    done = subprocess.run(
        command, env=env, cwd=place, capture_output=True, text=True, timeout=120, check=False
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def configure(machine, tool, url):
    """The index is in the settings of the host's tool, and the login in its netrc."""
    host = url.partition("://")[2].partition(":")[0]
    netrc = machine.place / ".netrc"
    netrc.write_text(f"machine {host} login {LOGIN.partition(':')[0]} password {LOGIN.partition(':')[2]}\n")
    netrc.chmod(0o600)
    folder = machine.place / ".config" / tool
    folder.mkdir(parents=True, exist_ok=True)
    if tool == "pip":
        (folder / "pip.conf").write_text(f"[global]\nindex-url = {url}/simple\n")
    else:
        (folder / "uv.toml").write_text(f'[[index]]\nurl = "{url}/simple"\ndefault = true\n')


@contextmanager
def step(machine, tmp_path, name):
    """A step of a new build: its variables and its own folder."""
    place = tmp_path / name
    place.mkdir()
    with machine.build() as entrance:
        yield machine.lend(entrance, place / "lent"), place


def pip_install(variables, place, *words):
    return run([*PIP, "install", "--no-cache-dir", "--target", str(place / "site"), *words], variables, place)


def uv_install(variables, place, *words):
    return run(
        [
            *UV,
            "pip",
            "install",
            "--no-cache",
            "--python",
            sys.executable,
            "--target",
            str(place / "site"),
            *words,
        ],
        variables,
        place,
    )


@pytest.mark.parametrize(("tool", "install"), [("pip", pip_install), ("uv", uv_install)])
def test_a_second_build_fetches_only_what_is_new(machine, index, tmp_path, tool, install):
    configure(machine, tool, index.web.url)
    for name in ("big", "small"):
        index.add(name, "1.0", size=300_000)
    with step(machine, tmp_path, "first") as (variables, place):
        install(variables, place, "big", "small==1.0")
        told = " ".join(variables.values()) + "".join(
            path.read_text() for path in (place / "lent").rglob("*") if path.is_file()
        )
    assert "s3cret" not in told
    assert "CERTIFICATE" not in told
    assert "index-url" in told
    assert sorted(set(index.fetched())) == ["big-1.0-py3-none-any.whl", "small-1.0-py3-none-any.whl"]
    index.add("small", "2.0")
    with step(machine, tmp_path, "second") as (variables, place):
        install(variables, place, "big", "small==2.0")
        assert (place / "site/small/__init__.py").read_text() == 'VERSION = "2.0"\n'
    assert index.fetched() == ["small-2.0-py3-none-any.whl"]
    assert not list((place / "site").rglob("direct_url.json"))


def test_what_the_step_says_itself_wins(machine, index, tmp_path):
    configure(machine, "pip", index.web.url)
    with step(machine, tmp_path, "own") as (variables, place):
        (place / ".pip").mkdir()
        (place / ".pip/pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/simple\n")
        listed = run([*PIP, "config", "debug"], variables, place).stdout
        assert f"{place}/lent/xdg/pip/pip.conf, exists: True" in listed
        done = run([*PIP, "download", "--retries", "0", "wine"], variables, place, check=False)
    assert "Looking in indexes: http://127.0.0.1:9/simple" in done.stdout
    assert index.web.seen == []


def test_an_index_of_the_command_is_asked_directly(machine, index, tmp_path, authority):
    configure(machine, "pip", index.web.url)
    index.add("wine", "1.0")
    with step(machine, tmp_path, "direct") as (variables, place):
        url = index.web.url.replace("://", f"://{LOGIN}@")
        own = ("--index-url", f"{url}/simple", "--cert", str(authority / "ca.crt"))
        pip_install(variables, place, "wine", *own)
    assert index.fetched() == ["wine-1.0-py3-none-any.whl"]


@pytest.mark.skipif(not Path("/usr/bin/apt-get").exists(), reason="apt is a program of Debian and its kin")
def test_apt(machine, lan, tmp_path):
    with WebDouble().serve() as web, machine.build() as entrance:
        for name in ("wine", "glass"):
            add_deb(web, tmp_path, name)
        for name in ("first", "second"):
            place = tmp_path / name
            variables = machine.lend(entrance, place / "lent")
            apt = apt_of(place, web.url)
            run([*apt, "update"], variables, place)
            host = web.url.removeprefix("http://")
            assert list((place / "state/lists").glob(f"{host}_._Packages*"))  # named after its own address
            run([*apt, "download", "wine", *(["glass"] if name == "second" else [])], variables, place)
            assert (place / "wine_1.0_all.deb").exists()
    pool = [one.path for one in web.seen if one.path.endswith(".deb")]
    assert pool == ["/pool/wine_1.0_all.deb", "/pool/glass_1.0_all.deb"]
    answers = [one for one in web.seen if one.path.endswith("/Packages")]
    assert "If-None-Match" not in answers[0].headers
    assert all("If-None-Match" in one.headers for one in answers[1:])


def add_deb(web, place, name):
    """Put a package into the repository, whose list is made anew."""
    tree = place / f"deb-{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: anna\nDescription: x\n"
    (tree / "DEBIAN/control").write_text(control)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", tree, tree.with_suffix(".deb")],
        check=True,
        capture_output=True,
    )
    data = tree.with_suffix(".deb").read_bytes()
    web.pages[f"/pool/{name}_1.0_all.deb"] = Page(data, {"ETag": f'"{name}"'})
    digest = hashlib.sha256(data).hexdigest()
    entry = f"{control}Filename: pool/{name}_1.0_all.deb\nSize: {len(data)}\nSHA256: {digest}\n"
    old = web.pages["/./Packages"].data if "/./Packages" in web.pages else b""
    packages = old + entry.encode() + b"\n"
    web.pages["/./Packages"] = web.pages["/Packages"] = Page(packages, {"ETag": f'"{len(packages)}"'})
    listed = f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    release = f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n{listed}".encode()
    web.pages["/./Release"] = web.pages["/Release"] = Page(release, {"ETag": f'"r{len(packages)}"'})


def apt_of(place, url):
    """apt-get with nothing of this machine."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (place / folder).mkdir(parents=True)
    (place / "sources.list").write_text(f"deb [trusted=yes] {url} ./\n")
    options = {
        "Dir::State": place / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": place / "cache",
        "Dir::Etc": place,
        "Dir::Etc::SourceParts": "/dev/null",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    return ("apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")))
