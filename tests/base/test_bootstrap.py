"""The whole way on an archive in miniature: what is made, and what is refused."""

import hashlib
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from tiffin.base.aptconf import AptConfig
from tiffin.base.bootstrap import bootstrap
from tiffin.base.lock import decode_lock
from tiffin.base.request import BaseRequest
from tiffin.base.sources import Source
from tiffin.errors import (
    CorruptError,
    DeniedError,
    FailedError,
    InvalidError,
    NotFoundError,
    TiffinError,
    UnavailableError,
)
from tiffin.events import Notice, StepDone

NOW = 1_700_000_000
DROPPED = ("openssl", "debconf")


def no_container(_directory, _argv, _env):
    raise AssertionError("the flavour runtime runs nothing")


class Scene:
    """A machine with one archive, and the base that it makes."""

    def __init__(self, tin, machine, blobs, new_layer) -> None:
        self.tin = tin
        self.machine = machine
        self.blobs = blobs
        self.new_layer = new_layer
        self.now = NOW
        self.events = []
        self.run_in = no_container

    def make(self, **changes):
        settings = {"machine": self.machine, "now": self.now, "python": False, **changes}
        return bootstrap(
            BaseRequest(**settings),
            blobs=self.blobs,
            make_layer=self.new_layer,
            run_in=self.run_in,
            emit=self.events.append,
        )

    def notices(self):
        return [event.message for event in self.events if isinstance(event, Notice)]


@pytest.fixture
def scene(tin, serve, machine, blobs, new_layer):
    server = serve(tin.root)
    machine = machine._replace(sources=(Source(server.uri, "tinny", ("main",)),))
    scene = Scene(tin, machine, blobs, new_layer)
    scene.server = server
    return scene


def tree_of(result):
    """Everything in the layer as text: paths with kind, mode, time, and content or link."""
    root = os.fspath(result.layer.path)
    found = {}
    for directory, _, files in os.walk(root):
        for name in [directory, *(os.path.join(directory, file) for file in files)]:
            status = os.lstat(name)
            if os.path.islink(name):
                what = os.readlink(name)
            else:
                what = hashlib.sha256(Path(name).read_bytes()).hexdigest() if os.path.isfile(name) else ""
            found[name.removeprefix(root)] = (oct(status.st_mode), status.st_mtime_ns, what)
    return found


# -- what is made


def test_a_runtime_base(scene, kit):
    result = scene.make()
    root = result.layer.path
    assert (root / "bin").is_symlink()
    assert (root / "usr/bin/bash").read_bytes() == b"bash"
    assert (root / "usr/lib/libtin.so.1").is_file()
    assert (root / "etc/nsswitch.conf").read_bytes() == b"passwd: files\n"
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0:root:/root:/bin/bash\n")
    day = (kit.NOW - 30 * kit.DAY) // kit.DAY
    assert f"www-data:*:{day}:0:99999:7:::\n" in (root / "etc/shadow").read_text()
    assert (root / "etc/shadow").stat().st_mode & 0o777 == 0o640
    assert result.layer.owners.changes[str(root / "etc/shadow")] == (0, 42)
    assert result.layer.owners.changes[str(root / "var/mail")] == (0, 8)
    assert (root / "etc/shells").read_text() == "# shells\n/bin/sh\n/bin/dash\n/usr/bin/dash\n"
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert os.readlink(root / "var/run") == "/run"
    assert os.readlink(root / "usr/bin/which") == "/etc/alternatives/which"
    assert os.readlink(root / "etc/alternatives/which") == "/usr/bin/which.debianutils"
    assert not os.path.lexists(root / "etc/alternatives/which.1.gz")
    assert os.readlink(root / "etc/ssl/certs/0b9bc432.0") == "ISRG_Root_X2.pem"
    assert (root / "etc/ld.so.cache").is_file()
    assert not (root / "usr/share/doc/base-files/changelog.gz").exists()
    assert (root / "usr/share/doc/base-files/copyright").is_file()


