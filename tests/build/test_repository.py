"""Repositories as git serves them: which commit is meant, what its tree is, what a hostile one may not do."""

import os
import stat
import subprocess
import threading

import pytest
from tests.doubles.web import Repository, WebDouble

from tiffin.build.canceled import Canceled
from tiffin.build.graph import Git
from tiffin.build.ops import gitprogram
from tiffin.build.ops.fetch import settle
from tiffin.build.ops.repository import Commit, Repositories
from tiffin.errors import CorruptError, InvalidError, NotFoundError, UnavailableError, UnsupportedError

EPOCH = 1_000_000_000


@pytest.fixture
def repository(web):
    return Repository(web.folder, "repo")


class Ours:
    """Repositories with an environment of their own, and a place for each commit."""

    def __init__(self, place) -> None:
        self.place, self.stop, self.count = place, threading.Event(), 0
        self.environ = {"HOME": str(place), "PATH": os.environ["PATH"]}
        self.secrets = {}

    @property
    def repositories(self):
        return Repositories(self.environ, self.secrets, self.stop)

    def resolve(self, op):
        self.count += 1
        place = self.place / f"work-{self.count}"
        place.mkdir()
        return self.repositories.resolve(op, place)

    def tree(self, op):
        """The files of `op`: text, the target of a link, or None for a directory."""
        return listing(self.path(op))

    def path(self, op):
        commit = self.resolve(op)
        place = self.place / f"work-{self.count}"
        found = settle(self.repositories.check_out(op, commit, place), EPOCH)
        left = [name for name in os.listdir(place) if name.startswith(("repository", "ask"))]
        assert left == []
        return found


@pytest.fixture
def ours(tmp_path):
    return Ours(tmp_path)


def listing(top):
    found = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        found[name] = (
            f"-> {path.readlink()}" if path.is_symlink() else None if path.is_dir() else path.read_text()
        )
    return found


def url(web, name="repo"):
    return f"{web.url}/{name}.git"


def test_names_of_commits(web, repository, ours):
    first = repository.commit({"f": "1"})
    repository.git("tag", "-a", "-m", "annotated", "v1")
    repository.git("tag", "light")
    repository.git("tag", "both")
    repository.git("push", "-q", str(repository.bare), "--tags")
    second = repository.commit({"f": "2"})
    repository.git("push", "-q", str(repository.bare), "HEAD:refs/heads/both", "HEAD:refs/heads/a/b")
    meant = {
        "": second, "main": second, "refs/heads/main": second, "heads/main": second, "a/b": second,
        "light": first, "v1": first, "refs/tags/v1": first, "both": second, "refs/tags/both": first,
    }  # fmt: skip
    for ref, commit in meant.items():
        assert ours.resolve(Git(url(web), ref)).name == commit, ref
    asked = len(web.seen)
    assert ours.resolve(Git(url(web), first)) == Commit(first)  # nobody has to be asked
    assert len(web.seen) == asked
    for ref in ("none", "mai", first[:12], "refs/heads/v1"):
        with pytest.raises(NotFoundError, match=ref):
            ours.resolve(Git(url(web), ref))


def test_a_commit_that_has_to_be_the_one(web, repository, ours):
    first = repository.commit({"f": "1"}, "v1")
    assert ours.resolve(Git(url(web), "v1", commit=first[:10])).name == first
    repository.commit({"f": "2"}, "v1")
    for op in (Git(url(web), "v1", commit=first), Git(url(web), first, commit="0" * 40)):
        with pytest.raises(CorruptError) as caught:
            ours.resolve(op)
        assert caught.value.code == "checksum-mismatch"


def test_a_tree_has_modes_links_and_the_usual_times(web, repository, ours):
    (repository.work / "link").symlink_to("dir/f")
    (repository.work / "out").symlink_to("/etc/passwd")
    (repository.work / "tool").write_text("x")
    (repository.work / "tool").chmod(0o700)
    repository.commit({"dir/f": "f", "é \n": "odd"})
    top = ours.path(Git(url(web)))
    assert listing(top) == {
        "dir": None, "dir/f": "f", "link": "-> dir/f", "out": "-> /etc/passwd", "tool": "x", "é \n": "odd",
    }  # fmt: skip
    modes = {name: stat.S_IMODE((top / name).stat().st_mode) for name in (".", "dir", "dir/f", "tool")}
    assert modes == {".": 0o755, "dir": 0o755, "dir/f": 0o644, "tool": 0o755}
    assert {path.lstat().st_mtime for path in (top, *top.rglob("*"))} == {EPOCH}


