"""Images whose layers are split: as a build leaves them, and as a push sends them."""

import os

import pytest

from tiffin.engine import images
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.collection import collect
from tiffin.engine.lookup import need_image
from tiffin.engine.packing import PushOptions
from tiffin.engine.transfers import pull, push
from tiffin.errors import InvalidError
from tiffin.snapshot import split as module
from tiffin.snapshot.rootfs import rootfs_tar

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root"),
]
SITE = "usr/lib/python3/site-packages"


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(module, "SMALLEST", 1 << 10)
    monkeypatch.setattr(module, "LARGE", 1 << 16)


@pytest.fixture
def context(tmp_path):
    """Make a context: a base, and wheels of which one changes."""

    def make(version="1"):
        top = tmp_path / "context"
        files = {
            "Dockerfile": "FROM scratch AS base\nCOPY base /\nFROM base\nCOPY wheels /\nCOPY app /app\n",
            "base/usr/lib/libc": "c" * 2000,
            "base/srv/x": "x",
            f"wheels/{SITE}/torch/lib.so": "t" * 70_000,
            f"wheels/{SITE}/torch-2.dist-info/RECORD": "torch/lib.so,,\n",
            f"wheels/{SITE}/click/core.py": version,
            f"wheels/{SITE}/click-8.dist-info/RECORD": "click/core.py,,\n",
            "wheels/usr/bin/tool": "tool",
            "app/main.py": "main",
        }
        for path, text in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_text(text)
        return top

    return make


def layers_of(engine, name):
    return need_image(engine, name).config.rootfs.diff_ids


def flat(engine, name):
    return b"".join(rootfs_tar([("", engine.layers.tree(layers_of(engine, name)))], engine.layers.owners, 0))


def test_a_build_splits_its_big_layers(engine, context):
    build(engine, BuildRequest(context(), tags=("whole",)))
    build(engine, BuildRequest(context(), tags=("app",), split=True))
    assert (len(layers_of(engine, "whole")), len(layers_of(engine, "app"))) == (3, 6)
    assert flat(engine, "app") == flat(engine, "whole")
    rows = [(row.created_by, row.comment) for row in reversed(images.history(engine, "app"))]
    assert [comment for by, comment in rows if "wheels" in by] == [
        "system",
        "python: torch",
        "python packages",
    ]


def test_the_same_again_and_after_a_collection(engine, context):
    first = build(engine, BuildRequest(context(), tags=("app",), split=True))
    assert build(engine, BuildRequest(context(), tags=("app",), split=True)).image_id == first.image_id
    images.remove(engine, ["app"])
    collect(engine)  # the parts go, the results of the steps stay
    assert build(engine, BuildRequest(context(), tags=("app",), split=True)).image_id == first.image_id
    assert flat(engine, "app")


def test_layers_of_the_base_stay_as_they_are(engine, context):
    top = context()
    build(engine, BuildRequest(top, tags=("below",)))
    (top / "Dockerfile").write_text("FROM below\nCOPY app /more\n")
    build(engine, BuildRequest(top, tags=("above",), split=True))
    assert layers_of(engine, "above")[:3] == layers_of(engine, "below")


def test_a_pushed_image_is_sent_in_parts_of_which_few_change(engine, other, double, context):
    name = f"{double.address}/app:1"
    build(engine, BuildRequest(context(), tags=(name,)))
    whole = layers_of(engine, name)
    sent = push(engine, name, PushOptions(split=True))
    assert layers_of(engine, name) == whole  # the image here is as it was
    pull(other, name)
    assert need_image(other, name).descriptor.digest == sent.digest
    assert flat(other, name) == flat(engine, name)
    before = set(layers_of(other, name))
    build(engine, BuildRequest(context("2"), tags=(name,)))
    push(engine, name, PushOptions(split=True))
    pull(other, name)
    assert len(set(layers_of(other, name)) - before) == 1


def test_what_cannot_be_both(engine, context):
    request = BuildRequest(context(), tags=("app",), split=True, cache_to=("type=inline",))
    with pytest.raises(InvalidError, match="cannot carry the cache") as caught:
        build(engine, request)
    assert caught.value.code == "split-with-inline-cache"
