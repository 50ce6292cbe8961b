"""Commits of repositories as trees: found by name, fetched without history, checked out, with submodules.

Nothing of a repository is run or believed: git writes the files, from names that it checks, and
submodules are fetched here, one by one, so that git follows no file of theirs to anywhere.
"""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.build.giturl import is_commit, submodule_remote, without_login
from tiffin.build.ops.gitprogram import GitProgram
from tiffin.errors import CorruptError, InvalidError, NotFoundError, TiffinError, UnavailableError
from tiffin.linux.files import open_in_root
from tiffin.linux.remove import remove_tree
from tiffin.snapshot.merged import MergedTree

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tiffin.build.graph import Git

_DEPTH: Final = 16  # of submodules in submodules
_MODULES: Final = ".gitmodules"
_GITLINK: Final = b"160000"


class Commit(NamedTuple):
    """A commit, the full name of the ref that led to it, and the object there: a tag can be one itself."""

    name: str
    ref: str = ""
    object: str = ""

    @property
    def content(self) -> str:
        """What the tree depends on."""
        return self.name if self.object in ("", self.name) else f"{self.name} {self.object}"


class Repositories:
    """Fetches commits with the host's git; `stop` ends it. Safe for threads."""

    def __init__(
        self, environ: Mapping[str, str], secrets: Mapping[str, bytes], stop: threading.Event
    ) -> None:
        self._environ = environ
        self._secrets = secrets
        self._stop = stop
        self._program: GitProgram | None = None

    def stop(self) -> None:
        """End what is under way."""
        if self._program is not None:
            self._program.stop()

    @property
    def _git(self) -> GitProgram:
        if self._program is None:
            self._program = GitProgram(self._environ, self._secrets, self._stop)
        return self._program

    def resolve(self, op: Git, place: Path) -> Commit:
        """Return the commit that `op` means now; a whole commit asks nobody. Raises TiffinError."""
        found = Commit(op.ref) if is_commit(op.ref) else self._ask(op, place)
        if not any(name.startswith(op.commit) for name in (found.name, found.object) if name):
            raise CorruptError(
                f"{_shown(op)} is the commit {found.name}, and not {op.commit}",
                code="checksum-mismatch",
                hint="the branch or tag was moved; if that is meant, write the new commit",
            )
        return found if op.keep_git_dir else found._replace(object="")

    def check_out(self, op: Git, commit: Commit, place: Path) -> Path:
        """Return the new directory, below `place`, with the files of `op`. Raises TiffinError."""
        tree = place / "tree"
        whole = op.subdir.strip("/") in ("", ".")
        checkout = _Checkout(self._git, op.remote, keep=op.keep_git_dir and whole, submodules=op.submodules)
        checkout.run(op.remote, commit, tree, place)
        return tree if whole else self._subdirectory(op, tree, place)

    def _ask(self, op: Git, place: Path) -> Commit:
        """Find the ref on the server."""
        names = _candidates(op.ref)
        patterns = [pattern for name in names for pattern in (name, f"{name}^{{}}")]
        repository = _empty(self._git, place / "ask", "")
        try:
            said = self._git.remote(
                op.remote,
                "ls-remote",
                "-q",
                "--",
                op.remote,
                *patterns,
                main=op.remote,
                repository=repository,
            )
        except TiffinError as error:
            raise _explained(error, op.remote) from error
        finally:
            remove_tree(repository)
        refs = dict(_refs(said))
        for name in names:
            if name in refs:
                return Commit(
                    refs.get(f"{name}^{{}}", refs[name]), "" if name == "HEAD" else name, refs[name]
                )
        if not op.ref:
            raise NotFoundError(f"{_shown(op)} is empty: it has no default branch", code="git-ref")
        raise NotFoundError(
            f"{without_login(op.remote)} has no branch or tag {op.ref}",
            code="git-ref",
            hint="check the spelling; a commit has to be given with all its digits",
        )

    def _subdirectory(self, op: Git, tree: Path, place: Path) -> Path:
        """Move the one folder that is wanted out of `tree`; links to it are followed inside."""
        try:
            node = MergedTree([tree]).resolve(op.subdir).node
        except InvalidError:
            node = None
        if node is None or not node.is_directory:
            raise NotFoundError(
                f"{_shown(op)} has no folder {op.subdir}", code="git-subdir", hint="check the spelling"
            )
        target = place / "subdir"
        os.rename(node.host, target)
        return target


