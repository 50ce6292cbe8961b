"""The cache beyond one machine, by its effects: what another store has to run again, and what not."""

import hashlib
import io
import json
import shutil
import tarfile

import pytest
from tests.live.machine import BUSYBOX, NEEDS

from tiffin.engine.transfers import push
from tiffin.errors import TiffinError

pytestmark = NEEDS

DOCKERFILE = """
FROM scratch AS base
COPY busybox /bin/sh

FROM base AS train
COPY data.txt /in/
RUN read id </proc/sys/kernel/random/uuid; echo $id >/model; echo $id >/log

FROM base
RUN echo nothing
RUN read id </proc/sys/kernel/random/uuid; echo $id >/stamp
COPY --from=train /model /model
COPY code.txt /code/
"""


@pytest.fixture
def context(tmp_path):
    place = tmp_path / "context"
    place.mkdir()
    shutil.copy(BUSYBOX, place / "busybox")
    (place / "data.txt").write_text("data\n")
    (place / "code.txt").write_text("code\n")
    (place / "Dockerfile").write_text(DOCKERFILE)
    return place


def places(kind, double, tmp_path):
    """`--cache-to` and `--cache-from` for the same place."""
    if kind == "local":
        return f"type=local,dest={tmp_path}/kept", f"type=local,src={tmp_path}/kept"
    name = f"{double.address}/team/app:cache"
    return f"type=registry,ref={name}", f"type=registry,ref={name}"


@pytest.mark.parametrize("kind", ["local", "registry"])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_another_machine_runs_nothing_again(machine, context, double, tmp_path, kind, mode):
    to, origin = places(kind, double, tmp_path)
    one, two = machine("one"), machine("two")
    first = one.build(context, cache_to=(f"{to},mode={mode}",))
    second = two.build(context, cache_from=(origin,))
    assert second == first
    assert two.ran() == []
    assert two.read(second, "/stamp") == one.read(first, "/stamp") != b""
    # What only the stage has is not fetched, in neither mode: nobody looks into it.
    assert len(two.imported_layers) == 4
    # From now on it is this machine's own memory, but for what it never needed.
    again = two.build(context)
    assert two.read(again, "/stamp") == one.read(first, "/stamp")


def test_a_change_runs_what_it_touches_and_fetches_what_that_looks_into(machine, context, double, tmp_path):
    to, origin = places("local", double, tmp_path)
    one, two = machine("one"), machine("two")
    first = one.build(context, cache_to=(f"{to},mode=max",))
    (context / "code.txt").write_text("changed\n")
    second = two.build(context, cache_from=(origin,))
    assert two.ran() == ["COPY code.txt /code/"]
    assert two.read(second, "/model") == one.read(first, "/model")
    assert two.read(second, "/code/code.txt") == b"changed\n"


def test_min_leaves_out_layers_that_the_image_has_not_and_their_steps_run_when_they_are_needed(
    machine, context, double, tmp_path
):
    to, origin = places("local", double, tmp_path)
    one, two, three = machine("one"), machine("two"), machine("three")
    first = one.build(context, cache_to=(to,))
    with (context / "Dockerfile").open("a") as file:
        file.write("COPY --from=train /in/data.txt /data\n")
    second = two.build(context, cache_from=(origin,))
    assert sorted(two.ran()) == [
        "COPY --from=train /in/data.txt /data",
        "COPY --from=train /model /model",
        "COPY code.txt /code/",
        "COPY data.txt /in/",
        "RUN read id </proc/sys/kernel/random/uuid; echo $id >/model; echo $id >/log",
    ]
    assert two.read(second, "/stamp") == one.read(first, "/stamp")
    assert two.read(second, "/model") != one.read(first, "/model")
    assert two.notices == []
    assert three.build(context, cache_from=(origin,)).image_id != second.image_id


def test_an_image_carries_its_cache(machine, context, double):
    name = f"{double.address}/team/app:1"
    one, two = machine("one"), machine("two")
    plain = one.build(context)
    first = one.build(context, name, cache_to=("type=inline",))
    assert first.image_id != plain.image_id
    assert one.build(context, name, build_args={"BUILDKIT_INLINE_CACHE": "1"}).image_id == first.image_id
    push(one.engine, name)
    second = two.build(context, cache_from=(name,))
    assert two.ran() == []
    assert second.image_id == plain.image_id
    assert two.read(second, "/stamp") == one.read(first, "/stamp")
    # An image that is built from it carries nothing of it.
    (context / "Dockerfile").write_text(f"FROM {name}\nCOPY code.txt /\n")
    child = one.build(context)
    assert b"tiffin.cache" not in one.engine.blobs.path(child.image_id).read_bytes()


