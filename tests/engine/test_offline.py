"""Without a network: what is here is used, and all that is missing is named at once."""

import os

import pytest
from tests.doubles.web import Page, Repository
from tests.engine.test_transfers import digest_of, serve_image

from tiffin.base.fetch import Download, Mirror, download
from tiffin.build.ops.connection import Connection
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.settings import real_name
from tiffin.engine.transfers import pull, push
from tiffin.errors import UnavailableError
from tiffin.events import Notice
from tiffin.oci.descriptor import Descriptor

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "context"
    place.mkdir()
    return place


@pytest.fixture
def offline(engine):
    """Take the network from the engine, or give it back."""

    def switch(value="1"):
        environ = {**engine.settings.environ, "TIFFIN_OFFLINE": value}
        engine.settings = engine.settings._replace(environ=environ)

    return switch


def make(engine, folder, text, **more):
    (folder / "Dockerfile").write_text(text)
    return build(engine, BuildRequest(folder, tags=("it",), **more))


def test_all_that_a_build_lacks_is_named_at_once(engine, folder, offline, double, web, tmp_path):
    serve_image(double, "here", "1")
    here = f"{double.address}/here:1"
    pull(engine, here)
    offline()
    double.seen.clear()
    text = (
        f"FROM {double.address}/gone:1 AS a\nFROM {double.address}/away AS b\nFROM {here}\n"
        f"COPY --from=a / /a\nCOPY --from=b / /b\nADD {web.url}/model.bin /m\n"
        f"ADD {web.url}/it.git#main /git\nCOPY --from={double.address}/third:2 / /c\n"
    )
    with pytest.raises(UnavailableError) as caught:
        make(engine, folder, text)
    said = caught.value.message
    assert caught.value.code == "offline"
    for name in ("gone:1 (Dockerfile:1)", "away (Dockerfile:2)", "third:2 (Dockerfile:8)"):
        assert f"the image {double.address}/{name}" in said
    assert f"the file {web.url}/model.bin (Dockerfile:6)" in said
    assert f"the repository {web.url}/it.git#main (Dockerfile:7)" in said
    assert "here:1" not in said
    assert double.seen == web.seen == []


def test_what_was_fetched_before_is_taken_as_it_was(engine, folder, offline, web):
    repository = Repository(web.folder, "it")
    repository.commit({"file": "one"})
    web.pages["/f"] = Page(b"first")
    text = f"FROM scratch\nADD {web.url}/f /f\nADD {web.url}/it.git#main /git\nADD {web.url}/it.git /head\n"
    before = make(engine, folder, text)
    web.pages["/f"] = Page(b"second")
    repository.commit({"file": "two"})
    offline()
    web.seen.clear()
    assert make(engine, folder, text).image_id == before.image_id
    assert web.seen == []
    offline("")
    assert make(engine, folder, text).image_id != before.image_id


@pytest.mark.parametrize("act", [pull, push])
def test_images_neither_come_nor_go(engine, offline, double, act):
    serve_image(double, "a/b", "1")
    name = f"{double.address}/a/b:1"
    if act is push:
        pull(engine, name)
        double.seen.clear()
    offline()
    with pytest.raises(UnavailableError, match="network must not be used") as caught:
        act(engine, name)
    assert caught.value.code == "offline"
    assert double.seen == []


def test_a_pinned_image_that_is_here_needs_none(engine, offline, double):
    manifest = serve_image(double, "a/b", "1")
    name = f"{double.address}/a/b@{digest_of(manifest)}"
    pull(engine, name)
    offline()
    pull(engine, name)


@pytest.mark.parametrize("wanted", ["default", "none", "host", ""])
def test_steps_have_no_network(tmp_path, wanted):
    connection = Connection("none", tmp_path, root=True, offline=True)
    assert connection._mode(wanted) == "none"
    assert not connection.shares_host(wanted)


def test_a_packages_list_names_all_that_is_missing(engine, tmp_path):
    wanted = [
        Download(name, Descriptor.of(name.encode(), "application/x-deb"), (f"http://deb.example/{name}",))
        for name in ("libc6", "python3", "zlib1g")
    ]
    engine.blobs.write(b"python3", "application/x-deb")
    with pytest.raises(UnavailableError, match=r"not here: libc6, zlib1g$") as caught:
        download(Mirror(None, offline=True), wanted, engine.blobs, lambda _event: None, 2)
    assert caught.value.code == "offline"


def test_an_alias_is_taken_announced_and_recorded(engine, folder, events, double, tmp_path):
    serve_image(double, "bases/python", "3.11")
    target = f"{double.address}/bases/python:3.11"
    settings = tmp_path / "tiffin.toml"
    settings.write_text(f'[aliases]\n"python:3.11*" = "{target}"\n')
    environ = {**engine.settings.environ, "TIFFIN_CONFIG": str(settings)}
    engine.settings = engine.settings._replace(environ=environ)
    text = "FROM python:3.11-slim AS a\nFROM python:3.11-slim\nCOPY --from=a /base /copy\n"
    make(engine, folder, text, attest=("type=provenance,mode=max",))
    origin = f"python:3.11* in {settings}"
    told = [event.message for event in events if isinstance(event, Notice) and "alias" in event.message]
    assert told == [
        f"python:3.11-slim is an alias here: {target} is taken, which is another image ({origin})"
    ]
    said = [
        path.read_bytes()
        for path in (engine.home.blobs / "sha256").iterdir()
        if path.stat().st_size < 1 << 20
    ]
    (statement,) = [data for data in said if b'"materials"' in data or b"resolvedDependencies" in data]
    assert f'"context:python:3.11-slim":"docker-image://{target}"'.encode() in statement.replace(b" ", b"")
    assert b"bases/python" in statement
    assert b"docker/python@3.11-slim" not in statement


def test_containers_are_made_from_what_an_alias_stands_for(engine, events, double, tmp_path):
    serve_image(double, "bases/python", "3.11")
    target = f"{double.address}/bases/python:3.11"
    settings = tmp_path / "tiffin.toml"
    settings.write_text(f'[aliases]\n"python:3.11*" = "{target}"\n')
    assert real_name(engine, "python:3.11") == "python:3.11"
    environ = {**engine.settings.environ, "TIFFIN_CONFIG": str(settings)}
    engine.settings = engine.settings._replace(environ=environ)
    assert real_name(engine, "python:3.11") == target
    assert [event.level for event in events] == ["warning"]


def test_what_is_here_stays_when_it_cannot_be_pulled_again(engine, offline, double):
    serve_image(double, "a/b", "1")
    name = f"{double.address}/a/b:1"
    pull(engine, name)
    offline()
    with pytest.raises(UnavailableError, match="cannot be pulled, and stays as it is in the store"):
        pull(engine, name)
