"""A plain root and an overlay: whatever is done in them, the layers are the same, bit for bit."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.suites import trees

from tiffin.errors import FailedError
from tiffin.layer.describe import describe
from tiffin.layer.diff import normalise
from tiffin.layer.owners import TrueOwners
from tiffin.layer.tree import scan
from tiffin.snapshot.changed import Look, move_out, restore
from tiffin.snapshot.merged import MergedTree
from tiffin.snapshot.plain import KEPT, add_layer, write_tree
from tiffin.snapshot.standins import StandIn, StandIns

EPOCH = 315_619_200
OWNERS = TrueOwners()
OLD = 1_400_000_000_000_000_000

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners are changed")

LOWER = {
    "etc": ("dir", None, {}),
    "etc/passwd": ("file", b"root\n", {"mtime": OLD}),
    "etc/link": ("link", "passwd", {"mtime": OLD}),
    "usr": ("dir", None, {"mode": 0o711, "uid": 7, "gid": 8}),
    "usr/bin": ("dir", None, {}),
    "usr/bin/perl": ("file", b"perl" * 50_000, {"mode": 0o755, "mtime": OLD}),
    "usr/bin/perl5": ("hard", "usr/bin/perl", {}),
    "usr/bin/ping": ("file", b"ping", {"mode": 0o4755, "uid": 0, "mtime": OLD, "xattrs": {"user.a": b"1"}}),
    "usr/share": ("dir", None, {"xattrs": {"user.b": b"2"}}),
    "usr/share/doc": ("dir", None, {}),
    "usr/share/doc/a": ("file", b"a", {"mtime": OLD}),
    "usr/share/doc/b": ("file", b"b", {"mtime": OLD}),
    "var": ("dir", None, {}),
    "var/empty": ("dir", None, {"mode": 0o1777}),
    "var/fifo": ("fifo", None, {}),
}
SECOND = {
    "etc": ("dir", None, {}),
    "etc/group": ("file", b"root\n", {"mtime": OLD}),
    "usr": ("dir", None, {"mode": 0o711, "uid": 7, "gid": 8}),
    "usr/share": ("dir", None, {"xattrs": {"user.b": b"2"}}),
    "usr/share/doc": ("dir", None, {}),
    "usr/share/doc/b": ("white", None, {}),
}
DEEDS = {
    "nothing": "true",
    "new files": "mkdir -p opt/a/b; echo x > opt/a/b/c; ln -s c opt/a/b/d; ln opt/a/b/c opt/a/e",
    "appended": "echo anna >> etc/passwd",
    "same size and time": "echo boot > etc/passwd; touch -d @1400000000 etc/passwd",
    "opened and left": ": >> etc/passwd; exec 3<> etc/group",
    "written as it was": "echo root > etc/new; cat etc/new > etc/passwd; touch -d @1400000000 etc/passwd",
    "replaced": "echo root > etc/n; mv etc/n etc/passwd",
    "mode as it was": "chmod 755 usr/bin/perl",
    "mode": "chmod 700 usr/bin/perl var; chmod 755 usr",
    "owners": "chown -R 5:6 usr; chown -h 9 etc/link",
    "owner as it was": "chown 7:8 usr; chown 0:0 etc/passwd; chown -h 0 etc/link",
    "times": "touch -d @1500000000 etc/passwd; touch -h -d @1500000000 etc/link; touch var usr",
    "attributes": "python3 -c \"import os; os.setxattr('etc/passwd', 'user.c', b'3'); "
    "os.removexattr('usr/share', 'user.b')\"",
    "removed": "rm etc/passwd; rm -r usr/share; rmdir var/empty",
    "removed all": "rm -r etc usr var",
    "made anew": "rm -r usr/share; mkdir usr/share; echo new > usr/share/new",
    "made anew the same": "rm -r usr/share/doc; mkdir usr/share/doc; echo a > usr/share/doc/a",
    "emptied": "rm usr/share/doc/*; rm var/fifo",
    "other kinds": "rm -r usr/share var/fifo etc/link; echo f > usr/share; mkdir var/fifo etc/link",
    "linked": "ln usr/bin/ping usr/bin/pong; ln etc/link etc/link2",
    "one of two names": "chmod 750 usr/bin/perl5; echo more >> usr/bin/perl",
    "there and back": "echo x > var/x; rm var/x; mkdir var/d; rmdir var/d; chmod 700 etc; chmod 755 etc",
    "the root itself": "chmod 700 .; chown 3:4 .",
    "special": "mkfifo var/pipe; rm var/fifo; mkfifo var/fifo",
    "moved": "mv usr/share/doc/a usr/doc; mv etc/passwd etc/passwd-; cp -a etc etc2",
}


@pytest.fixture
def layers(tmp_path):
    return [trees.build(tmp_path / f"layer{number}", table) for number, table in enumerate((LOWER, SECOND))]


def finish(upper, tree):
    normalise(upper, tree.status, EPOCH, OWNERS, place=tree.host, began=EPOCH)
    return upper


def stack_root(place, layers):
    """The upper directory of a step, as the runner makes it."""
    place.mkdir()
    shutil.copystat(layers[-1], place)
    return place


def in_overlay(place, layers, deed):
    upper = stack_root(place / "upper", layers)
    for name in ("work", "merged"):
        (place / name).mkdir()
    lowers = ":".join(str(layer) for layer in reversed(layers))
    options = f"userxattr,lowerdir={lowers},upperdir={upper},workdir={place}/work"
    script = f'mount -t overlay -o {options} overlay "$0" && cd "$0" && {{ {deed}; }}'
    subprocess.run(["unshare", "--mount", "sh", "-ec", script, place / "merged"], check=True)
    return upper


def in_plain_root(place, layers, deed):
    root = place / "root"
    root.mkdir()
    write_tree(MergedTree(list(reversed(layers))), root, OWNERS)
    upper = stack_root(place / "upper", layers)
    look = Look.at(root)
    subprocess.run(["sh", "-ec", deed], cwd=root, check=True)
    return root, upper, move_out(root, look, upper, OWNERS)


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS.keys())
def test_the_layer_of_a_plain_root_is_that_of_an_overlay(tmp_path, layers, deed):
    tree = MergedTree(list(reversed(layers)))
    for name in ("overlay", "plain"):
        (tmp_path / name).mkdir()
    wanted = finish(in_overlay(tmp_path / "overlay", layers, deed), tree)
    root, upper, moved = in_plain_root(tmp_path / "plain", layers, deed)
    finish(upper, tree)
    assert [entry._replace(usage=0) for entry in scan(upper, OWNERS)] == [
        entry._replace(usage=0) for entry in scan(wanted, OWNERS)
    ]
    assert describe(upper, OWNERS).diff_id == describe(wanted, OWNERS).diff_id
    # And the root goes on as the stack with the new layer on it.
    restore(moved, upper, tree, root, OWNERS)
    add_layer(upper, root, OWNERS)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    write_tree(MergedTree([upper, *reversed(layers)]), fresh, OWNERS)
    assert seen(root) == seen(fresh)


def seen(root):
    """All of a tree; sorted entries with contents."""
    found = []
    for entry in scan(root, OWNERS):
        content = (root / entry.path).read_bytes() if entry.kind == "file" else b""
        found.append((entry._replace(usage=0, content=b""), content))
    return found


def test_a_change_within_a_tick_of_the_clock_is_seen(tmp_path, layers):
    root = tmp_path / "root"
    root.mkdir()
    write_tree(MergedTree(layers[:1]), root, OWNERS)
    look = Look.at(root)
    (root / "etc/passwd").write_bytes(b"toor\n")
    os.utime(root / "etc/passwd", ns=(OLD, OLD))
    (tmp_path / "upper").mkdir()
    assert move_out(root, look, tmp_path / "upper", OWNERS).entries == ["etc/passwd"]


def test_a_directory_with_the_same_number_is_another_one(tmp_path, layers):
    """A file system may give the number of a removed directory to the next one at once."""
    root = tmp_path / "root"
    root.mkdir()
    write_tree(MergedTree(layers[:1]), root, OWNERS)
    look = Look.at(root)
    assert os.getxattr(root / "usr/share", KEPT) == b"y"
    os.removexattr(root / "usr/share", KEPT)  # which is what a new one is like
    (tmp_path / "upper").mkdir()
    move_out(root, look, tmp_path / "upper", OWNERS)
    opaque = [entry.path for entry in scan(tmp_path / "upper", OWNERS) if entry.opaque]
    assert opaque == ["usr/share"]


def test_a_device_of_an_image_opens_nothing_and_stays_a_device_in_a_layer(tmp_path):
    layer = trees.build(tmp_path / "layer", {"sda": ("block", (8, 0), {"mode": 0o640, "uid": 0, "gid": 6})})
    root = tmp_path / "root"
    root.mkdir()
    write_tree(MergedTree([layer]), root, OWNERS)
    assert (root / "sda").is_file()
    look = Look.at(root)
    (root / "sda").chmod(0o600)
    (tmp_path / "upper").mkdir()
    move_out(root, look, tmp_path / "upper", OWNERS)
    (entry,) = scan(tmp_path / "upper", OWNERS)
    assert (entry.kind, entry.device, entry.mode, entry.gid) == ("block", os.makedev(8, 0), 0o600, 6)
    again = tmp_path / "again"
    again.mkdir()
    write_tree(MergedTree([tmp_path / "upper", layer]), again, OWNERS)
    assert [entry.kind for entry in scan(again, OWNERS)] == ["block"]


def test_what_has_a_name_outside_of_the_layer_gets_an_inode_of_its_own(tmp_path, layers):
    root, cache = tmp_path / "root", tmp_path / "cache"
    root.mkdir()
    cache.write_text("wheel")
    write_tree(MergedTree(layers[:1]), root, OWNERS)
    look = Look.at(root)
    os.link(cache, root / "etc/one")
    os.link(cache, root / "etc/two")
    (tmp_path / "upper").mkdir()
    move_out(root, look, tmp_path / "upper", OWNERS)
    one, two = (tmp_path / "upper/etc" / name for name in ("one", "two"))
    assert one.read_text() == "wheel"
    assert one.stat().st_ino == two.stat().st_ino != cache.stat().st_ino


class Room:
    """A root and what stands in there."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "root"
        (self.root / "etc").mkdir(parents=True)
        (self.root / "etc/hosts").write_text("own")
        (self.root / "run").symlink_to("var/run")
        self.standins = StandIns(self.root, place / "covered", OWNERS)

    def put(self, target, *, lent=False, folder=False):
        source = self.place / f"source{target.replace('/', '-')}"
        if folder:
            source.mkdir()
            (source / "in").write_text("lent")
        else:
            source.write_text("lent")
        self.standins.put([StandIn(target, str(source), lent)])
        return source


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