@pytest.mark.parametrize("ref", ["old", "v1", "main"])
def test_any_commit_can_be_had(web, repository, ours, ref):
    old = repository.commit({"f": "old"})
    repository.commit({"f": "tagged"}, "v1")
    repository.commit({"f": "main"})
    expected = "tagged" if ref == "v1" else ref
    assert ours.tree(Git(url(web), old if ref == "old" else ref)) == {"f": expected}


def test_a_server_that_can_only_give_everything(web, repository, ours):
    """Plain files over http: no single commits, no shallow fetches."""
    old = repository.commit({"f": "old"})
    repository.commit({"f": "new"}, "v1")
    subprocess.run(["git", "update-server-info"], cwd=repository.bare, check=True)

    def plain(handler):
        path = web.folder / handler.path.partition("?")[0].lstrip("/")
        handler.reply(200, {}, path.read_bytes()) if path.is_file() else handler.reply(404, {})
        return True

    web.faults.append(plain)
    assert ours.tree(Git(url(web), "v1")) == {"f": "new"}
    assert ours.tree(Git(url(web), old)) == {"f": "old"}


def test_a_ref_that_moves_between_question_and_answer(web, repository, ours):
    first = repository.commit({"f": "1"})
    commit = ours.resolve(Git(url(web), "main"))
    repository.commit({"f": "2"})
    top = ours.repositories.check_out(Git(url(web), "main"), commit, ours.place / "work-1")
    assert commit.name == first
    assert listing(top) == {"f": "1"}


def test_one_folder(web, repository, ours):
    (repository.work / "link").symlink_to("a")
    (repository.work / "out").symlink_to("/etc")
    repository.commit({"a/b/f": "f", "g": "g"})
    for subdir in ("a/b", "/a/b/", "a/../a/b", "link/b"):
        assert ours.tree(Git(url(web), subdir=subdir)) == {"f": "f"}, subdir
    for subdir in ("none", "g", "out", "../../../etc", "g/x"):
        with pytest.raises(NotFoundError):
            ours.tree(Git(url(web), subdir=subdir))
    assert ours.tree(Git(url(web), subdir=".")) == ours.tree(Git(url(web)))


def test_submodules_come_along_unless_they_are_not_wanted(web, repository, ours):
    inner, deepest = Repository(web.folder, "inner"), Repository(web.folder, "deepest")
    inner.commit({"s": "old"})
    inner.submodule("deep", "../deepest.git", deepest.commit({"d": "d"}))
    wanted = inner.publish()
    inner.commit({"s": "new"})
    repository.submodule("lib/inner", url(web, "inner"), wanted)
    repository.submodule("none", "unused", wanted)
    with (repository.work / ".gitmodules").open("a") as modules:
        modules.write("\tupdate = none\n")
    repository.git("add", ".gitmodules")
    repository.publish()
    found = ours.tree(Git(url(web)))
    assert found["lib/inner/s"] == "old"
    assert found["lib/inner/deep/d"] == "d"
    assert not [name for name in found if name.rpartition("/")[2] == ".git"]
    assert found["none"] is None
    bare = ours.tree(Git(url(web), submodules=False))
    assert [name for name in bare if name.startswith("lib/inner/")] == []


@pytest.mark.parametrize(
    "address",
    [
        "/etc",
        "file://{folder}/repo.git",
        "ext::sh -c 'touch {folder}/owned'",
        "--upload-pack=touch {folder}/owned",
    ],
)
def test_submodules_lead_to_no_files_and_run_nothing(web, repository, ours, address):
    repository.submodule("x", address.format(folder=web.folder), repository.commit({"f": "f"}))
    repository.publish()
    with pytest.raises(InvalidError) as caught:
        ours.tree(Git(url(web)))
    assert "submodules=false" in caught.value.hint
    assert not (web.folder / "owned").exists()