def test_an_image_in_the_store_is_a_cache_when_the_registry_has_none(machine, context, double):
    one, two = machine("one"), machine("two")
    name = f"{double.address}/team/app:1"
    one.build(context, name, cache_to=("type=inline",))
    with one.engine.db.transaction() as connection:
        connection.execute("DELETE FROM cache")
    one.build(context, cache_from=(name,))
    assert one.ran() == []
    two.build(context, cache_from=(name,))
    assert len(two.ran()) == 7
    assert "is not used" in two.notices[0]


def corrupt_blobs(place):
    for blob in (place / "blobs/sha256").iterdir():
        data = blob.read_bytes()
        if not data.startswith(b"{"):
            blob.write_bytes(data[:-20] + b"x" * 20)


def drop_layers(place):
    for blob in (place / "blobs/sha256").iterdir():
        if not blob.read_bytes().startswith(b"{"):
            blob.unlink()


def swap_records(place):
    """Every record speaks of the layer of another one, under its true name: nobody can find that out."""
    config = next(b for b in (place / "blobs/sha256").iterdir() if b.read_bytes().startswith(b'{"version'))
    document = json.loads(config.read_bytes())
    document["layers"] = document["layers"][::-1]
    rewrite(place, config, document)


def rewrite(place, config, document, **more):
    """Put the document into the layout as if it had been there from the beginning."""
    blobs = place / "blobs/sha256"
    index = json.loads((place / "index.json").read_text())
    manifest_path = blobs / index["manifests"][0]["digest"].partition(":")[2]
    manifest = json.loads(manifest_path.read_bytes())

    def put(value):
        data = json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    config.unlink()
    manifest["config"] |= put(document)
    manifest |= more
    index["manifests"][0] |= put(manifest)
    (place / "index.json").write_text(json.dumps(index))


def plant(place, tar):
    """Let every record speak of the layer `tar`, which is what its digests say."""
    config = next(b for b in (place / "blobs/sha256").iterdir() if b.read_bytes().startswith(b'{"version'))
    document = json.loads(config.read_bytes())
    digest = hashlib.sha256(tar).hexdigest()
    (place / "blobs/sha256" / digest).write_bytes(tar)
    document["layers"] = [f"sha256:{digest}"]
    for record in document["records"]:
        record["layer"] = f"sha256:{digest}"
    plain = "application/vnd.oci.image.layer.v1.tar"
    layer = {"mediaType": plain, "digest": f"sha256:{digest}", "size": len(tar)}
    rewrite(place, config, document, layers=[layer])


