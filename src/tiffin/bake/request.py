"""What `tiffin bake` is asked for, and from it the targets to build."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.environment import Outside
from tiffin.bake.files import named_files, read_dotenv, read_files
from tiffin.bake.load import load
from tiffin.bake.overrides import parse_override
from tiffin.bake.selection import select
from tiffin.errors import InvalidError
from tiffin.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.bake.files import File
    from tiffin.bake.load import Loaded
    from tiffin.bake.selection import Selection

_EPOCH = "SOURCE_DATE_EPOCH"


class BakeRequest(NamedTuple):
    """The words of the command line: files of -f, targets, texts of --set and of --var."""

    environ: Mapping[str, str]
    files: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    context: str = "cwd://"  # what BAKE_CMD_CONTEXT says: where the context of remote definitions is


def find_files(request: BakeRequest) -> list[File]:
    """Return the files that lie here."""
    return read_files(named_files(request.files, request.environ))


def read(request: BakeRequest, files: Sequence[File]) -> Loaded:
    """Return all that `files` define."""
    outside = Outside(_variables(request.variables), request.environ, _sources(request.environ))
    builtins = {
        "BAKE_CMD_CONTEXT": request.context,
        "BAKE_LOCAL_PLATFORM": str(Platform.of_machine(os.uname().machine)),
    }
    return load(files, outside, builtins, read_dotenv())


def choose(request: BakeRequest, loaded: Loaded) -> Selection:
    """Return the targets that are to be built, complete."""
    parsed = [parse_override(text, request.environ) for text in request.overrides]
    overrides = [override for override in parsed if override is not None]
    selection = select(loaded.config, request.targets or ("default",), overrides)
    epoch = request.environ.get(_EPOCH)
    for target in selection.targets.values():
        args = target.pairs("args")
        if epoch and _EPOCH not in args:
            target.values["args"] = {**args, _EPOCH: epoch}
    return selection


def _variables(texts: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise InvalidError(f"--var {text}: it is not NAME=VALUE", code="bake-var")
        found[name] = value
    return found


def _sources(environ: Mapping[str, str]) -> dict[str, Callable[[], str]]:
    from datetime import UTC, datetime
    from pathlib import Path
    from uuid import uuid4

    from tiffin.bake.functions.dates import write_stamp

    return {
        "homedir": lambda: environ.get("HOME") or str(Path.home()),
        "timestamp": lambda: write_stamp(datetime.now(UTC)),
        "uuidv4": lambda: str(uuid4()),
    }