def test_what_stands_in_goes_and_what_was_there_comes_back(room):
    room.put("/etc/hosts")
    cache = room.put("/run/cache/pip", lent=True, folder=True)
    assert (room.root / "etc/hosts").read_text() == "lent"
    (room.root / "etc/hosts").write_text("written by the step")
    (room.root / "var/run/cache/pip/more").write_text("kept")
    assert room.standins.take() == ["etc/hosts"]
    assert (room.root / "etc/hosts").read_text() == "own"
    assert (cache / "more").read_text() == "kept"
    assert sorted(os.listdir(room.root)) == ["etc", "run"]


def test_what_cannot_be_put_in_leaves_what_was_there(room):
    for source in (room.place / "none", room.root):  # nothing, and what cannot be moved into itself
        with pytest.raises(OSError):
            room.standins.put([StandIn("/etc/hosts", str(source))])
        assert (room.root / "etc/hosts").read_text() == "own"
    room.put("/etc/hosts")
    assert room.standins.take() == ["etc/hosts"]


def test_what_a_step_puts_beside_stays(room):
    room.put("/var/cache/pip", folder=True)
    (room.root / "var/cache/mine").write_text("mine")
    room.standins.take()
    assert os.listdir(room.root / "var/cache") == ["mine"]


def test_nothing_is_removed_where_a_link_of_the_step_leads(room):
    room.put("/srv/new/cache", folder=True)
    outside = room.place / "outside/new"
    outside.mkdir(parents=True)
    os.rename(room.root / "srv", room.root / "etc/srv")
    (room.root / "srv").symlink_to(outside.parent)
    room.standins.take()
    assert outside.is_dir()


def test_a_step_may_replace_or_remove_what_stands_in(room):
    room.put("/etc/hosts")
    (room.root / "etc/hosts").unlink()
    (room.root / "etc/hosts").mkdir()
    assert room.standins.take() == ["etc/hosts"]
    assert (room.root / "etc/hosts").read_text() == "own"


@pytest.mark.parametrize("deed", [os.rename, os.link], ids=["moved", "linked"])
def test_what_stands_in_does_not_become_the_steps(room, deed):
    room.put("/run/secrets/token")
    deed(room.root / "var/run/secrets/token", room.root / "etc/token")
    with pytest.raises(FailedError, match="/run/secrets/token into its own files"):
        room.standins.take()


def test_a_directory_that_was_moved_away_is_missed(room):
    room.put("/cache", lent=True, folder=True)
    os.rename(room.root / "cache", room.root / "etc/cache")
    with pytest.raises(FailedError, match="/cache"):
        room.standins.take()


def test_what_was_there_follows_its_directory(room):
    room.put("/etc/hosts")
    os.rename(room.root / "etc", room.root / "etc2")
    room.standins.take()
    assert (room.root / "etc2/hosts").read_text() == "own"
