"""Mounts of real containers, as root: what they see, who owns it, and what is left of it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.suites import busybox

from tiffin.container.mountoptions import parse_mount
from tiffin.engine import containers, images, volumes
from tiffin.engine.building.results import store_image
from tiffin.engine.collection import collect
from tiffin.engine.engine import Engine
from tiffin.engine.lookup import need_name
from tiffin.engine.request import RunRequest
from tiffin.engine.settings import Settings
from tiffin.errors import ConflictError, InvalidError, NotFoundError, TiffinError
from tiffin.events import Notice
from tiffin.oci.config import ContainerConfig, ImageConfig, RootFS
from tiffin.oci.reference import Reference
from tiffin.store.home import Home

pytestmark = pytest.mark.live

APPLETS = ("sh", "cat", "ls", "stat", "touch", "mkdir", "ln", "sleep", "grep", "readlink")


def _layer(engine, fill):
    with engine.layers.workspace() as place:
        tree = place / "tree"
        tree.mkdir()
        fill(tree)
        info = engine.layers.describe(tree)
        engine.layers.commit(tree, info)
    return info.diff_id


def _system(tree):
    (tree / "etc").mkdir()
    busybox.install(tree / "bin", APPLETS)
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n")


def _models(tree):
    place = tree / "models/v1"
    place.mkdir(parents=True)
    (place / "weights").write_text("red\n")
    (place / "same").hardlink_to(place / "weights")
    (place / "link").symlink_to("/models/v1/weights")
    os.chown(place / "weights", 1000, 1001)
    os.chown(place / "link", 7, 8, follow_symlinks=False)
    os.setxattr(place / "weights", "user.grape", b"syrah")
    os.chown(place, 5, 6)
    place.chmod(0o2750)
    (tree / "current").symlink_to("/models/v1")
    (tree / "out").symlink_to("../../../../etc")
    (tree / "kernel").symlink_to("/proc/sys")


def _image(engine, name, layers, **config):
    image = ImageConfig(
        engine.platform.architecture,
        "linux",
        config=ContainerConfig(**config),
        rootfs=RootFS(diff_ids=layers),
    )
    descriptor, image_id = store_image(engine, image)
    engine.images.add(descriptor, image_id)
    engine.tags.set(Reference.parse(name).tagged(), descriptor)


@pytest.fixture(scope="module")
def notices():
    return []


@pytest.fixture(scope="module")
def engine(tmp_path_factory, notices):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not busybox.PROGRAM.exists():
        pytest.skip("needs busybox-static")
    base = tmp_path_factory.mktemp("mounting")
    settings = Settings.load({**os.environ, "TIFFIN_HOME": str(base / "home")})
    settings = settings._replace(home=Home(base / "home", base / "run"))
    with Engine.open(settings, emit=notices.append) as opened:
        layers = _layer(opened, _system), _layer(opened, _models)
        _image(opened, "cellar", layers)
        _image(opened, "barrel", layers[1:])
        _image(opened, "vat", layers, volumes={"/vat": {}})
        yield opened
        for summary in containers.ps(opened, all_=True):
            containers.rm(opened, [summary.id], force=True)


def request(script, *, image="cellar", mount=(), **more):
    return RunRequest(
        image, ("sh", "-c", script), network="none", mounts=tuple(map(parse_mount, mount)), **more
    )


@pytest.fixture
def show(engine, capfd):
    """Run a script in a container that is removed; return what it printed."""

    def run(script, *mount, **more):
        containers.run(engine, request(script, mount=mount, rm=True, **more))
        return capfd.readouterr().out

    return run


@pytest.fixture
def keep(engine):
    """Start a container that sleeps; return its id. It is removed in the end."""
    made: list[str] = []

    def run(**more):
        containers.run(engine, request("sleep 60", detach=True, **more), announce=made.append)
        return made[-1]

    yield run
    for name in made:
        if any(one.id == name for one in containers.ps(engine, all_=True)):
            containers.rm(engine, [name], force=True, volumes=True)


def names(engine):
    return {volume.name for volume in volumes.list_volumes(engine)}


# --- images ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", ["cellar", "barrel"])
def test_an_image_is_shown_read_only_with_its_owners(show, image):
    script = "cat /i/models/v1/weights; stat -c '%u:%g' /i/models/v1/weights; touch /i/x || echo refused"
    assert show(script, f"type=image,source={image},target=/i") == "red\n1000:1001\nrefused\n"


@pytest.mark.parametrize("image", ["cellar", "barrel"])
@pytest.mark.parametrize("subpath", ["models/v1", "current"])
def test_a_part_of_an_image(show, image, subpath):
    seen = show(
        "ls /i; touch /i/x || echo refused", f"type=image,source={image},target=/i,image-subpath={subpath}"
    )
    assert seen == "link\nsame\nweights\nrefused\n"


def test_a_file_of_an_image(show):
    assert show("cat /w", "type=image,source=cellar,target=/w,image-subpath=models/v1/weights") == "red\n"


def test_a_part_that_an_image_has_not(engine):
    mount = "type=image,source=cellar,target=/w,image-subpath=models/v2"
    with pytest.raises(NotFoundError, match="there is no models/v2 in the image cellar"):
        containers.run(engine, request("true", mount=(mount,), rm=True))


def test_an_image_that_is_mounted_stays_though_it_has_no_name(engine, keep):
    layers = {}
    for name in ("gone", "lost"):
        layers[name] = _layer(engine, lambda tree, name=name: (tree / name).write_text(name))
        _image(engine, name, (layers[name],))
    user = keep(mount=("type=image,source=gone,target=/i",))
    with pytest.raises(ConflictError, match="the image gone is used by the container"):
        images.remove(engine, ["gone"], force=True)
    for name in layers:  # as if another image had been given the name
        engine.images.remove(need_name(engine, name).descriptor.digest)
        engine.tags.remove(Reference.parse(name).tagged())
    collect(engine)
    assert engine.layers.path(layers["gone"]).is_dir()
    assert not engine.layers.path(layers["lost"]).exists()
    containers.stop(engine, [user], timeout=0)
    containers.start(engine, [user])
    [found] = containers.inspect(engine, [user])
    assert Path(f"/proc/{found['State']['Pid']}/root/i/gone").read_text() == "gone"
    assert found["Mounts"][0]["Name"] == "gone"


# --- volumes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/models/v1", "/current"])
def test_a_volume_is_seeded_with_links_owners_modes_and_attributes(engine, show, target):
    show("true", f"source=seeded{target[1]},target={target}")
    [place] = [one.mountpoint for one in volumes.list_volumes(engine) if one.name == f"seeded{target[1]}"]
    status = place.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (5, 6, 0o2750)
    assert os.readlink(place / "link") == "/models/v1/weights"
    assert (place / "link").lstat().st_uid == 7
    weights = (place / "weights").stat()
    assert (weights.st_uid, weights.st_gid) == (1000, 1001)
    assert weights.st_ino == (place / "same").stat().st_ino
    assert os.getxattr(place / "weights", "user.grape") == b"syrah"


def test_who_was_killed_while_it_filled_a_volume_has_left_no_half(engine, show):
    volumes.create(engine, "half")
    [place] = [one.mountpoint for one in volumes.list_volumes(engine) if one.name == "half"]
    (place / "top").write_text("half")
    (place / "torn").mkdir()
    (place / "torn/half").write_text("wei")
    (place.parent / "filling").write_text("begun")
    assert show("ls /models/v1", "source=half,target=/models/v1") == "link\nsame\nweights\n"
    # What a container has had is never taken for a half.
    (place.parent / "filling").write_text("begun")
    show("touch /v/mine", "source=half,target=/v,volume-nocopy")
    assert show("ls /models/v1", "source=half,target=/models/v1") == "link\nmine\nsame\nweights\n"


def test_several_fill_a_volume_at_the_same_time(engine):
    home = str(engine.home.root)
    script = "ls /models/v1 | grep -c ."
    words = (sys.executable, "-m", "tiffin", "run", "--rm", "--network=none", "-v", "race:/models/v1")
    started = [
        subprocess.Popen(
            [*words, "cellar", "sh", "-c", script],
            env={**os.environ, "TIFFIN_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert [process.communicate()[0] for process in started] == ["3\n"] * 4


def test_a_volume_is_not_seeded_with_nocopy(show):
    assert show("ls /models/v1", "source=bare,target=/models/v1,volume-nocopy") == ""
    assert show("ls /models/v1", volumes=("bare:/models/v1:nocopy",)) == ""
    assert show("ls /models/v1", volumes=("bare:/models/v1",)) == "link\nsame\nweights\n"


def test_a_part_of_a_volume_and_no_way_out_of_it(engine, show, tmp_path):
    (tmp_path / "secret").write_text("of the host")
    script = f"mkdir -p /v/a/b; touch /v/a/f; ln -s a /v/rel; ln -s {tmp_path} /v/evil; ln -s .. /v/up"
    show(script, "source=parts,target=/v")
    assert show("ls /p", "source=parts,target=/p,volume-subpath=a") == "b\nf\n"
    assert show("ls /p; touch /p/x || echo refused", "source=parts,target=/p,volume-subpath=rel,ro") == (
        "b\nf\nrefused\n"
    )
    assert "secret" not in show("ls /p", "source=parts,target=/p,volume-subpath=up/up")
    for path in ("evil", "evil/secret", "nothing"):
        with pytest.raises(NotFoundError, match=f"there is no {path} in "):
            show("ls /p", f"source=parts,target=/p,volume-subpath={path}")


def test_labels_and_options_of_a_volume_that_a_mount_makes(engine, show, tmp_path):
    (tmp_path / "f").write_text("behind\n")
    options = f'volume-label=a=b,volume-opt=type=none,"volume-opt=o=bind,ro",volume-opt=device={tmp_path}'
    assert show("cat /v/f; touch /v/x || echo refused", f"source=behind,target=/v,{options}") == (
        "behind\nrefused\n"
    )
    [document] = volumes.inspect(engine, ["behind"])
    assert document["Labels"] == {"a": "b"}
    assert document["Options"] == {"type": "none", "o": "bind,ro", "device": str(tmp_path)}
    volumes.remove(engine, ["behind"])
    assert (tmp_path / "f").exists()


def test_a_volume_in_memory(engine, show):
    volumes.create(
        engine, "quick", options=(("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=64k,mode=700"))
    )
    seen = show("grep ' /q ' /proc/mounts; stat -c %a /q; ls /q; touch /q/x", volumes=("quick:/q",))
    assert "size=64k" in seen
    assert seen.endswith("700\n")
    assert show("touch /q/x || echo refused; ls /q", volumes=("quick:/q:ro",)) == "refused\n"


# --- volumes of other containers ------------------------------------------------------------------------


def test_mounts_of_another_container(engine, keep, show, tmp_path):
    (tmp_path / "f").write_text("host")
    first = keep(image="vat", volumes=("named:/named", f"{tmp_path}:/host:ro"), tmpfs=("/memory",))
    script = (
        "ls / | grep -c memory; touch /vat/x /named/x && ls /vat /named /host; touch /host/x || echo refused"
    )
    assert show(script, volumes_from=(first,)) == "0\n/host:\nf\n\n/named:\nx\n\n/vat:\nx\nrefused\n"
    assert show("touch /vat/y || echo refused; ls /vat", volumes_from=(f"{first}:ro",)) == "refused\nx\n"
    # What is asked for itself comes before what others have.
    assert show("ls /vat", volumes_from=(first,), tmpfs=("/vat",)) == ""
    [document] = containers.inspect(engine, [first])
    second = keep(volumes_from=(f"{first}:rw",))
    [other] = containers.inspect(engine, [second])
    assert other["HostConfig"]["VolumesFrom"] == [f"{first}:rw"]
    assert [m["Destination"] for m in other["Mounts"]] == ["/named", "/host", "/vat"]
    assert document["HostConfig"]["VolumesFrom"] is None
    with pytest.raises(InvalidError, match="unknown option 'rx'"):
        show("true", volumes_from=(f"{first}:rx",))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_anonymous_volume_goes_with_the_last_container_that_has_it(engine, keep, order):
    before = names(engine)
    first = keep(image="vat")
    both = first, keep(volumes_from=(first,))
    assert len(names(engine)) == len(before) + 1
    containers.rm(engine, [both[order[0]]], force=True, volumes=True)
    assert len(names(engine)) == len(before) + 1
    containers.rm(engine, [both[order[1]]], force=True, volumes=True)
    assert names(engine) == before


def test_a_container_that_fails_lets_go_of_what_it_would_have_shared(engine, keep):
    before = names(engine)
    first = keep(image="vat")
    with pytest.raises(TiffinError):
        containers.run(engine, request("true", volumes_from=(first,), user="nobody-of-that-name"))
    containers.rm(engine, [first], force=True, volumes=True)
    assert names(engine) == before


def test_a_container_that_runs_detached_and_is_removed_spares_what_others_have(engine, keep):
    before = names(engine)
    first = keep(image="vat", rm=True)
    second = keep(volumes_from=(first,))
    directory = engine.home.containers / first
    containers.stop(engine, [first], timeout=0)
    end = time.monotonic() + 60
    while directory.exists() and time.monotonic() < end:
        time.sleep(0.01)  # the supervisor takes the volumes first, and its container's directory then
    assert not directory.exists()
    assert len(names(engine)) == len(before) + 1
    containers.rm(engine, [second], force=True, volumes=True)


def test_a_volume_in_use_is_not_removed(engine, keep):
    name = keep(volumes=("busy:/v",))
    with pytest.raises(ConflictError, match="the volume busy is in use"):
        volumes.remove(engine, ["busy"])
    containers.rm(engine, [name], force=True)
    volumes.remove(engine, ["busy"])


# --- owners ---------------------------------------------------------------------------------------------


def test_what_is_mounted_is_given_to_the_user(engine, show, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "f").touch()
    (tmp_path / "link").symlink_to("/etc/hostname")
    before = Path("/etc").stat().st_uid, Path("/etc/hostname").stat().st_uid
    script = "touch /x/inner/new && stat -c %u /x /x/inner /x/inner/f /x/link /x/inner/new"
    assert show(script, volumes=(f"{tmp_path}:/x:U",), user="app") == "1000\n" * 5
    assert {path.lstat().st_uid for path in (tmp_path, inner, inner / "f", tmp_path / "link")} == {1000}
    assert (Path("/etc").stat().st_uid, Path("/etc/hostname").stat().st_uid) == before
    assert show("stat -c %u /v", "source=given,target=/v,U=true", user="app") == "1000\n"


def test_a_file_is_given_and_what_is_mounted_in_a_folder_is_not(engine, show, tmp_path):
    (tmp_path / "file").touch()
    assert show("stat -c %u /f", volumes=(f"{tmp_path}/file:/f:U",), user="app") == "1000\n"
    (tmp_path / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "below"], check=True)
    try:
        seen = show("stat -c %u /x /x/below", volumes=(f"{tmp_path}:/x:U",), user="app")
    finally:
        subprocess.run(["umount", tmp_path / "below"], check=True)
    assert seen == "1000\n0\n"


def test_what_the_machine_needs_is_not_given_away(engine):
    with pytest.raises(InvalidError, match="/etc cannot be given to the container's user"):
        containers.run(engine, request("true", volumes=("/etc:/x:U",), user="app"))


def test_labels_of_selinux_are_told_to_have_no_effect(engine, show, notices, tmp_path):
    notices.clear()
    show("true", volumes=(f"{tmp_path}:/x:Z",))
    assert [one.message for one in notices if isinstance(one, Notice)] == [
        "the option z has no effect: containers of tiffin are not confined by labels of SELinux"
    ]


# --- what is mounted below, and later -------------------------------------------------------------------

SCRIPT = r"""
set -e
run() { "$TIFFIN" run --rm --network none "$@" 2>&1 || true; }
place=$PLACE/place; mkdir "$place"
mount -t tmpfs none "$place"; mount --make-private "$place"
run -v "$place:/x:rslave" cellar true
run --mount "type=bind,src=$place,dst=/x,bind-propagation=shared" cellar true
mkdir "$place/below" "$place/later"
mount -t tmpfs none "$place/below"; touch "$place/below/f"
run --mount "type=bind,src=$place,dst=/x,bind-recursive=disabled" cellar ls /x/below
run --mount "type=bind,src=$place,dst=/x,ro,bind-recursive=writable" cellar \
    sh -c 'touch /x/below/w && echo writable; touch /x/w || echo refused'
