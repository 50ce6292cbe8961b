"""What a build puts out, in one process: files, archives, layouts, pushes, and what stays behind."""

import gzip
import io
import os
import stat
import tarfile

import msgspec
import pytest
from tests.suites.images import foreign_tar, open_engine

from tiffin.engine import archives
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.building.results import metadata
from tiffin.engine.builds import build
from tiffin.engine.collection import collect
from tiffin.engine.lookup import find_image, need_image
from tiffin.engine.transfers import push
from tiffin.errors import ConflictError, InvalidError, TiffinError, UnsupportedError
from tiffin.events import Notice
from tiffin.image.archive import open_archive
from tiffin.image.layout import Layout
from tiffin.image.validate import validate
from tiffin.image.view import open_image
from tiffin.layer.compress import decompress
from tiffin.oci.descriptor import MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")

DOCKERFILE = """\
FROM scratch
COPY --chown=5:6 --chmod=4755 app /bin/
COPY data /data/
"""


@pytest.fixture
def engine(tmp_path):
    events = []
    with open_engine(tmp_path, emit=events.append) as opened:
        opened.events = events
        yield opened


@pytest.fixture
def context(tmp_path):
    place = tmp_path / "context"
    (place / "data").mkdir(parents=True)
    (place / "Dockerfile").write_text(DOCKERFILE)
    (place / "app").write_text("#!app\n")
    (place / "data/big").write_bytes(b"model" * 300_000)
    (place / "data/link").symlink_to("/etc/passwd")
    return place


@pytest.fixture
def make(engine, context):
    def run(*outputs, **more):
        return build(engine, BuildRequest(context, outputs=outputs, **more))

    return run


def notices(engine):
    return [event.message for event in engine.events if isinstance(event, Notice)]


def layout_of(path):
    layout = Layout(path)
    return layout, layout.entries()


# Files.


def test_a_folder_is_the_root_filesystem_and_no_image_is_kept(make, engine, tmp_path):
    result = make(str(tmp_path / "out/deep"), tags=("app:1",), iidfile=tmp_path / "iid")
    out = tmp_path / "out/deep"
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == [
        "bin", "bin/app", "data", "data/big", "data/link",
    ]  # fmt: skip
    assert (out / "data/big").read_bytes() == b"model" * 300_000
    assert os.readlink(out / "data/link") == "/etc/passwd"
    status = (out / "bin/app").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (os.getuid(), 0o755)
    assert find_image(engine, "app:1") is None
    assert engine.images.all() == []
    assert (result.kept, result.tags, metadata(result)) == (False, (), {})
    assert (tmp_path / "iid").read_text() == ""
    assert any("app:1 stays as it was" in message for message in notices(engine))
    assert any("1 file came out without set-id bits" in message for message in notices(engine))


def test_a_tar_has_the_owners_and_is_the_same_each_time(make, tmp_path):
    for name in ("a.tar", "b.tar"):
        make(f"type=tar,dest={tmp_path / name}")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        found = {info.name: info for info in archive}
        assert archive.extractfile("data/big").read() == b"model" * 300_000
    assert list(found) == ["bin", "bin/app", "data", "data/big", "data/link"]
    app = found["bin/app"]
    assert (app.uid, app.gid, app.mode) == (5, 6, 0o4755)
    assert (found["data/link"].linkname, app.mtime) == ("/etc/passwd", 0)


def test_a_split_of_one_platform_has_its_folder_too(make, engine, tmp_path):
    name = str(engine.platform).replace("/", "_")
    make(f"type=local,dest={tmp_path / 'out'},platform-split=true")
    assert os.listdir(tmp_path / "out") == [name]
    assert (tmp_path / "out" / name / "bin/app").exists()
    make(f"type=tar,dest={tmp_path / 'a.tar'},platform-split=true")
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getnames()[:3] == [name, f"{name}/bin", f"{name}/bin/app"]


def test_a_link_in_the_place_of_a_platform_s_folder_is_not_followed(make, engine, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / str(engine.platform).replace("/", "_")).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConflictError, match="it is a link"):
        make(f"type=local,dest={tmp_path / 'out'},platform-split=true")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_an_archive_that_fails_leaves_the_old_one(make, engine, tmp_path):
    target = tmp_path / "a.tar"
    target.write_text("old")
    make("type=image", tags=("app",))
    diff_id = need_image(engine, "app").config.rootfs.diff_ids[1]
    (engine.layers.path(diff_id) / "data/big").write_text("short")
    with pytest.raises(TiffinError):
        make(f"type=docker,dest={target}")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


