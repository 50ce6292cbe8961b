"""URLs of Git repositories as Dockerfiles, contexts and submodules have them → values. Pure.

The forms are those of Docker's builder: `https://…/x.git`, `ssh://…`, `git://…` and `git@host:path`, with
`#REF:SUBDIR` or a query behind them. A URL of the web is a repository only if its path ends in `.git`.
"""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from tiffin.booleans import FALSE, TRUE
from tiffin.errors import InvalidError

_WEB = ("http", "https")
_SCHEMES = (*_WEB, "ssh", "git")
_SCHEME = re.compile(r"([A-Za-z0-9]+)://")
# As scp has it: a path of a host that is reached by ssh, with a user named.
_SCP = re.compile(
    r"(?P<user>[\w-]+)@(?P<host>[\w.-]+):(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<part>.*))?"
)
_LOGIN = re.compile(r"(\w+)://([^/\s]*)@")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_DIGITS = re.compile(r"[0-9a-f]{7,64}")
# What git-check-ref-format(1) forbids, and what ls-remote would read as a pattern.
_BAD_REF = re.compile(r"[\0- \x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|/\.|[/.]$|\.lock$")


class GitUrl(NamedTuple):
    """A repository and what is wanted of it; what the URL does not say is empty, or None.

    `remote` is what git is given; `commit` the beginning of the commit that `ref` has to lead to.
    `doubtful` is one that could be a local path as well: `github.com/…`, as old scripts have it.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    commit: str = ""
    keep_git_dir: bool | None = None
    submodules: bool | None = None
    doubtful: bool = False


def parse_git_url(text: str) -> GitUrl | None:
    """Return the repository that `text` names, or None if it names something else. Raises InvalidError."""
    if text.startswith("github.com/"):
        found = _parse_url(f"https://{text}", "https")
        return found._replace(doubtful=True)
    scheme = _SCHEME.match(text)
    if scheme is not None:
        return _of_scheme(text, scheme[1].lower())
    scp = _SCP.fullmatch(text)
    if scp is None:
        return None
    remote = f"{scp['user']}@{scp['host']}:{scp['path']}"
    return _checked(text, GitUrl(remote), scp["part"] or "", scp["query"] or "")


def is_commit(ref: str) -> bool:
    """Whether `ref` is the whole name of a commit: it says what the content is, whoever is asked."""
    return _COMMIT.fullmatch(ref) is not None


def is_checksum(text: str) -> bool:
    """Whether `text` can be the name of a commit, or the beginning of one."""
    return _DIGITS.fullmatch(text) is not None


def without_login(text: str) -> str:
    """Return a text with the URLs in it freed of names and passwords, as it may be shown and kept.

    The name alone that ssh needs is no secret.
    """
    return _LOGIN.sub(lambda url: url[0] if url[1] == "ssh" and ":" not in url[2] else f"{url[1]}://", text)


def submodule_remote(remote: str, url: str) -> str:
    """Return the remote of a submodule with `url`, which may be relative to that of its repository.

    Raises InvalidError for one that is not reached over a network.
    """
    if url.startswith(("./", "../")):
        url = _joined(remote, url)
    scheme = _SCHEME.match(url)
    scp = _SCP.fullmatch(url)
    known = scheme[1].lower() in _SCHEMES if scheme else scp is not None and not scp["part"]
    if not known or "::" in url.partition("/")[0]:
        raise InvalidError(
            f"the submodule of {without_login(remote)} with the URL {url!r} is not of http, ssh or git",
            code="submodule-url",
            hint="leave submodules out: put ?submodules=false behind the URL of the repository",
        )
    _check_host(url, url)
    return url


def _joined(remote: str, relative: str) -> str:
    """The URL beside `remote`, as git-submodule(1) has it: the repository itself counts as a directory."""
    scp = _SCP.fullmatch(remote)
    if scp is not None:
        head, path = f"{scp['user']}@{scp['host']}:", scp["path"]
        lead = ""
    else:
        parts = urlsplit(remote)
        head, path, lead = f"{parts.scheme}://{parts.netloc}", parts.path, "/"
    joined = posixpath.normpath(posixpath.join("/", path, relative))
    return head + lead + joined.lstrip("/")


def _of_scheme(text: str, scheme: str) -> GitUrl | None:
    if scheme not in _SCHEMES:
        return None
    try:
        path = urlsplit(text).path
    except ValueError:
        return None
    if scheme in _WEB and not unquote(path).endswith(".git"):
        return None
    return _parse_url(text, scheme)


def _parse_url(text: str, scheme: str) -> GitUrl:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid(text, str(error)) from error
    if not host:
        raise _invalid(text, "it names no host")
    remote = urlunsplit((scheme, parts.netloc, parts.path, "", ""))
    return _checked(text, GitUrl(remote), unquote(parts.fragment), parts.query)


def _checked(text: str, found: GitUrl, fragment: str, query: str) -> GitUrl:
    """Add what stands behind the URL, and refuse what git could take for an option."""
    if fragment.startswith("#"):
        raise _invalid(text, "two # follow each other", "write ?ref=…&subdir=…")
    ref, _, subdir = fragment.partition(":")
    found = _with_query(text, found._replace(ref=ref, subdir=subdir), query)
    _check_host(text, found.remote)
    if found.ref and _BAD_REF.search(found.ref):
        raise _invalid(text, f"{found.ref!r} is the name of no branch, tag or commit")
    if found.commit and not is_checksum(found.commit):
        raise _invalid(text, f"{found.commit!r} is no commit", "a commit has 40 hexadecimal digits")
    return found._replace(ref=found.ref or found.commit)


def _check_host(text: str, remote: str) -> None:
    rest = remote.partition("://")[2] or remote
    user, _, host = rest.partition("/")[0].rpartition("@")
    if host.startswith("-") or user.startswith("-") or remote.startswith("-"):
        raise _invalid(text, "a host cannot begin with -")
    if any(ord(character) < 32 or character == "\x7f" for character in remote):
        raise _invalid(text, "it has control characters")


def _with_query(text: str, found: GitUrl, query: str) -> GitUrl:
    """Return `found` with what the query says: ref, tag, branch, subdir, commit and the switches."""
    values: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        name = "commit" if key == "checksum" else key
        if values.setdefault(name, value) != value:
            raise _invalid(text, f"{key} has two values")
        if not value and name not in ("submodules", "keep-git-dir"):
            raise _invalid(text, f"{key} has no value")
    refs = {found.ref} if found.ref else set()
    for name, prefix in (("ref", ""), ("tag", "refs/tags/"), ("branch", "refs/heads/")):
        if name in values:
            refs.add(prefix + values.pop(name).removeprefix(prefix))
    subdirs = {each for each in (found.subdir, values.pop("subdir", "")) if each}
    for what, given in (("ref", refs), ("subdir", subdirs)):
        if len(given) > 1:
            raise _invalid(text, f"it has more than one {what}: {' and '.join(sorted(given))}")
    found = found._replace(
        ref="".join(refs),
        subdir="".join(subdirs),
        commit=values.pop("commit", ""),
        keep_git_dir=_switch(text, values, "keep-git-dir"),
        submodules=_switch(text, values, "submodules"),
    )
    for name in values:
        raise _invalid(
            text, f"there is no {name}", "there are ref, tag, branch, commit, subdir and submodules"
        )
    return found


def _switch(text: str, values: dict[str, str], name: str) -> bool | None:
    value = values.pop(name, None)
    if value is None:
        return None
    if not value or value in TRUE:
        return True
    if value in FALSE:
        return False
    raise _invalid(text, f"{name} is {value!r}, and not true or false")


def _invalid(text: str, why: str, hint: str = "") -> InvalidError:
    return InvalidError(
        f"{without_login(text)} cannot be used: {why}",
        code="git-url",
        hint=hint or "write https://HOST/REPOSITORY.git#REF:FOLDER or git@HOST:REPOSITORY.git",
    )