def test_scanners_see_the_packages(scene):
    status = scene.make().layer.path / "var/lib/dpkg/status.d"
    names = sorted(path.name for path in status.iterdir() if not path.name.endswith(".md5sums"))
    assert "libtin" in names
    assert not set(DROPPED) & set(names)
    assert (status / "libtin").read_text().startswith("Package: libtin\nVersion: 2:1.5-1\n")
    assert "usr/share/doc/base-files/copyright" in (status / "base-files.md5sums").read_text()
    assert "changelog" not in (status / "base-files.md5sums").read_text()


def test_the_config_says_what_it_is(scene):
    result = scene.make()
    config = result.config
    assert config.config.cmd == ("bash",)
    assert config.config.env == (
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
    )
    labels = config.config.labels
    assert labels["tiffin.base.distribution"] == "tin"
    assert labels["tiffin.base.suite"] == "tinny"
    assert labels["tiffin.base.snapshot"] == "20231015T221320Z"
    assert config.created == "2023-10-15T22:13:20Z"
    assert (config.architecture, config.os) == ("amd64", "linux")
    assert config.history[0].created_by == "tiffin base tinny --flavour runtime"


def test_twice_is_the_same_and_fetches_only_the_release_again(scene):
    first = scene.make()
    scene.server.asked.clear()
    second = scene.make()
    assert scene.server.asked == ["/dists/tinny/InRelease"]
    assert tree_of(first) == tree_of(second)
    assert first.lock == second.lock
    assert first.config == second.config


def test_a_lock_makes_the_same_without_the_network(scene, kit):
    first = scene.make(include=("libtin",))
    scene.tin.add("libtin", "3:0", entries=[("lib/libtin.so.1", b"newer", 0o644)])
    scene.tin.publish()
    scene.server.asked.clear()
    lock = decode_lock(first.lock.encode(), "lock")
    second = scene.make(lock=lock, offline=True, now=kit.NOW + 9999 * kit.DAY)
    assert scene.server.asked == []
    assert tree_of(first) == tree_of(second)
    assert first.config == second.config


def test_a_lock_fetches_again_what_is_gone_and_takes_nothing_else_for_it(scene):
    first = scene.make()
    gone = next(package for package in first.lock.packages if package.package == "libtin")
    scene.blobs.path(gone.content.digest).unlink()
    with pytest.raises(UnavailableError, match="network must not be used"):
        scene.make(lock=first.lock, offline=True)
    scene.server.asked.clear()
    assert tree_of(scene.make(lock=first.lock)) == tree_of(first)
    assert scene.server.asked == ["/pool/libtin_2%253a1.5-1_all.deb"]
    scene.blobs.path(gone.content.digest).unlink()
    (scene.tin.root / gone.filename).write_bytes(b"x" * gone.size)
    with pytest.raises(CorruptError, match="libtin"):
        scene.make(lock=first.lock)


def test_offline_without_a_lock_is_refused(scene):
    with pytest.raises(UnavailableError) as caught:
        scene.make(offline=True)
    assert "--lock" in caught.value.hint


def test_the_epoch_can_be_given(scene):
    result = scene.make(epoch=86400)
    assert {status[1] for status in tree_of(result).values()} == {86400 * 10**9}
    assert result.lock.epoch == 86400
    assert result.config.created == "1970-01-02T00:00:00Z"


def test_included_packages_come_with_what_they_need_and_say_what_was_not_done(scene):
    scene.tin.add(
        "serverd", fields="Depends: libserver | libother\n", scripts=[("postinst", "adduser --system x\n")]
    )
    scene.tin.add("libserver", entries=[("usr/lib/libserver.so", b"", 0o644)])
    scene.tin.publish()
    result = scene.make(include=("serverd",))
    assert (result.layer.path / "usr/lib/libserver.so").is_file()
    assert any("serverd" in text and "create users" in text for text in scene.notices())


def test_an_updates_suite_takes_part(scene, kit, source_of):
    updates = kit.Distribution(scene.tin.root, scene.tin.key, "tinny-updates")
    updates.add("libtin", "2:1.5-1+u1", entries=[("lib/libtin.so.1", b"fixed", 0o644)])
    updates.publish()
    uri = scene.server.uri
    scene.machine = scene.machine._replace(sources=(source_of(uri), source_of(uri, "tinny-updates")))
    result = scene.make()
    assert (result.layer.path / "usr/lib/libtin.so.1").read_bytes() == b"fixed"
    assert [source.suite for source in result.lock.sources] == ["tinny", "tinny-updates"]