def test_an_old_client_setting_does_not_let_a_server_lead_to_files(web, repository, ours):
    """Even if the user's own git would allow it."""
    repository.commit({"f": "f"})
    (ours.place / ".gitconfig").write_text(f'[url "file://{web.folder}/"]\n\tinsteadOf = {web.url}/\n')
    with pytest.raises(UnavailableError, match="transport 'file' not allowed"):
        ours.tree(Git(url(web)))


def test_a_repository_runs_nothing(web, repository, ours):
    owned = ours.place / "owned"
    repository.commit(
        {
            "f": "f",
            ".gitattributes": "* filter=evil diff=evil\n",
            ".gitconfig": "x",
            "hooks/post-checkout": f"#!/bin/sh\ntouch {owned}\n",
        }
    )
    hook = repository.bare / "hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {owned}\n")
    hook.chmod(0o755)
    # Neither what the user's git has for other work.
    hooks = ours.place / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {owned}\n")
        (hooks / name).chmod(0o755)
    (ours.place / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = touch {owned}\n\tautocrlf = true\n"
        f'[filter "evil"]\n\tsmudge = touch {owned}\n\trequired = true\n'
        f"[init]\n\ttemplateDir = {ours.place}\n"
    )
    assert ours.tree(Git(url(web)))["f"] == "f"
    assert not owned.exists()


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_TEMPLATE_DIR"])
def test_variables_of_other_work_do_not_count(web, repository, ours, name):
    repository.commit({"f": "f"})
    ours.environ[name] = "/nonexistent"
    assert ours.tree(Git(url(web))) == {"f": "f"}


def test_with_its_git_directory(web, repository, ours):
    repository.commit({"f": "f", "dir/g": "g"})
    repository.git("tag", "-a", "-m", "x", "v1")
    repository.git("push", "-q", str(repository.bare), "--tags")
    op = Git(url(web).replace("://", "://u:p@"), "v1", keep_git_dir=True)
    first, second = ours.path(op), ours.path(op)
    assert listing_bytes(first) == listing_bytes(second)
    git = ["git", "-c", "safe.directory=*", "-C", str(first)]

    def told(*words):
        return subprocess.run([*git, *words], check=True, capture_output=True, text=True).stdout.strip()

    assert told("describe", "--dirty") == "v1"
    assert told("status", "--porcelain") == ""
    assert told("remote", "get-url", "origin") == url(web)
    assert told("log", "--format=%an") == "anna"
    assert not (first / ".git/hooks").exists()
    assert ".git" not in ours.tree(op.__class__(url(web), "v1", "dir", keep_git_dir=True))