# Archives and layouts.


def test_an_oci_archive_is_what_a_registry_gets(make, engine, tmp_path, double):
    name = f"{double.address}/me/app:1"
    result = make(f"type=oci,dest={tmp_path / 'a.tar'}", push=True, tags=(name,))
    with (tmp_path / "a.tar").open("rb") as stream, open_archive(stream) as archive:
        (found,) = archive.images
        assert found.references == (Reference.parse(name),)
        image = open_image(archive, found.descriptor)
        assert validate(archive, found.descriptor) == ()
    assert found.descriptor.digest == result.descriptor.digest
    assert {layer.media_type for layer in image.manifest.layers} == {MediaType.OCI_LAYER_GZIP}
    assert Digest.of(double.manifests["me/app", "1"][1]) == result.descriptor.digest
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert "manifest.json" not in archive.getnames()


def test_a_docker_archive_loads_as_the_same_image(make, tmp_path):
    result = make(f"type=docker,dest={tmp_path / 'a.tar'}", tags=("app:1", "app:2"))
    with open_engine(tmp_path, "other") as other, (tmp_path / "a.tar").open("rb") as stream:
        assert archives.load(other, stream) == ["app:1", "app:2"]
        assert need_image(other, "app:2").image_id == result.image_id
    assert (result.kept, [tag.familiar for tag in result.tags]) == (True, ["app:1", "app:2"])


def test_a_layout_takes_one_image_after_another(make, context, tmp_path):
    place = tmp_path / "layout"
    first = make(f"type=oci,dest={place},tar=false,name=app:1")
    (context / "app").write_text("second")
    second = make(f"type=oci,dest={place},tar=false,name=app:2,compression=zstd")
    nameless = make(f"type=oci,dest={place},tar=false,compression=uncompressed")
    make(f"type=oci,dest={place},tar=false,compression=uncompressed")
    layout, entries = layout_of(place)
    assert [entry.digest for entry in entries] == [
        each.descriptor.digest for each in (first, second, nameless)
    ]
    types = [{layer.media_type for layer in open_image(layout, entry).manifest.layers} for entry in entries]
    assert types == [{MediaType.OCI_LAYER_GZIP}, {MediaType.OCI_LAYER_ZSTD}, {MediaType.OCI_LAYER}]
    for entry in entries:
        image = open_image(layout, entry)
        for layer in image.layers:
            with layer.open() as stream:
                assert DiffID.of(decompress(stream).read()) == layer.diff_id


def test_several_outputs_at_once(make, engine, tmp_path):
    result = make(
        f"type=local,dest={tmp_path / 'out'}",
        f"type=docker,dest={tmp_path / 'a.tar'}",
        "type=docker",
        tags=("app:1",),
    )
    assert (tmp_path / "out/bin/app").exists()
    assert (tmp_path / "a.tar").exists()
    assert need_image(engine, "app:1").image_id == result.image_id


def test_nothing_but_the_cache(make, engine):
    assert make("type=cacheonly").kept is False
    assert engine.images.all() == []
    engine.events.clear()
    make("type=cacheonly")
    assert {event.status for event in engine.events if hasattr(event, "status")} == {"cached", "done"}


# Forms.


def test_a_base_layer_is_packed_again_only_by_force(make, engine, context, tmp_path):
    base = tmp_path / "base.tar"
    packed = gzip.compress(foreign_tar(base="b" * 10_000), mtime=0)
    base.write_bytes(docker_archive(packed))
    with base.open("rb") as stream:
        archives.load(engine, stream)
    (context / "Dockerfile").write_text("FROM base:1\nCOPY app /\n")
    for force, expected in (("false", [MediaType.OCI_LAYER_GZIP]), ("true", [MediaType.OCI_LAYER_ZSTD])):
        place = tmp_path / force
        make(f"type=oci,dest={place},tar=false,compression=zstd,force-compression={force}")
        layout, (entry,) = layout_of(place)
        image = open_image(layout, entry)
        types = [layer.media_type for layer in image.manifest.layers]
        assert types == [*expected, MediaType.OCI_LAYER_ZSTD]
        with image.layers[0].open() as stream:
            assert DiffID.of(decompress(stream).read()) == image.layers[0].diff_id
    # What was forced once is no other base for later builds.
    assert make(tags=("after",)).descriptor == need_image(engine, "after").descriptor
    assert need_image(engine, "after").manifest.layers[0].digest == Digest.of(packed)


