"""tiffin build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.buildflags import OPTIONS
from tiffin.cli.command import Command
from tiffin.cli.options import usage
from tiffin.cli.stepflags import step_request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.building.request import BuildRequest, BuildResult
    from tiffin.ui.progress import Mode

_VARIABLES = ("TIFFIN_PROGRESS", "BUILDKIT_PROGRESS")


def run(session: Session, arguments: Arguments) -> int:
    """Build an image; its id goes to standard output with --quiet."""
    wanted = request(session, arguments)
    if not arguments.given.isdisjoint(("call", "check")):
        from tiffin.cli.calls import answer, read_call

        call = read_call(arguments, session.path)
        if call.method != "build":
            return answer(session, call, wanted)
    from tiffin.engine.builds import build

    mode = progress_mode(session, arguments)
    if mode == "quiet" and wanted.outputs:
        _keep_apart(session, wanted.outputs)
    _remove_old(wanted.iidfile)
    with session.reporter(mode) as reporter:
        with session.engine(reporter.emit) as engine:
            result = build(engine, wanted)
        if result.kept:
            reporter.say(summary(result))
    if path := arguments.text("metadata-file"):
        from tiffin.engine.building.results import metadata

        write_metadata(path, metadata(result))
    if mode == "quiet" and result.kept:
        session.print(str(result.image_id))
    return 0


def request(session: Session, arguments: Arguments) -> BuildRequest:
    """What is asked of the engine."""
    from pathlib import Path

    from tiffin.engine.building.request import BuildRequest

    iidfile = arguments.text("iidfile")
    return BuildRequest(
        context=arguments.words[0],
        dockerfile=arguments.text("file") or None,
        tags=arguments.texts("tag"),
        build_args=_build_args(arguments, session.path),
        target=arguments.text("target"),
        no_cache=arguments.flag("no-cache"),
        build_contexts=_named(arguments, "build-context", session.path),
        platforms=arguments.texts("platform"),
        network=arguments.text("network") or "default",
        labels=arguments.pairs("label"),
        pull=arguments.flag("pull"),
        iidfile=Path(iidfile) if iidfile else None,
        secrets=arguments.texts("secret"),
        ssh=arguments.texts("ssh"),
        steps=step_request(arguments),
        cache_from=arguments.texts("cache-from"),
        cache_to=arguments.texts("cache-to"),
        no_cache_filter=_stages(arguments, session.path),
        split=arguments.flag("split-layers"),
        why=arguments.flag("why") or progress_mode(session, arguments) == "rawjson",
        outputs=tuple(text for text in arguments.texts("output") if text),
        annotations=arguments.texts("annotation"),
        attest=arguments.texts("attest"),
        provenance=arguments.text("provenance"),
        sbom=arguments.text("sbom"),
        push=arguments.flag("push"),
        load=arguments.flag("load"),
    )


def progress_mode(session: Session, arguments: Arguments) -> Mode:
    """Return how progress is to be shown: by the option, or else the environment."""
    from tiffin.ui.progress import MODES as KNOWN

    name, wanted = "--progress", arguments.text("progress")
    if "progress" not in arguments.given:
        given = ((each, text) for each in _VARIABLES if (text := session.environ.get(each)))
        name, wanted = next(given, (name, wanted))
    if "quiet" in arguments.given and arguments.flag("quiet"):
        return "quiet"
    for mode in KNOWN:
        if mode == wanted:
            return mode
    raise usage(f"{name} is {wanted!r}; it must be one of {', '.join(KNOWN)}", session.path)


def _build_args(arguments: Arguments, path: str) -> dict[str, str | None]:
    """Names with values; None for those that the environment gives."""
    found: dict[str, str | None] = {}
    for item in arguments.texts("build-arg"):
        name, equals, text = item.partition("=")
        if not name:
            raise usage(f'invalid argument "{item}" for "--build-arg" flag: the name is missing', path)
        found[name] = text if equals else None
    return found


def _stages(arguments: Arguments, path: str) -> tuple[str, ...]:
    """The stages that are built anew."""
    given = arguments.texts("no-cache-filter")
    if given and arguments.flag("no-cache"):
        raise usage("--no-cache runs all stages again, so --no-cache-filter says nothing", path)
    return tuple(name for text in given for name in text.split(",") if name)


def _named(arguments: Arguments, option: str, path: str) -> dict[str, str]:
    for item in arguments.texts(option):
        name, equals, source = item.partition("=")
        if not (name and equals and source):
            raise usage(f'invalid argument "{item}" for "--{option}" flag: NAME=SOURCE is needed', path)
    return arguments.pairs(option)


def _keep_apart(session: Session, outputs: tuple[str, ...]) -> None:
    """Refuse to print an image id behind an archive."""
    from tiffin.engine.building.outputspec import parse_output

    if any(output.dest == "-" and output.holds_image for output in map(parse_output, outputs)):
        raise usage("--quiet prints the image id, and the output goes to standard output too", session.path)


def _remove_old(path: Path | None) -> None:
    """An id file tells of this build or of none, as in Docker."""
    if path is not None:
        path.unlink(missing_ok=True)


def summary(result: BuildResult) -> str:
    """Return the line that names the image."""
    names = [reference.familiar for reference in result.tags]
    return f"built {' '.join([*names, str(result.image_id)])}"


def write_metadata(path: str, document: Mapping[str, object]) -> None:
    """Write what `--metadata-file` asks for."""
    import json
    from pathlib import Path

    from tiffin.linux.files import atomic_write

    atomic_write(Path(path), (json.dumps(document, indent=2) + "\n").encode())


COMMAND = Command(
    "build [OPTIONS] PATH | URL | -",
    run,
    options=OPTIONS,
    words=(1, 1),
    names="directories",
    description=(
        "PATH is the folder that COPY and ADD read from; it is not copied, and .dockerignore is obeyed. "
        "URL is a Git repository (https://HOST/x.git#REF:FOLDER), an archive, or a Dockerfile. "
        "With '-' standard input is an archive of such a folder, or a Dockerfile without one. "
        "--progress=rawjson writes one JSON object a line, with the fields event, time, step and more."
    ),
    examples=(
        "tiffin build -t finca-serving .",
        "tiffin build -t finca-serving --build-arg BASE=finca-base -f Dockerfile.slim .",
    ),
)
