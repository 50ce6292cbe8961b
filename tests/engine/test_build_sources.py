"""ADD of what is elsewhere, by the engine: what comes into the image, and when the network is asked."""

import hashlib
import io
import json
import os
import tarfile

import pytest
from tests.doubles.web import Page, Repository
from tests.suites.images import open_engine

from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.collection import collect
from tiffin.engine.lookup import need_image
from tiffin.errors import CorruptError, TiffinError, UnavailableError
from tiffin.events import StepDone, StepStarted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")

EPOCH = 0
TAGGED = {"ETag": '"1"'}


class Built:
    """Builds from one folder; `tree` is what is in the last image: path → (content, mode, owner)."""

    def __init__(self, engine, folder, events) -> None:
        self.engine, self.folder, self.events = engine, folder, events
        folder.mkdir()

    def __call__(self, text, **more):  # noqa: ANN204
        (self.folder / "Dockerfile").write_text(text)
        self.events.clear()
        self.result = build(self.engine, BuildRequest(self.folder, tags=("it",), **more))
        return str(self.result.image_id)

    @property
    def statuses(self):
        """How each step ended, by its name."""
        names = {event.step: event.name for event in self.events if isinstance(event, StepStarted)}
        return {names[event.step]: event.status for event in self.events if isinstance(event, StepDone)}

    @property
    def cached(self):
        return set(self.statuses.values()) == {"cached"}

    @property
    def config(self):
        return need_image(self.engine, "it").config

    @property
    def tree(self):
        layers = self.engine.layers.tree(self.config.rootfs.diff_ids)
        found = {}
        for node in layers.walk(layers.root):
            status = node.status
            assert status.st_mtime == EPOCH
            shown = None
            if node.is_link:
                shown = f"-> {layers.readlink(node)}"
            elif not node.is_directory:
                shown = layers.read(node.path).decode("latin-1")
            found[node.path] = (shown, f"{status.st_mode & 0o7777:o}", f"{status.st_uid}:{status.st_gid}")
        return found


@pytest.fixture
def make(engine, tmp_path, events):
    return Built(engine, tmp_path / "context", events)


def archive(files, **options):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.uid, entry.gid, entry.mode = len(text), 5, 6, 0o640
            tar.addfile(entry, io.BytesIO(text.encode()))
    return data.getvalue()


