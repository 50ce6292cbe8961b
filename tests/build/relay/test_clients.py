"""Real clients against an index over TLS and behind a login, both of which only the relay knows."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
from tests.build.relay.conftest import LOGIN

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
