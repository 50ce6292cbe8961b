"""What has a name survives a crash of the machine: its layers are on the disk before the name is given."""

import io
import os

import pytest
from tests.suites.images import make_image, open_engine

from tiffin.engine.archives import load, save
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.images import forget
from tiffin.engine.lookup import need_image
from tiffin.errors import NotFoundError, TiffinError
from tiffin.oci.reference import Reference
from tiffin.snapshot.layers import LayerStore

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


def unsettled(engine):
    with engine.db.read() as connection:
        return connection.execute("SELECT count(*) FROM layer WHERE boot != ''").fetchone()[0]


def context(base, **files):
    base.mkdir(exist_ok=True)
    for name, text in files.items():
        (base / name).write_text(text)
    return base


def after_a_crash(engine):
    """The store as the first process after a restart of the machine sees it."""
    engine.layers = LayerStore(engine.home, engine.db, engine.layers.owners, boot="the next")
    engine.fetcher._layers = engine.layers
    return engine


def test_a_build_settles_what_it_made(engine, tmp_path):
    place = context(tmp_path / "c", Dockerfile="FROM scratch\nCOPY a /\n", a="1")
    build(engine, BuildRequest(place, tags=("app",)))
    assert unsettled(engine) == 0
    assert need_image(engine, "app")


def test_an_image_and_all_its_names_wait_for_the_disk_once(engine, monkeypatch):
    descriptor, image_id = make_image(engine)
    names = [Reference.parse(name).tagged() for name in ("one", "two")]
    waits = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: waits.append(real(fd)))
    engine.keep(descriptor, image_id, names)
    assert len(waits) == 1
    assert [need_image(engine, name).image_id for name in ("one", "two")] == [image_id] * 2
    forget(engine, image_id, [descriptor.digest], names)
    assert len(waits) == 2
    assert (engine.tags.all(), engine.images.all()) == ([], [])


def test_the_steps_of_a_failed_build_are_doubted_after_a_crash(engine, tmp_path):
    place = context(tmp_path / "c", Dockerfile="FROM scratch\nCOPY a /\nCOPY missing /\n", a="1")
    with pytest.raises(TiffinError):
        build(engine, BuildRequest(place))
    assert unsettled(engine) == 1
    damaged = next(engine.home.layers.iterdir())
    (damaged / "a").write_text("0")
    os.utime(damaged / "a", (engine.settings.epoch,) * 2)
    context(place, Dockerfile="FROM scratch\nCOPY a /\n")
    build(after_a_crash(engine), BuildRequest(place, tags=("app",)))
    diff_id = need_image(engine, "app").config.rootfs.diff_ids[0]
    assert (engine.layers.path(diff_id) / "a").read_text() == "1"
    assert unsettled(engine) == 0


def test_loading_settles_too(engine, tmp_path):
    make_image(engine, "app", layers=({"a": "1"}, {"b": "2"}))
    out = io.BytesIO()
    save(engine, ["app"], out)
    with open_engine(tmp_path, "other") as other:
        load(other, io.BytesIO(out.getvalue()))
        assert unsettled(other) == 0


def test_a_local_layer_that_a_crash_took_is_named_with_what_to_do(engine, tmp_path):
    """Its tar is nowhere else: only a build can bring it back."""
    make_image(engine, "app", layers=({"a": "1"},))
    diff_id = need_image(engine, "app").config.rootfs.diff_ids[0]
    (engine.layers.path(diff_id) / "a").write_text("0")
    place = context(tmp_path / "c", Dockerfile="FROM app\n")
    with pytest.raises(NotFoundError) as caught:
        build(after_a_crash(engine), BuildRequest(place))
    assert "build the image again" in caught.value.hint
