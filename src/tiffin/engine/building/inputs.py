"""What a build reads: the Dockerfile, the contexts that it copies from, and what its steps are lent."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.context import Context
from tiffin.build.graph import MAIN
from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.engine.building.context import LARGEST, STANDARD_INPUT, Place, bounded, open_context
from tiffin.errors import InvalidError, NotFoundError
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tiffin.build.agents import Agent
    from tiffin.build.fetching import Fetching
    from tiffin.build.graph import Git, Http
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine
    from tiffin.oci.descriptor import Descriptor

BUILT = "built:"  # before the name of a context that is an image of the store
LAYOUT = "oci-layout://"
_DOCKERFILE = "Dockerfile"
_IGNORE = ".dockerignore"


class Inputs(NamedTuple):
    """The Dockerfile and how to speak of it, and the contexts by the names that the graph has for them.

    `content` is the digest or commit of a main context that was fetched with the Dockerfile in it.
    """

    text: bytes
    name: str
    contexts: Mapping[str, Context]
    content: str = ""


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


@contextmanager
def read_inputs(engine: Engine, request: BuildRequest, fetching: Fetching) -> Iterator[Inputs]:
    """Give what the build reads, for its time. Raises what reading or fetching does."""
    with open_context(engine, request, fetching) as place:
        text, name, ignore = _dockerfile(request, place, fetching)
        contexts = {MAIN: _main(place, ignore)}
        for context, value in request.build_contexts.items():
            if isinstance(value, str) and _is_folder(value):
                contexts[context] = _named(context, value)
        yield Inputs(text, name, contexts, "" if _is_apart(request.dockerfile) else place.content)


def _is_apart(asked: Path | str | None) -> bool:
    """Whether the Dockerfile does not come with the context, wherever that comes from."""
    text = str(asked or "")
    return text == STANDARD_INPUT or text.startswith(("http://", "https://", "/"))


def _dockerfile(
    request: BuildRequest, place: Place, fetching: Fetching
) -> tuple[bytes, str, tuple[bytes, str] | None]:
    """Return the text, how to speak of it, and the ignore file that belongs to it alone with its name."""
    asked = request.dockerfile
    if asked == STANDARD_INPUT:
        return bounded(sys.stdin.buffer, "the Dockerfile"), "Dockerfile (standard input)", None
    if isinstance(asked, str) and asked.startswith(("http://", "https://")):
        return fetching.fetcher().read(asked, LARGEST), "Dockerfile", None
    if place.dockerfile is not None:
        return place.dockerfile, f"Dockerfile ({place.name})", None
    if place.elsewhere and not (asked and Path(asked).is_absolute()):
        return _inside(place, str(asked or _DOCKERFILE))
    path = Path(asked) if asked else _lower_case(place.folder / _DOCKERFILE)
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
    beside = path.with_name(f"{path.name}{_IGNORE}")
    return text, path.name, (beside.read_bytes(), beside.name) if beside.is_file() else None


def _inside(place: Place, path: str) -> tuple[bytes, str, tuple[bytes, str] | None]:
    """The same of a Dockerfile that came along with the context."""
    folder, _, name = path.rpartition("/")
    lower = [f"{folder}/{name.lower()}"] if name == _DOCKERFILE else []
    text = next((text for each in (path, *lower) if (text := place.read(each)) is not None), None)
    if text is None:
        raise NotFoundError(
            f"there is no file {path} in the build context {place.name}",
            code="dockerfile-not-found",
            hint="name the file with -f, as it is called in there",
        )
    beside = place.read(f"{path}{_IGNORE}")
    return text, name, None if beside is None else (beside, f"{name}{_IGNORE}")


def _lower_case(path: Path) -> Path:
    """The same path, or `dockerfile` if only that is there, as Docker has it."""
    lower = path.with_name(path.name.lower())
    return lower if lower.is_file() and not path.exists() else path


def _main(place: Place, own: tuple[bytes, str] | None) -> Context:
    ignore = own or _ignore_file(place)
    rules = IgnoreRules.parse("") if ignore is None else _rules(*ignore)
    name = place.name if place.elsewhere or place.dockerfile is not None else ""
    return Context(place.folder.resolve(), rules, name, passing=place.passing)


def _ignore_file(place: Place) -> tuple[bytes, str] | None:
    if not place.elsewhere:
        path = place.folder / _IGNORE
        return (path.read_bytes(), _IGNORE) if path.is_file() else None
    data = place.read(_IGNORE)
    return None if data is None else (data, _IGNORE)


def _rules(data: bytes, name: str) -> IgnoreRules:
    return IgnoreRules.parse(data.decode(errors="surrogateescape"), name)


def _named(name: str, value: str) -> Context:
    """Return the named context of a folder; it may have an ignore file of its own."""
    folder = Path(value)
    if not folder.is_dir():
        raise NotFoundError(f"--build-context {name}={value}: {folder} is no directory")
    ignore = _ignore_file(Place(folder, value))
    return Context(folder.resolve(), _rules(*ignore) if ignore else IgnoreRules.parse(""))


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


def _check_name(name: str) -> None:
    try:
        Reference.parse(name)
    except InvalidError as error:
        error.message = f"--build-context {name}: {error.message}"
        raise


def context_kind(name: str, value: str | Descriptor) -> str | Git | Http:
    """Say to the planner what a named context is: a folder, an image, or something to fetch."""
    _check_name(name)
    if not isinstance(value, str):
        return f"image:{BUILT}{name}"
    if _is_folder(value):
        return "local"
    from tiffin.build.remote import named_context

    return named_context(name, value)


def _is_folder(value: str) -> bool:
    """Whether the value can only be a path: others have a scheme, or name a host."""
    return Path(value).is_dir() or not (
        "://" in value or value.startswith(("target:", "github.com/")) or ("@" in value and ":" in value)
    )


def is_context_image(reference: str) -> bool:
    """Whether the planner's name of an image means one that a named context is, and no name at all."""
    return reference.startswith((BUILT, LAYOUT))