def archive(name, data=b"evil"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.uname = len(data), "somebody"
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def plant_a_way_out(place):
    plant(place, archive("../../../../../../evil"))


def plant_what_we_never_write(place):
    plant(place, archive("bin/sh"))


def plant_noise(place):
    plant(place, b"noise" * 1000)


def empty_folder(place):
    shutil.rmtree(place)


def garbage(place):
    (place / "index.json").write_text("{" * 1000)


def huge(place):
    (place / "index.json").write_bytes(b" " * (5 << 20))


DAMAGE = [
    *(corrupt_blobs, drop_layers, swap_records, empty_folder, garbage, huge),
    *(plant_a_way_out, plant_what_we_never_write, plant_noise),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_cache_that_lies_is_a_miss_and_a_notice(machine, context, double, tmp_path, damage):
    to, origin = places("local", double, tmp_path)
    one, two = machine("one"), machine("two")
    first = one.build(context, cache_to=(f"{to},mode=max",))
    damage(tmp_path / "kept")
    second = two.build(context, cache_from=(origin,))
    assert "RUN read id </proc/sys/kernel/random/uuid; echo $id >/stamp" in two.ran()
    assert any("is not used" in notice for notice in two.notices)
    assert two.read(second, "/code/code.txt") == b"code\n"
    assert two.read(second, "/stamp") != one.read(first, "/stamp")
    two.build(context)
    assert two.ran() == []


def test_a_folder_holds_what_its_tags_need_and_no_more(machine, context, double, tmp_path):
    to, origin = places("local", double, tmp_path)
    one, two = machine("one"), machine("two")
    one.build(context, cache_to=(f"{to},tag=main,mode=max", f"{to},mode=max"))
    blobs = tmp_path / "kept/blobs/sha256"
    before = set(blobs.iterdir())
    (context / "code.txt").write_text("changed\n")
    one.build(context, cache_to=(f"{to},mode=max",))
    both = set(blobs.iterdir())
    assert before < both
    one.build(context, cache_to=(f"{to},tag=main,mode=max",))
    assert len(set(blobs.iterdir())) == len(before)
    two.build(context, cache_from=(f"{origin},tag=main",))
    assert two.ran() == []


def test_what_the_registry_has_is_not_sent_again(machine, context, double, tmp_path):
    to, _ = places("registry", double, tmp_path)
    one = machine("one")
    one.build(context, cache_to=(f"{to},mode=max",))
    double.seen.clear()
    one.build(context, cache_to=(f"{to},mode=max",))
    assert double.requests("POST") == []


def test_what_was_never_fetched_is_passed_on(machine, context, double, tmp_path):
    to, origin = places("local", double, tmp_path)
    one, two, three = machine("one"), machine("two"), machine("three")
    one.build(context, cache_to=(f"{to},mode=max",))
    two.build(context, cache_from=(origin,), cache_to=(f"type=local,dest={tmp_path}/second,mode=max",))
    three.build(context, target="train", cache_from=(f"type=local,src={tmp_path}/second",))
    assert three.ran() == []


def test_a_cache_that_cannot_be_written_fails_the_build_unless_told_otherwise(machine, context, tmp_path):
    one = machine("one")
    (tmp_path / "file").write_text("")
    to = f"type=local,dest={tmp_path}/file"
    with pytest.raises((TiffinError, OSError)):
        one.build(context, "app", cache_to=(to,))
    one.build(context, "app", cache_to=(f"{to},ignore-error=true",))
    assert any("the cache was not written" in notice for notice in one.notices)


def test_no_cache_does_not_look_there(machine, context, double, tmp_path):
    to, origin = places("local", double, tmp_path)
    one, two = machine("one"), machine("two")
    one.build(context, cache_to=(f"{to},mode=max",))
    two.build(context, cache_from=(origin,), no_cache=True)
    assert len(two.ran()) == 7


def test_stages_that_are_built_anew(machine, context):
    one = machine("one")
    first = one.build(context)
    second = one.build(context, no_cache_filter=("TRAIN", "trainee"))
    assert one.notices == ["--no-cache-filter trainee: there is no such stage; did you mean train?"]
    assert "COPY data.txt /in/" in one.ran()
    assert "RUN echo nothing" not in one.ran()
    assert one.read(second, "/stamp") == one.read(first, "/stamp")
    assert one.read(second, "/model") != one.read(first, "/model")
    one.build(context)
    assert one.ran() == []


def test_pull_asks_for_a_newer_base(machine, context, double):
    one, two = machine("one"), machine("two")
    name = f"{double.address}/team/base:1"
    child = "FROM {}\nRUN read id </proc/sys/kernel/random/uuid; echo $id >/stamp\n"
    (context / "child").write_text(child.format(name))

    def publish(text):
        (context / "data.txt").write_text(text)
        one.build(context, name, target="train")
        push(one.engine, name)

    publish("old\n")
    first = two.build(context, dockerfile=context / "child")
    publish("new\n")
    two.build(context, dockerfile=context / "child")
    assert two.ran() == []
    second = two.build(context, dockerfile=context / "child", pull=True)
    assert (two.read(first, "/in/data.txt"), two.read(second, "/in/data.txt")) == (b"old\n", b"new\n")
    assert two.read(second, "/stamp") != two.read(first, "/stamp")
    two.build(context, dockerfile=context / "child", pull=True)
    assert two.ran() == []
    double.manifests.clear()
    with pytest.raises(TiffinError, match="stays as it is in the store"):
        two.build(context, dockerfile=context / "child", pull=True)


@pytest.mark.parametrize("compression", ["zstd", "uncompressed", "gzip,compression-level=3"])
def test_layers_travel_in_any_form(machine, context, double, tmp_path, compression):
    to, origin = places("local", double, tmp_path)
    one, two = machine("one"), machine("two")
    first = one.build(context, cache_to=(f"{to},compression={compression}",))
    assert two.build(context, cache_from=(origin,)) == first
    assert two.ran() == []


def with_mounts(context):
    (context / "Dockerfile").write_text(
        "FROM scratch AS base\nCOPY busybox /bin/sh\n"
        "FROM base\nCOPY code.txt /\n"
        "RUN --mount=type=cache,id=pip,target=/cache,mode=0750,uid=33"
        " --mount=type=cache,id=own,target=/own,sharing=private"
        ' read old </cache/wheel; echo "$old" >/found; echo kept >/cache/wheel; : >/own/f\n'
    )


def test_cache_mounts_travel_when_asked_for(machine, context, double, tmp_path):
    to, origin = places("registry", double, tmp_path)
    with_mounts(context)
    one, two, three, four = (machine(name) for name in ("one", "two", "three", "four"))
    first = one.build(context, cache_to=(f"{to},mounts=true",))
    assert one.read(first, "/found") == b"\n"
    (context / "code.txt").write_text("changed\n")
    second = two.build(context, cache_from=(origin,))
    assert two.read(second, "/found") == b"kept\n"
    (mount,) = [each for each in (tmp_path / "two/cache/mounts").iterdir() if (each / "data/wheel").exists()]
    status = (mount / "data").stat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o750, 33)
    assert {folder.id for folder in cache_mounts(two)} == {"pip", "own"}
    # What is here already stays as it is.
    (context / "code.txt").write_text("changed again\n")
    (mount / "data/wheel").write_text("mine\n")
    assert two.read(two.build(context, cache_from=(origin,)), "/found") == b"mine\n"
    # And it can be left out, on either side.
    third = three.build(context, cache_from=(f"{origin},mounts=false",), cache_to=(f"{to},mode=max",))
    assert three.read(third, "/found") == b"\n"
    (context / "code.txt").write_text("changed once more\n")
    assert four.read(four.build(context, cache_from=(origin,)), "/found") == b"\n"


def cache_mounts(machine):
    from tiffin.build.ops.cachemounts import CacheMounts

    return CacheMounts(machine.engine.layers, 0).all()


def test_a_cache_mount_that_is_in_use_does_not_hold_up_the_export(machine, context, tmp_path):
    from tiffin.linux.files import lock

    with_mounts(context)
    one = machine("one")
    one.build(context)
    place = next(each for each in (tmp_path / "one/cache/mounts").iterdir() if (each / "data/wheel").exists())
    with lock(place.with_name(f"{place.name}.lock"), exclusive=False):
        one.build(context, cache_to=(f"type=local,dest={tmp_path}/kept,mounts=true",))
    assert one.notices == ["the cache mount pip is in use or gone, and is not exported"]


def test_a_cache_mount_that_was_damaged_on_the_way_begins_empty(machine, context, double, tmp_path):
    to, origin = places("local", double, tmp_path)
    with_mounts(context)
    one, two = machine("one"), machine("two")
    one.build(context, cache_to=(f"{to},mounts=true",))
    corrupt_blobs(tmp_path / "kept")
    second = two.build(context, cache_from=(origin,))
    assert two.read(second, "/found") == b"\n"
    assert {folder.id for folder in cache_mounts(two)} == {"pip", "own"}


def test_what_one_rung_wrote_another_one_uses(tiffin, machine, context, folder):
    """From the command on each rung to this process, which is root, and back: steps and cache mounts."""
    with_mounts(context)
    shutil.copytree(context, folder / "context")

    def build_there(*options, **env):
        words = ("build", "-q", "--network", "none", *options, folder / "context")
        return tiffin(*words, env=env).stdout.strip()

    there = build_there("--cache-to", f"type=local,dest={folder}/kept,mode=max,mounts=true")
    two, source = machine("two"), f"type=local,src={folder}/kept"
    assert two.build(context, cache_from=(source,)).image_id == there
    assert two.ran() == []
    for place in (context, folder / "context"):
        (place / "code.txt").write_text("changed\n")
    back = folder / "back"
    here = two.build(context, cache_from=(source,), cache_to=(f"type=local,dest={back},mode=max",))
    assert two.read(here, "/found") == b"kept\n"
    (mount,) = two.engine.home.cache.glob("mounts/*/data/wheel")
    assert (mount.parent.stat().st_uid, mount.stat().st_uid) == (33, 0)
    other = {"TIFFIN_HOME": f"{folder}/other"}
    assert build_there("--cache-from", f"type=local,src={back}", **other) == here.image_id