def test_another_vendors_source_with_the_same_suite_is_left_out(
    scene, kit, source_of, serve, tmp_path, other_key
):
    vendor = kit.Distribution(tmp_path / "vendor", other_key)
    vendor.release["Origin"] = "Vendor"
    vendor.add("bash", "99", entries=[("usr/bin/bash", b"vendor", 0o755)])
    vendor.publish()
    ring = scene.machine.root / "vendor.gpg"
    ring.write_bytes(other_key.ring)
    third = source_of(serve(vendor.root).uri, signed_by=("/vendor.gpg",))
    scene.machine = scene.machine._replace(sources=(third, *scene.machine.sources))
    result = scene.make()
    assert (result.layer.path / "usr/bin/bash").read_bytes() == b"bash"
    assert any("Vendor" in text for text in scene.notices())


def test_a_mirror_and_a_ring_that_the_user_names(scene, kit, serve, tmp_path):
    named = kit.Key("named")
    ring = tmp_path / "named.asc"
    ring.write_text(named.armoured)
    scene.tin.publish(signed_by=named, detached=True)
    uri = scene.server.uri
    scene.machine = scene.machine._replace(sources=())
    result = scene.make(suite="tinny", mirrors=(uri,), keyring=ring)
    assert result.lock.sources[0].uri == uri
    assert any(path.endswith("Release.gpg") for path in scene.server.asked)


def test_names_and_passwords_get_into_no_lock(scene, source_of):
    uri = scene.server.uri.replace("http://", "http://me:secret@")
    scene.machine = scene.machine._replace(sources=(source_of(uri),))
    result = scene.make()
    assert b"secret" not in result.lock.encode()
    assert scene.make(lock=result.lock).lock == result.lock


# -- what is refused, and that nothing is kept


def refused(scene, kind, match, **changes):
    """The base is refused for that reason, no layer was begun, and no content that is wrong was kept."""
    before = set(scene.blobs.names())
    with pytest.raises(kind, match=match) as caught:
        scene.make(**changes)
    assert scene.new_layer.made == []
    for name in scene.blobs.names():
        assert hashlib.sha256((scene.blobs.root / name).read_bytes()).hexdigest() == name
    ended = [event for event in scene.events if isinstance(event, StepDone)]
    assert not any(event.step == "base/make" for event in ended)
    return caught.value, set(scene.blobs.names()) - before


def test_a_changed_release(scene):
    scene.tin.publish(change=lambda text: text.replace("Components: main", "Components: main evil"))
    error, kept = refused(scene, DeniedError, "InRelease is not signed by a key of")
    assert error.code == "bad-signature"
    assert kept == set()


def test_a_release_by_another_key(scene, other_key):
    scene.tin.publish(signed_by=other_key)
    _, kept = refused(scene, DeniedError, "InRelease is not signed by a key of .*tin-archive-keyring")
    assert kept == set()


def test_a_changed_detached_release(scene):
    scene.tin.publish(detached=True, change=lambda text: text + " " + "a" * 64 + " 1 evil\n")
    _, kept = refused(scene, DeniedError, "Release is not signed")
    assert kept == set()


def test_no_signature_at_all(scene):
    scene.tin.publish(detached=True)
    (scene.tin.root / "dists/tinny/Release.gpg").unlink()
    _, kept = refused(scene, NotFoundError, r"Release\.gpg does not exist")
    assert kept == set()


def test_an_expired_release(scene, kit):
    scene.tin.publish(valid_until=kit.NOW - 1)
    error, kept = refused(scene, DeniedError, "expired on")
    assert "frozen" in error.hint
    assert kept == set()


def test_an_expired_release_where_the_machine_allows_it(scene, kit):
    scene.tin.publish(valid_until=kit.NOW - 1)
    options = AptConfig({"acquire::check-valid-until": "false"})
    scene.machine = scene.machine._replace(network=scene.machine.network._replace(apt=options))
    assert scene.make().lock.sources[0].check_valid_until is False
    assert any("expired" in text for text in scene.notices())


