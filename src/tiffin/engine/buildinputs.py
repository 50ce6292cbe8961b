"""What a build reads: the Dockerfile, the contexts that it copies from, and what its steps are lent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.context import Context
from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.build.agents import Agent
    from tiffin.engine.buildrequest import BuildRequest
    from tiffin.engine.engine import Engine

_MAIN = "context"


class Lent(NamedTuple):
    """What steps are lent by name, if they mount it: secrets and SSH agents."""

    secrets: Mapping[str, bytes] = {}
    agents: Mapping[str, Agent] = {}


def dated(engine: Engine, request: BuildRequest) -> Engine:
    """Return the engine for the time that the build argument SOURCE_DATE_EPOCH names, if it has a value.

    The environment's is in the settings already. Raises InvalidError.
    """
    text = request.build_args.get("SOURCE_DATE_EPOCH")
    if not text:
        return engine
    from tiffin.engine.settings import parse_epoch

    return engine.at_epoch(parse_epoch(text))


def read_dockerfile(request: BuildRequest) -> tuple[bytes, str, Path | None]:
    """Return the text, how to speak of it, and the ignore file that belongs to it alone, if any."""
    if not request.context.is_dir():
        raise NotFoundError(
            f"the build context {request.context} is no directory",
            code="context-not-found",
            hint="the last argument of `tiffin build` is the folder to build from, often `.`",
        )
    if request.dockerfile == "-":
        return sys.stdin.buffer.read(), "Dockerfile (standard input)", None
    path = Path(request.dockerfile) if request.dockerfile else request.context / "Dockerfile"
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        found = (
            sorted(entry.name for entry in path.parent.glob("*ockerfile*")) if path.parent.is_dir() else []
        )
        raise NotFoundError(
            f"there is no {path}",
            code="dockerfile-not-found",
            hint=f"name the file with -f; here are: {', '.join(found)}" if found else "name the file with -f",
        ) from error
    except IsADirectoryError as error:
        raise InvalidError(
            f"{path} is a directory, not a Dockerfile", hint="name the file with -f"
        ) from error
    return text, path.name, path.with_name(f"{path.name}.dockerignore")


def read_contexts(request: BuildRequest, beside: Path | None) -> dict[str, Context]:
    """Return the build contexts by the names that the graph has for them."""
    rules = IgnoreRules.parse("")
    for candidate in (beside, request.context / ".dockerignore"):
        if candidate is not None and candidate.is_file():
            rules = IgnoreRules.parse(candidate.read_text(errors="surrogateescape"), candidate.name)
            break
    contexts = {_MAIN: Context(request.context.resolve(), rules)}
    for name, value in request.build_contexts.items():
        if "://" not in value:
            folder = Path(value)
            if not folder.is_dir():
                raise NotFoundError(f"--build-context {name}={value}: {folder} is no directory")
            contexts[name] = Context(folder.resolve(), IgnoreRules.parse(""))
    return contexts


def read_lent(request: BuildRequest, environ: Mapping[str, str]) -> Lent:
    """Return the secrets and agents of a build. Raises what is wrong with one, before anything is run."""
    lent = Lent()
    if request.secrets:
        from tiffin.build.secrets import read_secrets

        lent = lent._replace(secrets=read_secrets(request.secrets, environ))
    if request.ssh:
        from tiffin.build.agents import find_agents

        lent = lent._replace(agents=find_agents(request.ssh, environ))
    return lent


def context_kind(name: str, value: str) -> str:
    """Say to the planner what a named context is: a folder, or an image under another name."""
    scheme, found, rest = value.partition("://")
    if not found:
        return "local"
    if scheme == "docker-image":
        return f"image:{rest}"
    raise UnsupportedError(
        f"--build-context {name}={value}: contexts of the kind {scheme}:// cannot be used yet",
        hint="use a folder, or docker-image:// and the name of an image",
    )