def sha(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def test_names_modes_and_places(web, make):
    """As Docker 28 makes them, but for the times."""
    web.pages |= {
        "/f.txt": Page(b"f", {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        "/": Page(b"root"),
    }
    web.pages |= {"/a*b [1]": Page(b"odd"), "/t.tgz": Page(archive({"in/it": "packed"}))}
    web.pages |= {"/named": Page(b"n", {"Content-Disposition": 'attachment; filename="other"'})}
    u = web.url
    make(
        f"FROM scratch\nADD {u}/f.txt /a/\nADD {u}/f.txt /b\nADD {u}/named {u}/ {u}/a*b%20%5B1%5D /c/\n"
        f"ADD --chown=5:6 --chmod=750 {u}/f.txt /new/f\nADD {u}/t.tgz /t/\n"
        f"ADD --unpack=true {u}/t.tgz {u}/f.txt /u/\n"
        f"WORKDIR /w\nADD --link Dockerfile {u}/f.txt ./\n"
    )
    tree = make.tree
    assert tree["/a/f.txt"] == ("f", "600", "0:0")
    assert tree["/b"] == ("f", "600", "0:0")
    assert {name: tree[name][0] for name in tree if name.startswith("/c/")} == {
        "/c/named": "n", "/c/__unnamed__": "root", "/c/a*b [1]": "odd",
    }  # fmt: skip
    assert tree["/new/f"] == ("f", "750", "5:6")
    assert tree["/new"][2] == "5:6"
    assert tree["/t/t.tgz"][1] == "600"
    assert tree["/u/in/it"] == ("packed", "640", "5:6")
    assert tree["/u/f.txt"][0] == "f"
    assert tree["/w/f.txt"][0] == "f"
    assert tree["/w/Dockerfile"][1] == "644"


def test_a_file_that_has_not_changed_is_not_fetched_again(web, make):
    web.pages["/f"] = Page(b"1" * 999, TAGGED)
    text = f"FROM scratch\nADD {web.url}/f /f\n"
    first = make(text)
    assert make(text) == first
    assert make.cached
    assert [seen.headers.get("If-None-Match") for seen in web.seen] == [None, '"1"']
    web.pages["/f"] = Page(b"2", {"ETag": '"2"'})
    assert make(text) != first
    # A new ETag for what is known already changes nothing.
    web.pages["/f"] = Page(b"1" * 999, {"ETag": '"3"'})
    assert make(text) == first
    assert make.cached


def test_content_counts_and_not_where_it_came_from(web, make):
    web.pages |= {"/1/f": Page(b"same"), "/2/f": Page(b"same")}
    first = make(f"FROM scratch\nADD {web.url}/1/f /f\n")
    history = make.config.history
    make(f"FROM scratch\nADD {web.url}/2/f /f\n")
    assert make.cached
    assert make.config.history != history  # it names its source, so that the image is another
    assert first


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_checksum_that_is_known_asks_no_network(web, make, engine, algorithm):
    web.pages["/f"] = Page(b"data")
    text = f"FROM scratch\nADD --checksum={sha(b'data', algorithm)} {web.url}/f /f\n"
    first = make(text)
    assert make(text) == first
    assert len(web.seen) == 1
    assert make.cached
    # Without the memory it is fetched again.
    with engine.db.transaction() as connection:
        connection.execute("DELETE FROM cache")
    collect(engine)
    assert make(text) == first
    assert len(web.seen) == 2


def test_what_is_not_what_the_checksum_says_stays_out(web, make, engine):
    web.pages["/f"] = Page(b"altered", TAGGED)
    with pytest.raises(CorruptError) as caught:
        make(f"FROM scratch\n\nADD --checksum={sha(b'data')} {web.url}/f /f\n")
    assert sha(b"altered") in caught.value.message
    assert caught.value.where.line == 3
    assert list(engine.home.layers.iterdir()) == []
    assert [path for path in engine.home.work.iterdir() if path.is_dir()] == []


def test_a_layer_that_is_gone_is_fetched_again_whatever_the_server_remembers(web, make, engine):
    web.pages["/f"] = Page(b"data", TAGGED)
    text = f"FROM scratch\nADD {web.url}/f /f\n"
    first = make(text)
    with engine.db.transaction() as connection:
        connection.execute("DELETE FROM cache")
    collect(engine)
    assert make(text) == first


def test_passwords_are_in_nothing_that_is_kept(web, make, engine, events):
    web.pages["/f"] = Page(b"data")
    repository = Repository(web.folder, "repo")
    repository.commit({"g": "g"})
    address = web.url.replace("://", "://user:secret@")
    make(f"FROM scratch\nADD {address}/f /f\nADD --keep-git-dir=true {address}/repo.git /r\n")
    (asked,) = [seen for seen in web.seen if seen.path == "/f"]
    assert asked.headers["Authorization"].startswith("Basic ")
    told = json.dumps([str(event) for event in events]) + str(make.config)
    assert "secret" not in told
    kept = b"".join(path.read_bytes() for path in engine.home.root.rglob("*") if path.is_file())
    assert b"secret" not in kept
    web.faults.append(lambda handler: (handler.reply(500, {}), True)[1])
    for source in (f"{address}/x", f"{address}/none.git"):
        with pytest.raises(TiffinError) as caught:
            make(f"FROM scratch\nADD {source} /x\n")
        assert "secret" not in caught.value.message


def test_a_repository_is_known_by_its_commit(web, make):
    repository = Repository(web.folder, "repo")
    (repository.work / "tool").write_text("#!/bin/sh\n")
    (repository.work / "tool").chmod(0o755)
    first = repository.commit({"a/b": "1"}, "v1")
    u = f"{web.url}/repo.git"
    text = f"FROM scratch\nADD {u} /m\nADD {u}#v1:a /a\nADD {u}#{first} /c/d/\n"
    image = make(text)
    tree = make.tree
    assert tree["/m/tool"] == ("#!/bin/sh\n", "755", "0:0")
    assert tree["/m/a/b"] == ("1", "644", "0:0")
    assert tree["/a/b"][0] == tree["/c/d/a/b"][0] == "1"
    asked = len(web.seen)
    assert make(text) == image
    assert make.cached
    assert not any("git-upload-pack HTTP" in seen.path for seen in web.seen[asked:])
    repository.commit({"a/b": "2"})
    assert make(text) != image
    assert make.tree["/m/a/b"][0] == "2"
    assert make.tree["/a/b"][0] == "1"
    # A whole commit is asked of nobody.
    asked = len(web.seen)
    make(f"FROM scratch\nADD {u}#{first} /c/d/\n")
    assert len(web.seen) == asked


def test_with_its_git_directory_it_is_the_same_layer_everywhere(web, tmp_path, events):
    repository = Repository(web.folder, "repo")
    repository.commit({"f": "1"}, "v1")
    made = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        with open_engine(tmp_path / place, emit=events.append) as engine:
            built = Built(engine, tmp_path / place / "context", events)
            made.append(built(f"FROM scratch\nADD --keep-git-dir {web.url}/repo.git#v1 /r\n"))
            assert built.tree["/r/.git/HEAD"][2] == "0:0"
    assert made[0] == made[1]


def test_a_build_without_a_network_fails_with_its_line(make):
    for source in ("http://127.0.0.1:9/f", "http://127.0.0.1:9/x.git"):
        with pytest.raises(UnavailableError) as caught:
            make(f"FROM scratch\n\nADD {source} /f\n")
        assert caught.value.where.line == 3
        assert source in caught.value.message
        assert caught.value.hint


def test_a_failing_fetch_stops_the_others(web, make):
    web.pages["/f"] = Page(b"f")
    with pytest.raises(TiffinError, match="404"):
        make(
            f"FROM scratch AS a\nADD {web.url}/none /f\n"
            f"FROM scratch\nADD {web.url}/f /f\nCOPY --from=a / /a\n"
        )
    assert [path for path in make.engine.home.work.iterdir() if path.is_dir()] == []
