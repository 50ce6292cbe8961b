"""Bake definitions that lie in a repository, in an archive, or at a URL.

Pure. What their targets name is meant where the definition lies, unless it begins with `cwd://`.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from tiffin.bake.requests import is_remote
from tiffin.bake.selection import LINK
from tiffin.build.giturl import parse_git_url
from tiffin.build.remote import parse_context
from tiffin.errors import InvalidError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.bake.selection import Selection

_HERE = "cwd://"
_NOT_A_PATH = (LINK, _HERE, "docker-image:")


def split_words(words: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    """Return the URL of the definition, where its targets may have their context, and the targets."""
    urls = []
    for word in words[:2]:
        if parse_context(word) is None:
            break
        urls.append(word)
    url, context = (*urls, "", "")[:2]
    return url, context or _HERE, tuple(words[len(urls) :])


def rebase(selection: Selection, url: str) -> None:
    """Let the contexts of all targets lie in what `url` names."""
    for target in selection.targets.values():
        context = target.text("context") or "."
        target.values["context"] = _below(url, context, target.name)
        contexts = {key: _below(url, value, target.name) for key, value in target.pairs("contexts").items()}
        if contexts:
            target.values["contexts"] = dict(contexts)


def _below(url: str, path: str, target: str) -> str:
    if path.startswith(_NOT_A_PATH) or is_remote(path):
        return path
    path = posixpath.normpath(path)
    if path == ".":
        return url
    if path.startswith(("/", "../")) or path == "..":
        raise InvalidError(
            f"the target {target} reads {path}, which is not in {url}",
            code="bake-remote",
            hint=f"what lies on this machine begins with {_HERE}",
        )
    if parse_git_url(url) is None or "?" in url:
        raise UnsupportedError(
            f"the target {target} reads {path} of {url}, and only of repositories a folder can be taken",
            code="bake-remote",
            hint="name the repository as URL#REF:FOLDER",
        )
    base, _, fragment = url.partition("#")
    ref, _, folder = fragment.partition(":")
    return f"{base}#{ref}:{posixpath.join(folder, path)}"
