"""Finding and reading bake files, and what kind each is."""

from __future__ import annotations

import os
import posixpath
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tiffin.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiffin.engine.building.context import Place

# What is read if no file is named: all of these that there are, in this order.
DEFAULTS = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
)
LARGEST = 8 << 20
_HERE = "cwd://"


class File(NamedTuple):
    """A bake file: its name, for messages, and its text."""

    name: str
    text: str


def named_files(options: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return the files of -f, or those of BUILDX_BAKE_FILE if there are none."""
    if options or not environ.get("BUILDX_BAKE_FILE"):
        return list(options)
    separator = environ.get("BUILDX_BAKE_PATH_SEPARATOR") or os.pathsep
    return [name for name in environ["BUILDX_BAKE_FILE"].split(separator) if name]


def read_files(names: Sequence[str]) -> list[File]:
    """Return the files that are named, `-` for standard input; without names, the usual ones that exist."""
    if names:
        return [_read(name) for name in names]
    found = [_read(name) for name in DEFAULTS if Path(name).is_file()]
    if not found:
        raise NotFoundError(
            "there is no bake file here",
            code="bake-file",
            hint=f"name one with -f; without it, these are looked for: {', '.join(DEFAULTS)}",
        )
    return found


def read_remote(place: Place, names: Sequence[str]) -> list[File]:
    """Return the files of what was fetched, `cwd://NAME` and `-` from here; without names, the usual ones.

    A URL that is but a file is that definition itself.
    """
    if place.dockerfile is not None and not names:
        name = posixpath.basename(urlsplit(place.name).path) or "definition"
        return [File(name, _text(place.dockerfile, name))]
    found = []
    for name in names or DEFAULTS:
        if name == "-" or name.startswith(_HERE):
            found.append(_read(name.removeprefix(_HERE)))
            continue
        data = place.read(name)
        if data is not None:
            found.append(File(name, _text(data, name)))
        elif names:
            raise NotFoundError(f"there is no bake file {name} in {place.name}", code="bake-file")
    if not found:
        raise NotFoundError(
            f"there is no bake file in {place.name}",
            code="bake-file",
            hint=f"name one with -f; without it, these are looked for: {', '.join(DEFAULTS)}",
        )
    return found


def _read(name: str) -> File:
    if name == "-":
        return File("standard input", _text(sys.stdin.buffer.read(LARGEST + 1), "standard input"))
    try:
        with Path(name).open("rb") as stream:
            return File(name, _text(stream.read(LARGEST + 1), name))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no bake file {name}", code="bake-file", hint="name it with -f"
        ) from error
    except IsADirectoryError as error:
        raise InvalidError(f"{name} is a directory", code="bake-file", hint="name the file in it") from error


def _text(data: bytes, name: str) -> str:
    if len(data) > LARGEST:
        raise InvalidError(
            f"{name} is larger than {LARGEST >> 20} MiB, and so no bake file", code="bake-file"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidError(f"{name} is not text in UTF-8", code="bake-file") from error


def read_dotenv() -> str:
    """Return the text of the `.env` here; empty if there is none."""
    path = Path(".env")
    return _read(".env").text if path.is_file() else ""
