"""Builds for several platforms, by the engine: nothing is run, so that no machine but ours is needed."""

import os

import pytest
from tests.engine.test_transfers import both, digest_of, serve_image

from tiffin.build.plan import PlanRequest, plan
from tiffin.dockerfile.parser import parse
from tiffin.engine import foreign, images
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.collection import collect
from tiffin.engine.lookup import find_complete, need_image
from tiffin.engine.prune import disk_usage
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.linux.binfmt import Handler
from tiffin.oci.descriptor import MediaType
from tiffin.oci.manifest import parse_manifest
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")

FILES = "FROM scratch\nCOPY a /a\nARG TARGETARCH\nLABEL for=$TARGETARCH\n"
BOTH = ("linux/amd64,linux/arm64",)
ARCHES = ("amd64", "arm64")


@pytest.fixture
def make(engine, tmp_path):
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "a").write_text("content")

    def run(text, *platforms, tag="it", **more):
        (folder / "Dockerfile").write_text(text)
        return build(engine, BuildRequest(folder, tags=(tag,), platforms=platforms, **more))

    return run


def index_of(engine, descriptor):
    return parse_manifest(engine.blobs.read(descriptor), descriptor.media_type, "the result")


def test_several_platforms_make_an_index(engine, make):
    result = make(FILES, *BOTH)
    assert result.descriptor.media_type == MediaType.OCI_INDEX
    assert result.image_id == result.descriptor.digest
    found = index_of(engine, result.descriptor)
    assert [str(entry.platform) for entry in found.manifests] == ["linux/amd64", "linux/arm64"]
    assert [image.descriptor.digest for image in result.images] == [e.digest for e in found.manifests]
    for image in result.images:
        one = need_image(engine, "it", image.platform)
        assert one.image_id == image.image_id
        assert one.config.platform == image.platform
        assert one.config.config.labels == {"for": image.platform.architecture}
        assert len(one.config.rootfs.diff_ids) == 1


def test_one_platform_makes_a_manifest_unless_an_index_is_asked_for(engine, make):
    one = make(FILES, "linux/arm64")
    assert one.descriptor.media_type == MediaType.OCI_MANIFEST
    assert one.image_id == one.images[0].image_id
    more = make(FILES, "arm64", build_args={"BUILDKIT_MULTI_PLATFORM": "1"})
    assert [e.digest for e in index_of(engine, more.descriptor).manifests] == [one.descriptor.digest]
    with pytest.raises(InvalidError, match="BUILDKIT_MULTI_PLATFORM=maybe"):
        make(FILES, build_args={"BUILDKIT_MULTI_PLATFORM": "maybe"})


def test_the_same_build_gives_the_same_index(engine, make):
    assert make(FILES, *BOTH).descriptor == make(FILES, "linux/amd64", "aarch64,local").descriptor
    assert make(FILES, "local").descriptor == make(FILES).descriptor


def test_the_environment_can_name_the_platform(tmp_path, make, engine):
    environ = {**engine.settings.environ, "DOCKER_DEFAULT_PLATFORM": "linux/s390x"}
    engine.settings = engine.settings._replace(environ=environ)
    assert [str(image.platform) for image in make(FILES).images] == ["linux/s390x"]
    assert [str(image.platform) for image in make(FILES, "arm64").images] == ["linux/arm64"]


def test_an_index_is_an_image_as_any_other(engine, make):
    result = make(FILES, "linux/s390x,linux/riscv64")
    (row,) = images.list_images(engine)
    assert row.references == ("it:latest",)
    assert row.digest == result.descriptor.digest
    (document,) = images.inspect(engine, ["it"])
    assert document["Architecture"] == "s390x"  # none is for this machine: the first is shown
    assert images.history(engine, "it")[0].created_by.startswith("LABEL for=s390x")
    images.tag(engine, "it", "other:1")
    assert images.remove(engine, ["it"]) == ["Untagged: it:latest"]
    collect(engine)
    assert need_image(engine, "other:1", Platform.parse("riscv64")).config.architecture == "riscv64"
    images.remove(engine, ["other:1"])
    assert list(engine.blobs.all()) == []


def test_a_base_is_had_for_each_platform_and_its_name_stays_the_index(engine, make, double):
    index, _ = both(double, "a", "1")
    name = f"{double.address}/a:1"
    result = make(f"FROM {name}\nCOPY a /a\n", *BOTH)
    for image in result.images:
        one = need_image(engine, "it", image.platform)
        assert one.config.architecture == image.platform.architecture
        text = (engine.layers.path(one.config.rootfs.diff_ids[0]) / "base").read_text()
        assert text == image.platform.architecture
    assert engine.tags.resolve(Reference.parse(name)).digest == digest_of(index)
    double.seen.clear()
    assert make(f"FROM {name}\nCOPY a /a\n", *BOTH).descriptor == result.descriptor
    assert double.seen == []