def test_another_suite_than_was_asked_for(scene):
    scene.tin.release["Codename"] = "oldie"
    scene.tin.publish()
    _, kept = refused(scene, DeniedError, "not tinny")
    assert kept == set()


@pytest.mark.parametrize("by_hash", ["yes", "no"])
def test_a_changed_index(scene, by_hash):
    scene.tin.release["Acquire-By-Hash"] = by_hash
    scene.tin.publish()
    place = scene.tin.root / "dists/tinny/main/binary-amd64"
    for path in [*place.glob("by-hash/SHA256/*"), *place.glob("Packages*")]:
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
    error, kept = refused(scene, CorruptError, "is not what .*InRelease says")
    assert error.code == "index-mismatch"
    assert kept == set()


def test_a_longer_index(scene):
    for path in (scene.tin.root / "dists/tinny/main/binary-amd64").glob("by-hash/SHA256/*"):
        path.write_bytes(path.read_bytes() + b"more")
    refused(scene, CorruptError, "longer than")


def test_no_index(scene):
    shutil.rmtree(scene.tin.root / "dists/tinny/main")
    refused(scene, NotFoundError, "none of the package indexes")


def test_a_changed_package(scene):
    path = next(scene.tin.root.glob("pool/bash_*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    error, kept = refused(scene, CorruptError, r"bash 1\.0 from .* is not what the signed index says")
    assert error.code == "package-mismatch"
    assert digest not in kept


def test_a_longer_package(scene):
    path = next(scene.tin.root.glob("pool/bash_*"))
    path.write_bytes(path.read_bytes() + b"x")
    refused(scene, CorruptError, "bash")


def test_a_missing_package(scene):
    next(scene.tin.root.glob("pool/bash_*")).unlink()
    refused(scene, NotFoundError, "bash")


def test_an_unknown_package(scene):
    error, _ = refused(scene, NotFoundError, "libtim, asked for", include=("libtim",))
    assert "libtin" in error.hint


def test_an_unknown_suite(scene):
    refused(scene, NotFoundError, "brassy", suite="brassy")


@pytest.mark.parametrize("suite", ["../etc", "a b", "", "A", "-x"])
def test_a_strange_suite(scene, suite):
    scene.machine = scene.machine._replace(codename="")
    refused(scene, InvalidError, "not the name of a release", suite=suite)


def test_a_lock_for_another_architecture(scene):
    lock = scene.make().lock
    scene.new_layer.made.clear()
    scene.events.clear()
    refused(
        scene, InvalidError, "the lock is for arm64", lock=msgspec.structs.replace(lock, architecture="arm64")
    )


@pytest.mark.parametrize("asked", [{"include": ("libtin", "other")}, {"suite": "brassy"}])
def test_a_lock_for_something_else(scene, asked):
    lock = scene.make(include=("libtin",)).lock
    assert scene.make(lock=lock, suite="tinny", include=("libtin",)).lock == lock
    scene.new_layer.made.clear()
    scene.events.clear()
    refused(scene, InvalidError, "the lock is of tinny with libtin, and asked for is", lock=lock, **asked)


def test_another_release_that_has_no_updates(scene):
    names = ("oldie", "oldie-updates")
    sources = tuple(Source(scene.server.uri, name, ("main",)) for name in names)
    scene.machine = scene.machine._replace(codename="oldie", sources=sources)
    result = scene.make(suite="tinny")
    assert [source.suite for source in result.lock.sources] == ["tinny"]
    assert any("tinny-updates" in text for text in scene.notices())


def test_updates_that_the_machine_has_must_be_there(scene):
    names = ("tinny", "tinny-updates")
    sources = tuple(Source(scene.server.uri, name, ("main",)) for name in names)
    scene.machine = scene.machine._replace(sources=sources)
    refused(scene, NotFoundError, "tinny-updates")


def test_a_failure_while_the_tree_is_made_leaves_no_directory(scene):
    scene.tin.add("bad", entries=[("../evil", b"", 0o644)])
    scene.tin.publish()
    with pytest.raises(CorruptError, match="holds the path"):
        scene.make(include=("bad",))
    (layer,) = scene.new_layer.made
    assert not layer.path.exists()
    assert [event.status for event in scene.events if isinstance(event, StepDone)][-1] == "failed"


# -- the flavour build, with a container that only notes what it is asked


@pytest.fixture
def building(scene):
    scene.tin.add("apt", entries=[("usr/bin/apt", b"apt", 0o755)])
    scene.tin.add("mount", fields="Depends: libtin\n")
    scene.tin.add("openssl")
    scene.tin.add("debconf", "1.5")
    scene.tin.publish()
    scene.ran = []

    def run_in(directory, argv, env):
        scene.ran.append((argv, dict(env)))
        assert all((directory / path.lstrip("/")).is_file() for path in argv if path.endswith(".deb"))
        if "--configure" in argv:  # the traces that a real run leaves
            (directory / "var/log/dpkg.log").write_text("today")
            (directory / "etc/passwd-").write_text("x")
            (directory / "etc/group").write_text("root:x:0:\nshadow:x:42:\n")
            (directory / "etc/shadow").write_text("root:*:19999:0:99999:7:::\n")
            (directory / "usr/lib/__pycache__").mkdir()
            (directory / "etc/resolv.conf").write_text("")
            (directory / "tmp/left").write_text("")
        return 0

    scene.run_in = run_in
    return scene


def test_a_build_base_installs_everything_with_dpkg_inside(building):
    result = building.make(flavour="build")
    required, others, configure, audit = (argv for argv, _ in building.ran)
    assert required[:4] == ["dpkg", "--force-depends", "--force-confold", "--install"]
    assert [name.split("/")[-1] for name in required[4:]] == ["base-files_1.0_all.deb"]
    assert any("libtin_2%3a1.5-1_all.deb" in name for name in others)
    assert configure == ["dpkg", "--configure", "-a"]
    assert audit == ["dpkg", "--audit"]
    env = building.ran[0][1]
    assert env["DEBIAN_FRONTEND"] == "noninteractive"
    assert env["SOURCE_DATE_EPOCH"] == str(result.lock.epoch)
    assert [package.package for package in result.lock.packages if package.required] == ["base-files"]


def test_a_build_base_keeps_no_traces_and_knows_its_mirror(building, kit):
    ring = "usr/share/keyrings/tin-archive-keyring.gpg"
    building.tin.add("base-files", "2", fields="Essential: yes\n", entries=[(ring, b"k", 0o644)])
    building.tin.publish()
    result = building.make(flavour="build")
    root = result.layer.path
    for path in ("var/log/dpkg.log", "etc/passwd-", "usr/lib/__pycache__", "etc/resolv.conf", "tmp/left"):
        assert not (root / path).exists(), path
    assert not list(root.glob("var/cache/**/*.deb"))
    assert (root / "etc/shadow").read_text() == f"root:*:{result.lock.epoch // kit.DAY}:0:99999:7:::\n"
    assert (root / "etc/apt/sources.list.d/base.sources").read_text() == (
        f"Types: deb\nURIs: {building.server.uri}\nSuites: tinny\nComponents: main\nSigned-By: /{ring}\n"
    )
    assert 'APT::Sandbox::User "root";' in (root / "etc/apt/apt.conf.d/90tiffin").read_text()
    assert (root / "usr/sbin/policy-rc.d").stat().st_mode & 0o111
    assert "path-exclude=/usr/share/man/*" in (root / "etc/dpkg/dpkg.cfg.d/tiffin").read_text()


def test_a_failing_dpkg_fails_the_base_and_leaves_nothing(building):
    building.run_in = lambda _directory, argv, _env: 1 if "--configure" in argv else 0
    with pytest.raises(FailedError, match="dpkg --configure ended with status 1"):
        building.make(flavour="build")
    assert not building.new_layer.made[0].path.exists()


def test_every_failure_is_one_of_ours(scene):
    for change in ("missing", "directory"):
        shutil.rmtree(scene.tin.root / "dists", ignore_errors=True)
        if change == "directory":
            (scene.tin.root / "dists/tinny/InRelease").mkdir(parents=True)
        with pytest.raises(TiffinError):
            scene.make()
