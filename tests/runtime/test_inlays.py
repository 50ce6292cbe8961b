"""What is made for one container: files in memory, and trees of layers besides the root."""

import json

import pytest

from tiffin.linux.namespace import IdMap
from tiffin.oci.config import ContainerConfig
from tiffin.oci.runtimespec import Mount
from tiffin.runtime import inlays, model
from tiffin.runtime.model import LayersMount, MemoryFile, Rootfs, Source, UserMap
from tiffin.runtime.plan import make_plan, mount_targets
from tiffin.runtime.spec import Options, Place, make_spec
from tiffin.runtime.users import User

IDS = (IdMap(0, 100000, 65536),)
PLACE = Place("x86_64", (6, 1), 8 << 30, UserMap(IDS, IDS), IDS)
VALUE = b"rosebud"


def plan(*extra, mounts=()):
    spec = make_spec(ContainerConfig(cmd=("sh",)), User(0, 0), Options(mounts=mounts), PLACE)
    return make_plan(spec, Rootfs(("/l",), "/w/upper", "/w/work"), machine="x86_64", extra=extra)


def test_files_and_layers_are_prepared_on_the_host_and_attached_inside():
    made = plan(MemoryFile("/run/secrets/x", VALUE), LayersMount("/a", ("/1", "/2"), "/w2"))
    names = [type(step).__name__ for step in made.steps]
    pivot = names.index("Pivot")
    assert (
        max(names.index("PrepareFile"), names.index("PrepareOverlay")) < pivot < names.index("AttachPrepared")
    )
    overlay = next(step for step in made.steps if isinstance(step, inlays.PrepareOverlay))
    used = [made.sources[index] for index in (*overlay.lowers, overlay.upper)]
    assert used == [Source("/1", idmap=True), Source("/2", idmap=True), Source("/w2", idmap=True)]
    attached = [step for step in made.steps if isinstance(step, inlays.AttachPrepared)]
    assert attached == [
        inlays.AttachPrepared("/a", readonly=False),
        inlays.AttachPrepared("/run/secrets/x", readonly=True),
    ]
    assert {"/a", "/run/secrets/x"} <= set(mount_targets(made))


def test_they_come_after_the_mounts_that_they_lie_in():
    made = plan(MemoryFile("/t/s/file", VALUE), mounts=(Mount("/t/s", "tmpfs", "tmpfs"),))
    targets = [getattr(step, "target", "") for step in made.steps if type(step).__name__ != "PrepareFile"]
    assert targets.index("/t/s") < targets.index("/t/s/file")


def test_data_in_memory_is_in_the_packed_plan_only():
    made = plan(MemoryFile("/s", VALUE))
    assert model.unpack(model.pack(made)) == made
    assert "rosebud" not in json.dumps(model.document(made))
    assert "rosebud" not in " ".join(made.describe())


@pytest.fixture
def start(box):
    def run(script, *extra, by_path=False, **options):
        made = box.plan("sh", "-c", script, extra=extra, **options)
        if by_path:
            steps = (
                step._replace(by_path=True) if isinstance(step, inlays.PrepareOverlay) else step
                for step in made.steps
            )
            made = made._replace(steps=tuple(steps))
        child, read = box.start(made)
        output = box.drain(read)
        assert child.wait() == 0, output
        return output

    return run


@pytest.mark.live
def test_a_file_in_memory(start):
    script = (
        "cat /k/key; stat -c ' %u:%g %a' /k/key; (echo x > /k/key) 2>&1 | grep -c Read-only;"
        "mount | grep -c /k/key"
    )
    assert start(script, MemoryFile("/k/key", VALUE, 0o440, 5, 7)) == "rosebud 5:7 440\n1\n1\n"


@pytest.mark.live
def test_nothing_more_is_mounted_for_it(start):
    assert start("mount | wc -l") == start(
        "umount /key; mount | wc -l", MemoryFile("/key", VALUE), cap_add=("SYS_ADMIN",)
    )


@pytest.mark.live
@pytest.mark.parametrize("by_path", [False, True])
def test_a_tree_of_layers(start, tmp_path, by_path):
    """The upper one wins, and owners are those on disk."""
    for name in ("top", "low", "place/upper", "place/work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "top/f").write_text("top\n")
    (tmp_path / "low/f").write_text("low\n")
    (tmp_path / "low/g").write_text("g\n")
    layers = str(tmp_path / "top"), str(tmp_path / "low")
    shown = "cat /m/f /m/g; stat -c %u /m/g;"
    only_read = shown + "(echo x > /m/g) 2>&1 | grep -c Read-only"
    assert start(only_read, LayersMount("/m", layers), by_path=by_path) == "top\ng\n0\n1\n"
    writes = shown + "echo new > /m/g; cat /m/g; rm /m/f; cat /m/f 2>/dev/null || echo gone"
    place = str(tmp_path / "place")
    assert start(writes, LayersMount("/m", layers, place), by_path=by_path) == "top\ng\n0\nnew\ngone\n"
    assert (tmp_path / "low/g").read_text() == "g\n"
    assert (tmp_path / "top/f").exists()