def listing_bytes(top):
    return {
        str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize(
    ("secrets", "sent"),
    [
        ({"GIT_AUTH_TOKEN": b"t\n"}, "basic eC1hY2Nlc3MtdG9rZW46dA=="),
        ({"GIT_AUTH_HEADER": b"Bearer b"}, "Bearer b"),
        ({"GIT_AUTH_TOKEN": b"no", "GIT_AUTH_HEADER.127.0.0.1": b"Bearer host"}, "Bearer host"),
        ({"GIT_AUTH_TOKEN.other": b"no"}, None),
    ],
)
def test_logins_are_secrets(web, repository, ours, secrets, sent):
    repository.commit({"f": "f"})
    ours.secrets = secrets
    assert ours.tree(Git(url(web))) == {"f": "f"}
    assert {one.headers.get("Authorization") for one in web.seen} == {sent}


def test_the_login_of_a_repository_is_not_for_its_submodules(web, repository, ours, tmp_path):
    (tmp_path / "others").mkdir()
    with WebDouble(tmp_path / "others").serve() as other:
        inner = Repository(other.folder, "inner")
        repository.submodule("x", url(other, "inner"), inner.commit({"s": "s"}))
        repository.publish()
        ours.secrets = {"GIT_AUTH_TOKEN": b"t"}
        assert ours.tree(Git(url(web)))["x/s"] == "s"
        assert {one.headers.get("Authorization") for one in other.seen} == {None}


def test_the_login_of_the_users_git(web, repository, ours):
    repository.commit({"f": "f"})
    (ours.place / ".gitconfig").write_text(
        '[credential]\n\thelper = "!f() { echo username=u; echo password=p; }; f"\n'
    )

    def ask(handler):
        if "Authorization" in handler.headers:
            return False
        handler.body()
        handler.reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
        return True

    web.faults.append(ask)
    assert ours.tree(Git(url(web))) == {"f": "f"}
    (ours.place / ".gitconfig").unlink()
    with pytest.raises(UnavailableError) as caught:
        ours.tree(Git(url(web)))
    assert "GIT_AUTH_TOKEN" in caught.value.hint


def test_the_hosts_proxy_is_asked(web, repository, ours):
    repository.commit({"f": "f"})
    ours.environ["http_proxy"] = web.url
    assert ours.tree(Git("http://far.example/repo.git")) == {"f": "f"}
    assert {seen.path.startswith("http://far.example/") for seen in web.seen} == {True}


def test_what_a_user_reads_when_it_fails(web, ours):
    for address in (url(web, "none"), "http://u:secret@127.0.0.1:9/x.git"):
        with pytest.raises(UnavailableError) as caught:
            ours.resolve(Git(address))
        assert "secret" not in caught.value.message
        assert "\n" not in caught.value.message
        assert caught.value.hint
    Repository(web.folder, "empty")
    with pytest.raises(NotFoundError, match="empty"):
        ours.resolve(Git(url(web, "empty")))


def test_without_git_there_is_a_remedy(ours, tmp_path):
    ours.environ["PATH"] = str(tmp_path)
    with pytest.raises(UnsupportedError) as caught:
        ours.resolve(Git("https://example.org/x.git"))
    assert "install" in caught.value.hint
    assert ours.resolve(Git("https://example.org/x.git", "0" * 40)) == Commit("0" * 40)


def test_a_build_that_is_stopped_ends_git(web, repository, ours):
    repository.commit({"f": "f"})
    asked, released = threading.Event(), threading.Event()

    def hold(_handler):
        asked.set()
        released.wait()
        return False

    web.faults.append(hold)
    repositories, outcome = ours.repositories, []

    def run():
        try:
            repositories.resolve(Git(url(web)), ours.place)
        except Canceled as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    asked.wait()
    ours.stop.set()
    repositories.stop()
    thread.join()
    released.set()
    assert len(outcome) == 1


def test_git_may_not_tell_endlessly(web, repository, ours, monkeypatch):
    repository.commit({"f": "f"}, "v1")
    monkeypatch.setattr(gitprogram, "_LIMIT", 20)
    with pytest.raises(CorruptError):
        ours.resolve(Git(url(web)))


def test_ssh_is_told_where_the_user_is_at_home(tmp_path):
    (tmp_path / ".ssh").mkdir()
    for name in ("config", "id_ed25519"):
        (tmp_path / ".ssh" / name).write_text("")
    command = gitprogram._ssh_command({"HOME": str(tmp_path)})
    for part in ("known_hosts", f"-F '{tmp_path}/.ssh/config'", f"-i '{tmp_path}/.ssh/id_ed25519'"):
        assert part in command
    assert gitprogram._ssh_command({}) == ""


@pytest.fixture
def ssh(ours):
    """A program in the place of ssh: it notes how it was called, and does here what was asked for there."""
    folder = ours.place / "bin"
    folder.mkdir()
    noted = ours.place / "noted"
    (folder / "ssh").write_text(
        f'#!/bin/sh\necho "$SSH_AUTH_SOCK $*" >> {noted}\nfor last; do :; done\nexec sh -c "$last"\n'
    )
    (folder / "ssh").chmod(0o755)
    ours.environ |= {"PATH": f"{folder}:{ours.environ['PATH']}", "SSH_AUTH_SOCK": "/agent"}
    return noted


@pytest.mark.parametrize("form", ["git@there:{bare}", "ssh://git@there:2222{bare}"])
def test_over_ssh(repository, ours, ssh, form):
    repository.commit({"f": "f"})
    assert ours.tree(Git(form.format(bare=repository.bare))) == {"f": "f"}
    calls = ssh.read_text().splitlines()
    assert all(call.startswith("/agent ") and " git@there " in call for call in calls)
    assert any("UserKnownHostsFile" in call for call in calls)


def test_a_host_that_is_not_known(repository, ours, ssh):
    (ours.place / "bin/ssh").write_text("#!/bin/sh\necho Host key verification failed. >&2\nexit 255\n")
    with pytest.raises(UnavailableError) as caught:
        ours.resolve(Git("git@there:x.git"))
    assert "known_hosts" in caught.value.hint
