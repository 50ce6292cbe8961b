"""Lint rules of the house that only a check runs: how a Dockerfile installs, and what it stands on. Pure.

Commands are read as a shell would split them, roughly: a rule that is not sure
says nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.build.oneline import short
from tiffin.dockerfile import ast
from tiffin.dockerfile.lint import rules
from tiffin.dockerfile.mounts import mount_option
from tiffin.errors import InvalidError
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.dockerfile.lint.linter import Linter
    from tiffin.dockerfile.source import Span

# A name like bookworm-slim, jammy or 12-slim moves within a release; a tag with two numbers hardly does.
_EXACT = re.compile(r"(?:^|[^0-9.])v?[0-9]+\.[0-9]+|(?:^|\D)20\d{6}")
# Languages release features by the second number, and fixes by the third.
_PATCHED = re.compile(r"(?:^|/)(?:python|node|golang|ruby|rust|php|openjdk|eclipse-temurin)\Z")
_EXACT_TO_PATCH = re.compile(r"(?:^|[^0-9.])v?[0-9]+\.[0-9]+\.[0-9]+")

_SEPARATOR = re.compile(r"&&|\|\||[;|\n()]|(?<![<>])&(?![>&])")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_LISTS = "/var/lib/apt/lists"
_WIDEST = 40


def report_unpinned(base: str, span: Span, linter: Linter) -> None:
    """Report the base image `base` if its name does not say which version it is."""
    try:
        reference = Reference.parse(base)
    except InvalidError:
        return
    if reference.digest is not None:
        return
    patched = _PATCHED.search(reference.repository) is not None
    if reference.tag and (_EXACT_TO_PATCH if patched else _EXACT).search(reference.tag):
        return
    example = "python:3.11.8-slim" if "python" in reference.repository else "debian:12.5-slim"
    linter.report(rules.UNPINNED_BASE_IMAGE, span, base, example)


def report_run(run: ast.Run, environment: Mapping[str, str], linter: Linter) -> None:
    """Report what the commands of `run` leave in its layer."""
    commands = _commands(run)
    cached = [_cached(flag.text) for flag in run.mounts]
    _downloads(run, commands, cached, environment, linter)
    _apt(run, commands, cached, linter)


def _commands(run: ast.Run) -> list[list[str]]:
    """Return the commands as their words, roughly; variables set before one are left out."""
    command = run.command
    line = command.line if isinstance(command, ast.ShellForm) else " ".join(command.arguments)
    found = []
    for text in (line, *(document.stripped for document in run.documents)):
        joined = re.sub(r"\\\r?\n", " ", text)
        for part in _SEPARATOR.split(joined):
            words = part.split()
            while words and (_ASSIGNMENT.match(words[0]) or words[0] in ("sudo", "exec", "then", "do", "{")):
                del words[0]
            if words:
                found.append(words)
    return found


def _cached(mount: str) -> str:
    """Return the target of a mount that keeps what is written there out of the layer."""
    if mount_option(mount, "type") not in ("cache", "tmpfs"):
        return ""
    targets = (mount_option(mount, name) for name in ("target", "dst", "destination"))
    return next((target for target in targets if target), "").rstrip("/")


def _downloads(
    run: ast.Run,
    commands: list[list[str]],
    cached: list[str],
    environment: Mapping[str, str],
    linter: Linter,
) -> None:
    removes = any(words[0] == "rm" and ".cache" in " ".join(words) for words in commands)
    purges = any("cache" in words and {"purge", "clean"} & set(words) for words in commands)
    for words in commands:
        tool = _installer(words)
        if tool is None or removes or purges:
            continue
        option, variable = (
            ("--no-cache-dir", "PIP_NO_CACHE_DIR") if tool == "pip" else ("--no-cache", "UV_NO_CACHE")
        )
        kept = environment.get(variable, "0") in ("0", "false", "off", "") and option not in words
        if kept and not any(tool in target or target.endswith(".cache") for target in cached):
            shown, where = short(" ".join(words), _WIDEST), f"/root/.cache/{tool}"
            linter.report(rules.DOWNLOAD_CACHE_IN_LAYER, run.span, shown, option, where)


def _installer(words: list[str]) -> str | None:
    """Return `pip` or `uv` if the command installs packages with it."""
    name = words[0].rpartition("/")[2]
    if re.fullmatch(r"python[0-9.]*", name) and words[1:2] == ["-m"]:
        words = words[2:]
        name = words[0] if words else ""
    rest = [word for word in words[1:] if not word.startswith("-")]
    if re.fullmatch(r"pip[0-9.]*", name) and rest[:1] == ["install"]:
        return "pip"
    if name == "uv" and (rest[:1] == ["sync"] or rest[:2] == ["pip", "install"]):
        return "uv"
    return None


def _apt(run: ast.Run, commands: list[list[str]], cached: list[str], linter: Linter) -> None:
    actions = [
        next((word for word in words[1:] if not word.startswith("-")), "")
        for words in commands
        if words[0] in ("apt-get", "apt")
    ]
    if "update" not in actions:
        return
    if not {"install", "upgrade", "dist-upgrade", "full-upgrade", "build-dep", "satisfy"} & set(actions):
        linter.report(rules.APT_UPDATE_ALONE, run.span)
        return
    removed = any(words[0] == "rm" and "/var/lib/apt" in " ".join(words) for words in commands)
    if not removed and not any(target and _LISTS.startswith(target) for target in cached):
        linter.report(rules.APT_LISTS_IN_LAYER, run.span)
