"""What is elsewhere: words of ADD and values of `--build-context` → operations that fetch. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from tiffin.build.giturl import GitUrl, is_checksum, parse_git_url, without_login
from tiffin.build.graph import Git, Http
from tiffin.errors import InvalidError, UnsupportedError

UNNAMED = "__unnamed__"  # Docker's name for a file whose URL has none
CONTEXT_FILE = "context"
_WEB = re.compile(r"https?://", re.IGNORECASE)
_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_LONGEST_NAME = 255


def parse_source(word: str) -> Git | Http | None:
    """Return what fetches the source `word` of ADD, or None if it is a path. Raises InvalidError."""
    found = parse_git_url(word)
    if found is not None and not found.doubtful:
        return git_op(found)
    return Http(word, file_name(word)) if _WEB.match(word) else None


def parse_context(text: str) -> Git | Http | None:
    """Return what fetches the build context `text`, or None if it is a path. Raises InvalidError."""
    found = parse_git_url(text)
    if found is not None:
        return git_op(found)
    return Http(text, CONTEXT_FILE) if _WEB.match(text) else None


def named_context(name: str, value: str) -> str | Git | Http:
    """Return what `--build-context name=value` is: an operation, `local`, or `image:` and a name."""
    scheme, found, rest = value.partition("://")
    if found and scheme == "docker-image":
        return f"image:{rest}"
    if found and scheme == "oci-layout":
        return f"image:{value}"
    remote = parse_context(value)
    if isinstance(remote, Http):
        return Http(remote.url, remote.name, unpack=True)
    if remote is not None:
        return remote
    if value.startswith("target:"):
        raise InvalidError(
            f"--build-context {name}={value}: targets are those of a bake file",
            code="context-target",
            hint="build both with `tiffin bake`, or build the first with -t and use docker-image://",
        )
    if found:
        raise UnsupportedError(
            f"--build-context {name}={value}: there is no kind {scheme}:// of contexts",
            code="context-kind",
            hint="use a folder, docker-image://, oci-layout://, or the URL of a repository or an archive",
        )
    return "local"


def git_op(url: GitUrl) -> Git:
    """Return the operation that fetches what `url` says; submodules come along unless it says otherwise."""
    return Git(
        url.remote, url.ref, url.subdir, url.commit, bool(url.keep_git_dir), url.submodules is not False
    )


def file_name(url: str) -> str:
    """Return the name of the file that ADD makes of `url`: the last part of its path."""
    try:
        name = unquote(urlsplit(url).path, errors="surrogateescape").rpartition("/")[2]
    except ValueError:
        name = ""
    if (
        name in ("", ".", "..")
        or "\0" in name
        or len(name.encode("utf-8", "surrogateescape")) > _LONGEST_NAME
    ):
        return UNNAMED
    return name


def with_options(op: Git | Http, checksum: str | None, keep_git_dir: bool | None) -> Git | Http:
    """Return `op` with `--checksum` and `--keep-git-dir` of ADD. Raises InvalidError."""
    if isinstance(op, Http):
        if keep_git_dir:
            raise _invalid("--keep-git-dir is for repositories", "leave it out")
        if checksum is not None:
            algorithm, _, digits = checksum.partition(":")
            if len(digits) != _LENGTHS.get(algorithm) or digits.strip("0123456789abcdef"):
                raise _invalid(
                    f"--checksum={checksum} is no digest", "write sha256: and 64 hexadecimal digits"
                )
        return Http(op.url, op.name, checksum)
    if checksum is not None and not is_checksum(checksum):
        raise _invalid(f"--checksum={checksum} is no commit", "of a repository it is the name of a commit")
    if checksum is not None and op.commit not in ("", checksum):
        raise _invalid(f"--checksum={checksum} is not the commit {op.commit} of the URL", "keep one of them")
    keeps = op.keep_git_dir if keep_git_dir is None else keep_git_dir
    return Git(op.remote, op.ref, op.subdir, checksum or op.commit, keeps, op.submodules)


def title(op: Git | Http) -> str:
    """Return how progress speaks of fetching `op`."""
    if isinstance(op, Http):
        return f"fetch {without_login(op.url)}"
    place = f"#{op.ref}" if op.ref else ""
    return f"fetch {without_login(op.remote)}{place}"


def _invalid(what: str, hint: str) -> InvalidError:
    return InvalidError(what, code="add-options", hint=hint)