run -v "$place:/x:ro" cellar sh -c 'touch /x/below/w2 || touch /x/w || echo refused'
mount --make-shared "$place"
for how in rprivate rslave rshared; do
    id=$("$TIFFIN" run -d --privileged --network none -v "$place:/x:$how" cellar sleep 60)
    mount -t tmpfs none "$place/later"; touch "$place/later/$how"
    "$TIFFIN" exec "$id" sh -c 'echo "inside: $(ls /x/later)"; busybox mount -t tmpfs none /x/below'
    umount "$place/later"
    umount "$place/below"
    if mountpoint -q "$place/below"; then echo "outside: seen"; umount "$place/below"; fi
    "$TIFFIN" rm -f "$id" >/dev/null
    mount -t tmpfs none "$place/below"
done
"""


def test_propagation_and_what_is_mounted_below(engine, tmp_path):
    """In a mount namespace of its own, so that nothing of it is seen elsewhere."""
    program = tmp_path / "tiffin"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tiffin "$@"\n')
    program.chmod(0o755)
    env = {
        **os.environ,
        "TIFFIN": str(program),
        "PLACE": str(tmp_path),
        "TIFFIN_HOME": str(engine.home.root),
    }
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT],
        env=env,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    place = f"{tmp_path}/place"
    lines = [line for line in done.stdout.splitlines() if "touch:" not in line]
    assert done.returncode == 0, done.stderr
    assert lines == [
        f"error: path {place} is mounted on {place} but it is not a shared or slave mount",
        f"hint: make it one: mount --make-shared {place}",
        f"error: path {place} is mounted on {place} but it is not a shared mount",
        f"hint: make it one: mount --make-shared {place}",
        "writable",
        "refused",
        "refused",
        "inside: ",
        "inside: rslave",
        "inside: rshared",
        "outside: seen",
    ]


def test_a_tree_is_mounted_though_something_below_cannot_map_owners(show):
    """/proc has no idmapped mounts: its owners are nobody's, and what is around it has its own."""
    seen = show("stat -c %u /host /host/proc/1; touch /host/x || echo refused", volumes=("/:/host:ro",))
    assert seen == "0\n65534\nrefused\n"


def test_a_source_that_cannot_map_owners_is_refused(engine):
    with pytest.raises(TiffinError, match="/proc cannot be mounted in a container") as caught:
        containers.run(engine, request("true", volumes=("/proc:/x",), rm=True))
    assert caught.value.code == "no-idmapped-mounts"