class _Checkout:
    """Checks out one commit and its submodules. With `keep` each tree has its `.git` directory."""

    def __init__(self, git: GitProgram, main: str, *, keep: bool, submodules: bool) -> None:
        self._git = git
        self._main = main
        self._keep = keep
        self._submodules = submodules
        self._count = 0

    def run(self, remote: str, commit: Commit, tree: Path, place: Path, depth: int = 0) -> None:
        """Fill the directory `tree`, made if it is not there; `place` is for what is needed on the way."""
        self._count += 1
        repository = _empty(self._git, place / f"repository-{self._count}", commit.name)
        try:
            self._fetch(remote, commit, repository)
        except TiffinError as error:
            raise _explained(error, remote) from error
        tree.mkdir(exist_ok=True)
        if commit.object:
            self._git.local(
                "update-ref", commit.ref or "refs/heads/main", commit.object, repository=repository
            )
        self._git.local("checkout", "-q", "-f", "--detach", commit.name, tree=tree, repository=repository)
        modules = list(self._modules(commit.name, repository)) if self._submodules else []
        if self._keep:
            _keep(self._git, remote, repository, tree)
        else:
            remove_tree(repository)
        for path, url, name in modules:
            if depth >= _DEPTH:
                raise InvalidError(
                    f"{without_login(self._main)} has submodules more than {_DEPTH} deep", code="submodules"
                )
            _check_folder(tree, path)
            self.run(submodule_remote(remote, url), Commit(name), tree / path, place, depth + 1)

    def _fetch(self, remote: str, commit: Commit, repository: Path) -> None:
        """Get the commit: by its ref, by itself, or, where a server gives neither alone, with everything."""
        attempts = [["--depth=1", "--", remote, name] for name in (commit.ref, commit.name) if name]
        everything = ["+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*"]
        attempts.append(["--", remote, *everything])
        problem: TiffinError | None = None
        for attempt in attempts:
            try:
                self._git.remote(
                    remote, "fetch", "-q", "--no-tags", "--no-write-fetch-head", *attempt,
                    main=self._main, repository=repository,
                )  # fmt: skip
            except UnavailableError as error:
                problem = problem or error
                continue
            if self._has(commit, repository):
                return
        raise problem or NotFoundError(
            f"it has no commit {commit.name}", code="git-commit", hint="it may be gone after a forced push"
        )

    def _has(self, commit: Commit, repository: Path) -> bool:
        try:
            for name in (commit.name, commit.object or commit.name):
                self._git.local("cat-file", "-e", name, repository=repository)
        except UnavailableError:
            return False
        return True

    def _modules(self, commit: str, repository: Path) -> Iterator[tuple[str, str, str]]:
        """Yield path, URL and commit of each submodule."""
        listed = self._git.local("ls-tree", "-z", commit, "--", _MODULES, repository=repository)
        if not listed.startswith(b"100"):  # none, or something that is no file
            return
        text = self._git.local(
            "config", "--blob", f"{commit}:{_MODULES}", "-z", "--list", repository=repository
        )
        for module in _parse_modules(text).values():
            path, url = module.get("path", ""), module.get("url", "")
            if not path or not url or module.get("update") == "none":
                continue
            entry = self._git.local(
                "--literal-pathspecs", "ls-tree", "-z", commit, "--", path, repository=repository
            )
            mode, _, rest = entry.partition(b" ")
            kind, _, rest = rest.partition(b" ")
            name, _, found = rest.partition(b"\t")
            if mode == _GITLINK and kind == b"commit" and os.fsdecode(found).rstrip("\0") == path:
                yield path, url, name.decode()


def _empty(git: GitProgram, place: Path, commit: str) -> Path:
    """Make a repository without anything in it, for commits like `commit`."""
    place.mkdir()
    form = "sha256" if len(commit) == 64 else "sha1"
    git.local("init", "-q", "--bare", "--template=", f"--object-format={form}", repository=place)
    return place


def _keep(git: GitProgram, remote: str, repository: Path, tree: Path) -> None:
    """Make `repository` the `.git` directory of `tree`, with nothing in it that differs from time to time."""
    git.local("config", "core.bare", "false", repository=repository)
    git.local("config", "remote.origin.url", without_login(remote), repository=repository)
    # One pack without deltas is the same whatever pack a server sent; it holds one commit, so little is lost.
    git.local("repack", "-q", "-n", "-a", "-d", "-F", "--window=0", "--threads=1", repository=repository)
    git.local("read-tree", "HEAD", repository=repository)  # an index without times and inodes
    for name in ("FETCH_HEAD", "ORIG_HEAD"):
        (repository / name).unlink(missing_ok=True)
    remove_tree(repository / "logs")
    repository.rename(tree / ".git")


def _check_folder(tree: Path, path: str) -> None:
    """Raise InvalidError unless git has left an empty folder of `tree` at `path`, reached through no link."""
    if posixpath.normpath(path) != path or path.startswith(("/", "..")):
        raise InvalidError(f"{path!r} is no place for a submodule", code="submodules")
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        inner = open_in_root(fd, path, os.O_RDONLY | os.O_DIRECTORY, links=False)
    except OSError as error:
        raise InvalidError(
            f"the submodule at {path!r} has no folder of its own", code="submodules"
        ) from error
    finally:
        os.close(fd)
    try:
        if os.listdir(inner):
            raise InvalidError(f"the folder of the submodule at {path!r} is not empty", code="submodules")
    finally:
        os.close(inner)


def _candidates(ref: str) -> list[str]:
    """The full names that `ref` can mean, the first that exists counts; a branch before a tag, as in git."""
    if not ref:
        return ["HEAD"]
    if ref.startswith("refs/"):
        return [ref]
    return [f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/{ref}"]


def _refs(said: bytes) -> Iterator[tuple[str, str]]:
    for line in said.decode("utf-8", "surrogateescape").splitlines():
        name, tab, ref = line.partition("\t")
        if tab and is_commit(name):
            yield ref, name


def _parse_modules(text: bytes) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for record in text.split(b"\0"):
        key, newline, value = os.fsdecode(record).partition("\n")
        section, _, rest = key.partition(".")
        name, _, variable = rest.rpartition(".")
        if newline and section == "submodule" and name:
            found.setdefault(name, {})[variable] = value
    return found


def _shown(op: Git) -> str:
    return without_login(op.remote) + (f"#{op.ref}" if op.ref else "")


def _explained(error: TiffinError, remote: str) -> TiffinError:
    return type(error)(
        f"{without_login(remote)} cannot be fetched: {without_login(error.message)}",
        code=error.code,
        hint=error.hint,
    )
