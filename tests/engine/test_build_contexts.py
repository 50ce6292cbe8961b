"""Contexts that are no folder of the user: repositories, archives, standard input; and those with names."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import sys
import tarfile
from types import SimpleNamespace

import pytest
from tests.doubles.web import Page, Repository
from tests.engine.test_build_sources import Built, archive
from tests.suites.images import make_image

from tiffin.engine.building.calls import check, outline, targets
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.lookup import need_image
from tiffin.errors import (
    CorruptError,
    InvalidError,
    NotFoundError,
    TiffinError,
    UnavailableError,
    UnsupportedError,
)
from tiffin.image.layout import Layout
from tiffin.image.view import open_image
from tiffin.layer.compress import _zstd
from tiffin.oci.reference import Reference

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")

COPY_ALL = "FROM scratch\nCOPY . /c/\n"
FILES = {"Dockerfile": COPY_ALL, "a": "a", "dir/b": "b", "dir/left": "out", ".dockerignore": "**/left\n"}
KEPT = {"Dockerfile": COPY_ALL, "a": "a", "dir/b": "b", ".dockerignore": "**/left\n"}


@pytest.fixture
def make(engine, tmp_path, events):
    return Built(engine, tmp_path / "folder", events)


class Elsewhere(Built):
    """Builds from a context that is not a folder; `files` is what COPY brought below /c."""

    def from_(self, context, **more):
        self.events.clear()
        self.result = build(self.engine, BuildRequest(context, tags=("it",), **more))
        return str(self.result.image_id)

    @property
    def files(self):
        found = {}
        for path, (text, _mode, owner) in self.tree.items():
            assert owner == "0:0"
            if text is not None and path.startswith("/c/"):
                found[path.removeprefix("/c/")] = text
        return found


@pytest.fixture
def elsewhere(engine, tmp_path, events):
    return Elsewhere(engine, tmp_path / "context", events)


@pytest.fixture
def standard_input(monkeypatch):
    return lambda data: monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def packed(files, *members, fill=True):
    """A plain tar of `files`, by somebody else, and of other members."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.uid, entry.gid, entry.mode = len(text), 123_456_789, 7, 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
        for member in members:
            tar.addfile(member)
    return data.getvalue()


def member(name, kind, **fields):
    entry = tarfile.TarInfo(name)
    entry.type = kind
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


PACKERS = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: _zstd().compress(data),
}


@pytest.mark.parametrize("packer", PACKERS)
def test_an_archive_on_standard_input(elsewhere, engine, standard_input, packer):
    standard_input(PACKERS[packer](packed(FILES)))
    elsewhere.from_("-")
    assert elsewhere.files == KEPT
    assert [path for path in engine.home.work.iterdir() if path.is_dir()] == []
    with engine.db.read() as connection:  # nothing is remembered of a folder that is gone
        assert connection.execute("SELECT count(*) FROM checksum").fetchone()[0] == 0


def test_the_same_archive_again_is_cached(elsewhere, standard_input):
    made = []
    for data in (packed(FILES), gzip.compress(packed(FILES))):
        standard_input(data)
        made.append(elsewhere.from_("-"))
    assert made[0] == made[1]
    assert elsewhere.cached


def test_a_dockerfile_on_standard_input(elsewhere, standard_input):
    standard_input(b"FROM scratch\nLABEL a=b\nCOPY . /c/\n")
    elsewhere.from_("-")
    assert elsewhere.config.config.labels == {"a": "b"}
    assert elsewhere.files == {}
    standard_input(b"FROM scratch\nCOPY x /\n")
    with pytest.raises(NotFoundError, match="x does not exist in the build context standard input"):
        elsewhere.from_("-")