def docker_archive(layer):
    import hashlib

    plain = gzip.decompress(layer)
    config = msgspec.json.encode(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
        }
    )
    manifest = msgspec.json.encode([{"Config": "c.json", "RepoTags": ["base:1"], "Layers": ["l.tar"]}])
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in (("c.json", config), ("l.tar", layer), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_levels_differ_in_size_and_leave_later_pushes_alone(make, engine, tmp_path, double):
    sizes = []
    for level in ("0", "1", "9"):
        place = tmp_path / level
        make(f"type=oci,dest={place},tar=false,compression-level={level}")
        layout, (entry,) = layout_of(place)
        sizes.append(sum(layer.size for layer in open_image(layout, entry).manifest.layers))
    assert sizes[0] > sizes[2]
    name = f"{double.address}/me/app:1"
    make(tags=(name,))
    make(f"type=oci,dest={tmp_path / 'usual'},tar=false")
    assert push(engine, name).digest == layout_of(tmp_path / "usual")[1][0].digest


def test_docker_s_media_types_are_written_when_asked_for(make, tmp_path):
    place = tmp_path / "layout"
    make(f"type=oci,dest={place},tar=false,oci-mediatypes=false")
    layout, (entry,) = layout_of(place)
    manifest = open_image(layout, entry).manifest
    assert entry.media_type == MediaType.DOCKER_MANIFEST
    assert manifest.config.media_type == MediaType.DOCKER_CONFIG
    assert {layer.media_type for layer in manifest.layers} == {MediaType.DOCKER_LAYER_GZIP}


def test_annotations_stay_on_the_manifest_wherever_it_goes(make, engine, tmp_path, double):
    name = f"{double.address}/me/app:1"
    make(
        tags=(name,),
        annotations=("org.a=1", f"manifest[{engine.platform}]:org.b=2"),
    )
    wanted = {"org.a": "1", "org.b": "2"}
    assert need_image(engine, name).manifest.annotations == wanted
    push(engine, name)
    assert msgspec.json.decode(double.manifests["me/app", "1"][1])["annotations"] == wanted
    out = io.BytesIO()
    archives.save(engine, [name], out)
    out.seek(0)
    with open_engine(tmp_path, "other") as other:
        archives.load(other, out)
        assert need_image(other, name).manifest.annotations == wanted


def test_annotations_of_an_output_are_its_own(make, engine, tmp_path):
    place = tmp_path / "layout"
    make(
        f"type=oci,dest={place},tar=false,name=app:1,annotation.a=own,annotation-manifest-descriptor.d=1",
        "type=image,name=app:1",
        annotations=("a=all", "b=2"),
    )
    layout, (entry,) = layout_of(place)
    assert open_image(layout, entry).manifest.annotations == {"a": "own", "b": "2"}
    assert entry.annotations["d"] == "1"
    assert need_image(engine, "app:1").manifest.annotations == {"a": "all", "b": "2"}


@pytest.mark.parametrize("annotation", ["index:a=b", "index-descriptor:a=b", "manifest[linux/s390x]:a=b"])
def test_an_annotation_without_a_place_is_refused(make, engine, annotation):
    with pytest.raises(InvalidError):
        make(annotations=(annotation,), tags=("app",))
    assert find_image(engine, "app") is None


# Pushes.


def test_all_names_are_pushed_and_kept(make, engine, double):
    names = tuple(f"{double.address}/me/{name}" for name in ("app:1", "app:2", "other:latest"))
    result = make(push=True, tags=names)
    digests = {
        Digest.of(double.manifests[place][1])
        for place in (("me/app", "1"), ("me/app", "2"), ("me/other", "latest"))
    }
    assert digests == {result.descriptor.digest}
    assert need_image(engine, names[2]).image_id == result.image_id
    found = metadata(result)
    assert found["containerimage.digest"] == result.descriptor.digest
    assert found["containerimage.config.digest"] == result.image_id
    assert found["containerimage.descriptor"]["mediaType"] == MediaType.OCI_MANIFEST
    assert found["image.name"] == ",".join(names)
    assert f"2: digest: {result.descriptor.digest} size: {result.descriptor.size}" in notices(engine)


def test_a_push_by_digest_leaves_no_tag(make, engine, double):
    name = f"{double.address}/me/app"
    result = make(f"type=image,name={name},push-by-digest=true,push=true,name-canonical=true")
    assert ("me/app", "latest") not in double.manifests
    assert Digest.of(double.manifests["me/app", result.descriptor.digest][1]) == result.descriptor.digest
    assert find_image(engine, f"{name}:latest") is None
    assert need_image(engine, f"{name}@{result.descriptor.digest}").image_id == result.image_id


def test_nothing_is_sent_before_the_build_has_succeeded(make, context, double):
    (context / "Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    with pytest.raises(TiffinError):
        make(push=True, tags=(f"{double.address}/me/app:1",))
    assert double.seen == []


def test_a_push_that_is_refused_leaves_the_image_here(make, engine, double):
    double.scheme, double.users = "basic", {"u": "p"}
    name = f"{double.address}/me/app:1"
    with pytest.raises(TiffinError) as caught:
        make(push=True, tags=(name,))
    assert f"tiffin login {double.address}" in caught.value.hint
    assert find_image(engine, name) is not None


def test_an_image_that_is_only_sent_is_not_kept(make, engine, double):
    make("type=registry,store=false", tags=(f"{double.address}/me/app:1",))
    assert ("me/app", "1") in double.manifests
    assert engine.images.all() == []


@pytest.mark.parametrize("more", ["", ",store=false", ",name-canonical=true"])
def test_what_is_sent_is_packed_once(make, engine, double, more):
    name = f"{double.address}/me/app:1"
    make(f"type=image,push=true,compression-level=9{more}", tags=(name,))
    packed = [each.step for each in engine.events if getattr(each, "name", "").startswith("compress")]
    assert len(packed) == len(set(packed)) == 2
    assert ("me/app", "1") in double.manifests


def test_a_store_image_can_be_packed_at_once(make, engine, double):
    name = f"{double.address}/me/app:1"
    make("type=image,compression=zstd", tags=(name,))
    found = need_image(engine, name)
    assert {layer.media_type for layer in found.manifest.layers} == {MediaType.OCI_LAYER_ZSTD}
    assert push(engine, name) == found.descriptor


# Several platforms.

BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture
def index(make):
    """Builds for two platforms, each of which has its name in a file."""

    def run(*outputs, **more):
        return make(*outputs, platforms=BOTH, **more)

    return run


@pytest.fixture
def by_platform(context):
    for platform in BOTH:
        (context / platform.partition("/")[2]).write_text(platform)
    (context / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY ${TARGETARCH} /d/name\n")


@pytest.mark.usefixtures("by_platform")
def test_each_platform_has_a_folder(index, tmp_path):
    index(str(tmp_path / "out"), f"type=tar,dest={tmp_path / 'a.tar'}")
    for platform in BOTH:
        assert (tmp_path / "out" / platform.replace("/", "_") / "d/name").read_text() == platform
    with tarfile.open(tmp_path / "a.tar") as archive:
        names = archive.getnames()
        assert archive.extractfile("linux_arm64/d/name").read() == b"linux/arm64"
    assert names == [f"linux_{arch}{rest}" for arch in ("amd64", "arm64") for rest in ("", "/d", "/d/name")]


@pytest.mark.usefixtures("by_platform")
def test_platforms_share_a_folder_unless_files_collide(index, context, tmp_path):
    for output in (f"type=local,dest={tmp_path / 'out'}", f"type=tar,dest={tmp_path / 'a.tar'}"):
        with pytest.raises(InvalidError, match=r"have /?d/name, and one of them would be lost"):
            index(f"{output},platform-split=false")
    assert not (tmp_path / "a.tar").exists()
    (context / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY ${TARGETARCH} /d/\n")
    index(f"type=local,dest={tmp_path / 'both'},platform-split=false")
    assert sorted(path.name for path in (tmp_path / "both/d").iterdir()) == ["amd64", "arm64"]
    index(f"type=tar,dest={tmp_path / 'a.tar'},platform-split=false")
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getnames() == ["d", "d/amd64", "d/arm64"]


@pytest.mark.usefixtures("by_platform")
def test_a_layout_and_a_registry_get_the_whole_index(index, engine, tmp_path, double):
    name = f"{double.address}/me/app:1"
    annotations = ("index:of=index", "manifest[linux/arm64]:of=arm", "manifest-descriptor:of=entry")
    archive = tmp_path / "a.tar"
    result = index(f"type=oci,dest={archive}", push=True, tags=(name,), annotations=annotations)
    media_type, data = double.manifests["me/app", "1"]
    assert (media_type, Digest.of(data)) == (MediaType.OCI_INDEX, result.descriptor.digest)
    assert result.image_id == result.descriptor.digest
    assert "containerimage.config.digest" not in metadata(result)
    document = msgspec.json.decode(data)
    assert document["annotations"] == {"of": "index"}
    assert [each["platform"]["architecture"] for each in document["manifests"]] == ["amd64", "arm64"]
    assert [each["annotations"] for each in document["manifests"]] == [{"of": "entry"}] * 2
    manifests = [
        msgspec.json.decode(double.manifests["me/app", each["digest"]][1]) for each in document["manifests"]
    ]
    assert [each.get("annotations") for each in manifests] == [None, {"of": "arm"}]
    with archive.open("rb") as stream, open_archive(stream) as opened:
        (found,) = opened.images
        assert found.descriptor.digest == result.descriptor.digest
        assert validate(opened, found.descriptor) == ()
    assert push(engine, name).digest == result.descriptor.digest


@pytest.mark.usefixtures("by_platform")
@pytest.mark.parametrize("form", ["docker", "oci"])
def test_an_index_is_saved_and_loaded_whole(index, engine, tmp_path, form):
    made = index(tags=("app:1",), annotations=("index:a=b",))
    out = io.BytesIO()
    archives.save(engine, ["app:1"], out, form)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        assert ("manifest.json" in archive.getnames()) == (form == "docker")
    out.seek(0)
    with open_engine(tmp_path, "other") as other:
        assert archives.load(other, out) == ["app:1"]
        assert other.tags.get(Reference.parse("app:1")) == made.descriptor
        assert [image.descriptor for image in other.images.all()] == [made.descriptor]
        for platform in BOTH:
            image = need_image(other, "app:1", Platform.parse(platform))
            assert (other.layers.path(image.config.rootfs.diff_ids[0]) / "d/name").read_text() == platform
        collect(other)
        again = io.BytesIO()
        archives.save(other, ["app:1"], again, form)
    assert again.getvalue() == out.getvalue()


@pytest.mark.usefixtures("by_platform")
def test_a_docker_archive_holds_one_platform(index, tmp_path):
    with pytest.raises(UnsupportedError, match="several were built"):
        index(f"type=docker,dest={tmp_path / 'a.tar'}")
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.usefixtures("by_platform")
def test_an_index_without_this_machine_s_image_is_kept_too(make, engine, tmp_path):
    other = "linux/s390x"
    (tmp_path / "context/s390x").write_text("s390x")
    result = make("type=image", platforms=(other,), tags=("far:1",))
    assert [image.descriptor for image in engine.images.all()] == [result.descriptor]
    assert engine.tags.get(Reference.parse("far:1")) == result.descriptor


# What is found out before anything is built.


@pytest.mark.parametrize(
    ("outputs", "more", "message"),
    [
        (("type=registry",), {}, "needs a name"),
        ((), {"push": True}, "needs a name"),
        (("type=image,push-by-digest=true,push=true",), {"tags": ("a:1",)}, "needs a name"),
        (("type=image,name=a:1,push-by-digest=true,push=true",), {}, "without a tag"),
        (("type=local,dest={0}/Dockerfile",), {}, "is no folder"),
        (("type=oci,tar=false,dest={0}/Dockerfile",), {}, "is no folder"),
        (("type=tar,dest={0}",), {}, "is a folder"),
        (("type=docker,dest={0}",), {}, "is a folder"),
        (("-", "type=oci"), {}, "two outputs"),
        (("type=oci,oci-mediatypes=false,dest=x",), {"annotations": ("a=b",)}, "annotations"),
        (("type=image,name=NO",), {}, "lower case"),
    ],
)
def test_what_cannot_be_is_said_before_the_build(make, engine, context, outputs, more, message):
    with pytest.raises(InvalidError, match=message):
        make(*(text.format(context) for text in outputs), **more)
    assert [event for event in engine.events if hasattr(event, "step")] == []