def test_an_index_that_came_for_one_platform_is_completed_not_replaced(engine, make, double):
    both(double, "a", "1")
    name = f"{double.address}/a:1"
    make(f"FROM {name}\n", "linux/amd64")
    before = engine.tags.resolve(Reference.parse(name))
    serve_image(double, "a", "1", text="newer")  # the tag has moved
    make(f"FROM {name}\n", "linux/arm64")
    assert engine.tags.resolve(Reference.parse(name)) == before
    assert find_complete(engine, name, Platform.parse("arm64")) is not None
    with pytest.raises(NotFoundError, match="not made for linux/s390x") as caught:
        make(f"FROM {name}\n", "linux/s390x")
    assert caught.value.where.line == 1
    make(f"FROM {name}\n", "linux/amd64", pull=True)
    assert engine.tags.resolve(Reference.parse(name)) != before


def test_an_image_that_is_no_index_is_taken_and_warned_of(make, double, events):
    serve_image(double, "a", "1", architecture="s390x")
    make(f"FROM {double.address}/a:1\nCOPY a /a\n", "linux/arm64")
    assert "InvalidBaseImagePlatform" in [event.rule for event in events if hasattr(event, "rule")]


ARM64 = Handler(
    "qemu-aarch64",
    "/usr/bin/qemu-aarch64-static",
    "F",
    0,
    bytes.fromhex("7f454c460201010000000000000000000200b700"),
    bytes.fromhex("ffffffffffffff00fffffffffffffffffeffffff"),
)


@pytest.mark.parametrize(
    ("handlers", "text", "expected"),
    [
        ((), "COPY a /a\nRUN x\n", "has no emulator for it"),
        (None, "RUN x\n", "binfmt_misc is not mounted"),
        ((ARM64._replace(flags=""),), "RUN x\n", "/usr/bin/qemu-aarch64-static, which is not in the image"),
        ((ARM64._replace(flags=""),), "COPY a /usr/bin/\nRUN x\n", None),
        ((ARM64._replace(flags=""),), "COPY a /usr/bin/qemu-aarch64-static\nCOPY a /b\nRUN x\n", None),
        ((ARM64,), "RUN x\n", None),
        ((), "COPY a /a\nWORKDIR /w\n", None),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_runs(engine, handlers, text, expected, monkeypatch):
    monkeypatch.setattr("tiffin.linux.binfmt.read_handlers", lambda: handlers)
    platform = Platform.parse("arm64")
    if engine.platform.rank(platform) is not None:
        pytest.skip("this machine runs it")
    graph = plan(parse(f"FROM scratch\n{text}"), PlanRequest(platform, host=engine.platform), None)
    if expected is None:
        foreign.check_steps(engine, graph)
        return
    with pytest.raises(UnsupportedError, match=expected) as caught:
        foreign.check_steps(engine, graph)
    assert "RUN x is for linux/arm64" in caught.value.message
    assert caught.value.where.line == 1 + text.count("\n")
    assert "qemu-user-static" in caught.value.hint
    assert "FROM --platform=$BUILDPLATFORM" in caught.value.hint


def test_nothing_runs_in_a_build_that_cannot_end(engine, make, events, monkeypatch):
    monkeypatch.setattr("tiffin.linux.binfmt.read_handlers", lambda: ())
    with pytest.raises(UnsupportedError):
        make("FROM scratch\nCOPY a /a\nRUN x\n", "linux/s390x")
    assert events == []


def test_all_images_of_an_index_take_space(engine, make):
    make("FROM scratch AS amd64\nCOPY a /a\nFROM scratch AS arm64\nCOPY a /b\nFROM $TARGETARCH\n", *BOTH)
    (image,) = disk_usage(engine).images
    sizes = engine.layers.sizes()
    assert len(sizes) == 2
    assert image.size >= sum(sizes.values())
    shown = [
        images.inspect(engine, ["it"], platform)[0]["Architecture"]
        for platform in map(Platform.parse, ARCHES)
    ]
    assert shown == list(ARCHES)
    assert images.history(engine, "it", Platform.parse("arm64"))[0].created_by.startswith("COPY a /b")