def test_which_dockerfile_of_an_archive(elsewhere, standard_input, tmp_path):
    files = {
        "sub/Other": "FROM scratch\nCOPY a /c/\n",
        "sub/Other.dockerignore": "b\n",
        "a": "a",
        "dockerfile": COPY_ALL,
    }
    standard_input(packed(files))
    elsewhere.from_("-", dockerfile="sub/Other")
    assert elsewhere.files == {"a": "a"}
    standard_input(packed(files))
    elsewhere.from_("-")
    assert "sub/Other" in elsewhere.files
    own = tmp_path / "Own"
    own.write_text("FROM scratch\nCOPY sub /c/\n")
    standard_input(packed(files))
    elsewhere.from_("-", dockerfile=str(own))
    assert set(elsewhere.files) == {"Other", "Other.dockerignore"}
    standard_input(packed({"x": "x"}))
    with pytest.raises(NotFoundError, match="no file Dockerfile in the build context standard input"):
        elsewhere.from_("-")


def test_an_ignore_file_of_its_own_comes_first(elsewhere, standard_input):
    files = {
        "Dockerfile": COPY_ALL,
        "Dockerfile.dockerignore": "a\n",
        ".dockerignore": "b\n",
        "a": "a",
        "b": "b",
    }
    standard_input(packed(files))
    elsewhere.from_("-")
    assert "b" in elsewhere.files
    assert "a" not in elsewhere.files


@pytest.mark.parametrize(
    ("data", "dockerfile"), [(b"FROM scratch\n", "Other"), (packed(FILES), "-"), (b"FROM scratch\n", "-")]
)
def test_standard_input_is_one_thing(elsewhere, standard_input, data, dockerfile):
    standard_input(data)
    with pytest.raises(InvalidError) as caught:
        elsewhere.from_("-", dockerfile=dockerfile)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ([member("../escaped", tarfile.REGTYPE)], InvalidError),
        ([member("d/../../escaped", tarfile.REGTYPE)], InvalidError),
        ([member("node", tarfile.BLKTYPE, devmajor=8)], UnsupportedError),
        ([member("node", tarfile.CHRTYPE, devmajor=1, devminor=3)], UnsupportedError),
        ([member("node", tarfile.CHRTYPE)], UnsupportedError),
        ([member("hard", tarfile.LNKTYPE, linkname="../../../etc/passwd")], InvalidError),
        ([member("hard", tarfile.LNKTYPE, linkname="none")], InvalidError),
    ],
)
def test_an_archive_that_is_hostile_is_refused(elsewhere, engine, standard_input, members, kind):
    standard_input(packed(FILES, *members))
    with pytest.raises(kind) as caught:
        elsewhere.from_("-")
    assert "standard input" in caught.value.message
    assert [path for path in engine.home.work.iterdir() if path.is_dir()] == []
    assert not list(engine.home.root.parent.rglob("escaped"))


def test_links_of_an_archive_stay_inside(elsewhere, standard_input, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    links = [
        member("Dockerfile", tarfile.SYMTYPE, linkname="/real"),
        member("out", tarfile.SYMTYPE, linkname=str(tmp_path)),
        member("out/owned", tarfile.REGTYPE),
        member(".dockerignore", tarfile.SYMTYPE, linkname="../../../../etc/passwd"),
    ]
    standard_input(packed({"real": "FROM scratch\nCOPY . /c/\n"}, *links))
    elsewhere.from_("-")
    assert not (tmp_path / "owned").exists()
    assert elsewhere.files["out"] == f"-> {tmp_path}"
    for source in ("out/secret", "../../secret", str(secret)):
        standard_input(packed({"real": f"FROM scratch\nCOPY {source} /c/\n"}, *links))
        with pytest.raises(NotFoundError):
            elsewhere.from_("-")


def test_an_archive_is_no_layer(elsewhere, standard_input):
    """Names that hide something in a layer hide nothing here; what no layer can hold is told."""
    files = {"Dockerfile": COPY_ALL, "a": "a", ".wh.a": "1"}
    standard_input(packed(files | {".dockerignore": ".wh.*\n"}))
    elsewhere.from_("-")
    assert "a" in elsewhere.files
    standard_input(packed(files))
    with pytest.raises(UnsupportedError, match=r"\.wh\.a"):
        elsewhere.from_("-")


@pytest.mark.parametrize("kind", ["fifo", "directory", "link to itself"])
def test_a_dockerfile_that_is_no_file(elsewhere, standard_input, kind):
    entry = {
        "fifo": member("Dockerfile", tarfile.FIFOTYPE),
        "directory": member("Dockerfile", tarfile.DIRTYPE),
        "link to itself": member("Dockerfile", tarfile.SYMTYPE, linkname="Dockerfile"),
    }[kind]
    standard_input(packed({"a": "a"}, entry))
    with pytest.raises(NotFoundError):
        elsewhere.from_("-")


@pytest.mark.parametrize(
    "data", [gzip.compress(packed(FILES))[:-30], packed(FILES)[:1000], b"BZh9garbage" + bytes(600)]
)
def test_an_archive_that_is_damaged(elsewhere, standard_input, data):
    standard_input(data)
    with pytest.raises(CorruptError) as caught:
        elsewhere.from_("-")
    assert "standard input" in caught.value.message


def test_a_dockerfile_may_not_be_endless(elsewhere, standard_input, monkeypatch):
    monkeypatch.setattr("tiffin.engine.building.context.LARGEST", 1 << 20)
    standard_input(b"# " + b"x" * (2 << 20))
    with pytest.raises(InvalidError, match="larger than 1 MiB"):
        elsewhere.from_("-")


def test_a_repository(elsewhere, web):
    repository = Repository(web.folder, "repo")
    repository.commit(FILES, "v1")
    url = f"{web.url}/repo.git"
    first = elsewhere.from_(url)
    assert elsewhere.files == KEPT
    assert elsewhere.from_(f"{url}#v1") == first
    assert elsewhere.cached
    repository.commit({"a": "changed", "dir/Dockerfile": "FROM scratch\nCOPY . /c/\n"})
    elsewhere.from_(url)
    assert elsewhere.files["a"] == "changed"
    elsewhere.from_(f"{url}#:dir")
    assert set(elsewhere.files) == {"Dockerfile", "b", "left"}
    elsewhere.from_(f"{url}?branch=main", dockerfile="dir/Dockerfile")
    assert elsewhere.files["a"] == "changed"
    elsewhere.from_(url, build_args={"BUILDKIT_CONTEXT_KEEP_GIT_DIR": "1"})
    assert ".git/HEAD" in elsewhere.files
    with pytest.raises(NotFoundError, match="no branch or tag none"):
        elsewhere.from_(f"{url}#none")
    with pytest.raises(NotFoundError, match=r"no file Dockerfile in the build context .*repo.git#v1"):
        elsewhere.from_(f"{url}#v1:dir")


def test_an_archive_of_the_web(elsewhere, web):
    web.pages["/c.tar.xz"] = Page(lzma.compress(packed(FILES)), {"ETag": '"1"'})
    first = elsewhere.from_(f"{web.url}/c.tar.xz")
    assert elsewhere.files == KEPT
    assert elsewhere.from_(f"{web.url}/c.tar.xz") == first
    assert elsewhere.cached
    assert web.seen[-1].headers["If-None-Match"] == '"1"'
    web.pages["/bad.tar"] = Page(packed(FILES, member("../x", tarfile.REGTYPE)))
    with pytest.raises(InvalidError):
        elsewhere.from_(f"{web.url}/bad.tar")


def test_a_dockerfile_of_the_web(elsewhere, web, tmp_path):
    web.pages["/Dockerfile"] = Page(b"FROM scratch\nLABEL a=b\nCOPY . /c/\n")
    elsewhere.from_(f"{web.url}/Dockerfile")
    assert elsewhere.config.config.labels == {"a": "b"}
    assert elsewhere.files == {}
    (tmp_path / "local").mkdir()
    (tmp_path / "local/a").write_text("a")
    elsewhere.from_(tmp_path / "local", dockerfile=f"{web.url}/Dockerfile")
    assert elsewhere.files == {"a": "a"}


def test_a_dockerfile_of_ones_own_for_a_repository(elsewhere, web, standard_input, tmp_path):
    Repository(web.folder, "repo").commit({"a": "a"})
    standard_input(COPY_ALL.encode())
    elsewhere.from_(f"{web.url}/repo.git", dockerfile="-")
    assert elsewhere.files == {"a": "a"}
    (tmp_path / "Own").write_text(COPY_ALL)
    elsewhere.from_(f"{web.url}/repo.git", dockerfile=tmp_path / "Own")
    assert elsewhere.files == {"a": "a"}


def test_a_context_that_is_not_there(elsewhere, web):
    for context in ("nothing", "docker.io/x", "a@b"):
        with pytest.raises(NotFoundError, match="no directory"):
            elsewhere.from_(context)
    with pytest.raises(UnavailableError):
        elsewhere.from_("https://127.0.0.1:9/x.git")
    with pytest.raises(NotFoundError):
        elsewhere.from_(f"{web.url}/none.tar")
    with pytest.raises(InvalidError):
        elsewhere.from_("https://example.org/x.git#--upload-pack=x")


def test_a_folder_wins_over_what_looks_like_a_url(elsewhere, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "github.com/a/b").mkdir(parents=True)
    (tmp_path / "github.com/a/b/dockerfile").write_text(COPY_ALL)
    elsewhere.from_("github.com/a/b")
    assert set(elsewhere.files) == {"dockerfile"}


def test_a_dockerfile_outside_of_the_context(make, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/D").write_text("FROM scratch\nCOPY . /c/\n")
    (tmp_path / "other/D.dockerignore").write_text("Dockerfile\n")
    (make.folder / "a").write_text("a")
    make("", dockerfile=tmp_path / "other/D")
    assert set(make.tree) == {"/c", "/c/a"}


def test_calls_read_contexts_from_elsewhere_too(engine, web, standard_input):
    Repository(web.folder, "repo").commit({"Dockerfile": "FROM scratch AS one\nFROM one AS two\nARG A=1\n"})
    request = BuildRequest(f"{web.url}/repo.git")
    assert [target.name for target in targets(engine, request).targets] == ["one", "two"]
    assert outline(engine, request).outline
    standard_input(b"FROM scratch\nrun x\n")
    assert check(engine, BuildRequest("-")).findings


# -- contexts with names -------------------------------------------------------------------------------


def test_named_folders_have_ignore_files_of_their_own(make, tmp_path):
    folder = tmp_path / "named"
    folder.mkdir()
    for name in ("kept", "dropped"):
        (folder / name).write_text(name)
    (folder / ".dockerignore").write_text("dropped\n")
    contexts = {"files": str(folder)}
    make("FROM files AS base\nCOPY --from=files / /c/\n", build_contexts=contexts)
    assert set(make.tree) == {"/kept", "/.dockerignore", "/c", "/c/kept", "/c/.dockerignore"}
    assert [entry.created_by for entry in make.config.history] == ["FROM files", "COPY / /c/"]
    assert not any(entry.empty_layer for entry in make.config.history)
    assert make.config.config.working_dir == "/"
    with pytest.raises(NotFoundError, match=r"line 1 of \.dockerignore"):
        make("FROM scratch\nCOPY --from=files dropped /\n", build_contexts=contexts)


def test_named_contexts_from_elsewhere(make, web):
    repository = Repository(web.folder, "repo")
    repository.commit({"d/f": "f", ".dockerignore": "d\n"})
    web.pages |= {"/t.tgz": Page(archive({"in/it": "packed"})), "/plain": Page(b"text")}
    contexts = {
        "repo": f"{web.url}/repo.git#main:d", "whole": f"{web.url}/repo.git",
        "tar": f"{web.url}/t.tgz", "file": f"{web.url}/plain",
    }  # fmt: skip
    text = (
        "FROM tar\nCOPY --from=repo f /r/\nCOPY --from=file context /text\nCOPY --from=whole / /w/\n"
        "COPY --from=tar in/it /again\n"
    )
    first = make(text, build_contexts=contexts)
    tree = make.tree
    assert tree["/in/it"] == ("packed", "640", "5:6")
    assert tree["/r/f"] == ("f", "644", "0:0")
    assert tree["/text"] == ("text", "600", "0:0")
    assert tree["/w/d/f"][0] == "f"
    assert tree["/again"][0] == "packed"
    assert make(text, build_contexts=contexts) == first
    assert make.cached
    # What nothing names is not fetched.
    asked = len(web.seen)
    make("FROM scratch\n", build_contexts=contexts)
    assert len(web.seen) == asked


def test_a_context_may_be_just_built(make, engine):
    make("FROM scratch\nCOPY Dockerfile /one\nENV A=b\n")
    built = make.result.descriptor
    engine.tags.remove(Reference.parse("it").tagged())
    make("FROM base\nCOPY --from=base one /two\n", build_contexts={"base": built}, pull=True)
    assert set(make.tree) == {"/one", "/two"}
    assert "A=b" in make.config.config.env
    request = BuildRequest(make.folder, build_contexts={"base": built})
    assert check(engine, request).error is None


@pytest.fixture
def layout(engine, tmp_path):
    """An OCI layout with two images, which are not in the store any more."""
    from tiffin.engine.archives import save

    make_image(engine, "first:1", layers=({"f": "one"},), env=("A=1",))
    make_image(engine, "second:2", layers=({"f": "two"},))
    place = tmp_path / "layout"
    place.mkdir()
    with (tmp_path / "saved.tar").open("wb") as out:
        save(engine, ["first:1", "second:2"], out, "oci")
    with tarfile.open(tmp_path / "saved.tar") as saved:
        saved.extractall(place, filter="data")
    shutil.rmtree(engine.home.root / "blobs/sha256")
    (engine.home.root / "blobs/sha256").mkdir()
    with engine.db.transaction() as connection:
        for table in ("tag", "image", "layer", "layer_blob"):
            connection.execute(f"DELETE FROM {table}")
    return place


def read(make, path):
    return make.engine.layers.tree(make.config.rootfs.diff_ids).read(path)


def test_a_context_in_an_oci_layout(make, engine, layout):
    text = "FROM base\nCOPY --from=base f /g\n"
    make(text, build_contexts={"base": f"oci-layout://{layout}:1"})
    assert read(make, "/g") == b"one"
    assert "A=1" in make.config.config.env
    digest = next(
        entry.digest
        for entry in Layout(layout).entries()
        if entry.annotations.get("org.opencontainers.image.ref.name") == "2"
    )
    make(text, build_contexts={"base": f"oci-layout://{layout}@{digest}"})
    assert read(make, "/g") == b"two"
    image = need_image(engine, "it")
    assert open_image(engine.fetcher, image.descriptor, engine.platform).layers
    for wrong in (
        f"{layout}:3",
        f"{layout}",
        f"{layout}@sha256:{'0' * 64}",
        f"{layout}@sha256:0",
        "/nowhere:1",
    ):
        with pytest.raises(TiffinError) as caught:
            make(text, build_contexts={"base": f"oci-layout://{wrong}"})
        assert caught.value.where.line == 1, wrong


def test_a_layout_that_lies_is_refused(make, layout):
    for blob in (layout / "blobs/sha256").iterdir():
        data = blob.read_bytes()
        if not data.startswith(b"{"):
            blob.write_bytes(data[:-1] + b"x")
    with pytest.raises(CorruptError):
        make("FROM base\n", build_contexts={"base": f"oci-layout://{layout}:1"})


@pytest.mark.parametrize("value", ["target:x", "ftp://h/x", "/nowhere", "https://h/x.git#a..b"])
def test_contexts_that_cannot_be(make, value):
    with pytest.raises(TiffinError) as caught:
        make("FROM scratch\n", build_contexts={"x": value})
    assert caught.value.message
