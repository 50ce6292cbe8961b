"""tiffin build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, ignore, refuse, usage, value, values

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.builds import BuildRequest, BuildResult
    from tiffin.ui.progress import Mode

MODES = ("auto", "tty", "plain", "quiet", "rawjson")

_LIMITS = "limits on the steps of a build are not in this release"
_CACHE = "the build cache is this machine's own store; importing and exporting it is not in this release"
_ATTEST = "attestations are not in this release"
_OUTPUT = "the image goes into the store; 'tiffin save' writes it into an archive"

OPTIONS = (
    values(
        "--build-arg", "NAME[=VALUE]", "Set a build argument; without a value it comes from the environment"
    ),
    values(
        "--build-context", "NAME=SOURCE", "Give a further context a name: a folder, or docker-image://IMAGE"
    ),
    value("-f, --file", "FILE", "The Dockerfile, '-' for standard input (PATH/Dockerfile if not given)"),
    value("--iidfile", "FILE", "Write the image id into this file"),
    values("--label", "KEY=VALUE", "Put a label on the image"),
    flag("--load", "Keep the image in the store, which is always done"),
    value("--metadata-file", "FILE", "Write digests and names of the result into this file, as JSON"),
    value("--network", "MODE", "Network of the RUN instructions: default, none or host", default="default"),
    flag("--no-cache", "Run every instruction again"),
    value("--platform", "PLATFORM", "Build for this platform, like linux/amd64"),
    value("--progress", "MODE", f"How to show progress: {', '.join(MODES)}", default="auto", choices=MODES),
    flag("--pull", "Ask the registry for newer base images"),
    flag("-q, --quiet", "Print nothing but the image id"),
    values(
        "--secret",
        "id=ID[,src=FILE|env=NAME]",
        "Let steps mount a secret: a file, or an environment variable",
    ),
    values("-t, --tag", "NAME[:TAG]", "Give the image a name; can be repeated", dynamic="images"),
    value("--target", "STAGE", "Build this stage, and not the last one"),
    *refuse("forwarding of SSH agents is not in this release", "--ssh="),
    *refuse(_CACHE, "--cache-from=", "--cache-to="),
    *refuse("single instructions cannot be left out of the cache yet; use --no-cache", "--no-cache-filter="),
    *refuse(_OUTPUT, "-o, --output="),
    *refuse("build first, and then use 'tiffin push'", "--push"),
    *refuse(_ATTEST, "--attest=", "--provenance=false|0|disabled=true", "--sbom=false|0|disabled=true"),
    *refuse("annotations on the manifest are not in this release; use --label", "--annotation="),
    *refuse("privileged steps are not in this release", "--allow=", "--security-opt="),
    *refuse("layers are never squashed; use a stage of its own to leave files behind", "--squash"),
    *refuse("lines cannot be added to /etc/hosts of the steps yet", "--add-host="),
    *refuse("checks of the Dockerfile are not in this release", "--check", "--call=build"),
    *refuse("there is one builder, tiffin itself", "--builder=default"),
    *refuse("policies are not in this release", "--policy="),
    *refuse(
        _LIMITS, "--cgroup-parent=", "--cpu-period=", "--cpu-quota=", "-c, --cpu-shares=", "--cpuset-cpus="
    ),
    *refuse(
        _LIMITS,
        "--cpuset-mems=",
        "-m, --memory=",
        "--memory-swap=",
        "--shm-size=",
        "--ulimit=",
        "--resource=",
    ),
    *refuse("use the global option: tiffin --isolation RUNG build", "--isolation=default"),
    *ignore("--compress", "--disable-content-trust", "--force-rm", "--rm"),
)


def run(session: Session, arguments: Arguments) -> int:
    """Build an image; its id goes to standard output with --quiet."""
    place = arguments.words[0]
    if place == "-":
        from tempfile import TemporaryDirectory

        if arguments.text("file"):
            raise usage("'-' reads the Dockerfile from standard input, and -f names another", session.path)
        with TemporaryDirectory(prefix="tiffin-") as empty:
            return _build(session, arguments, request(session, arguments, empty, "-"))
    return _build(session, arguments, request(session, arguments, place, arguments.text("file")))


def request(session: Session, arguments: Arguments, place: str, dockerfile: str | None) -> BuildRequest:
    """What is asked of the engine."""
    from pathlib import Path

    from tiffin.engine.builds import BuildRequest

    _refuse_remote(place)
    iidfile = arguments.text("iidfile")
    return BuildRequest(
        context=Path(place),
        dockerfile=Path(dockerfile) if dockerfile and dockerfile != "-" else dockerfile,
        tags=arguments.texts("tag"),
        build_args=_build_args(arguments, session.path),
        target=arguments.text("target"),
        no_cache=arguments.flag("no-cache"),
        build_contexts=_named(arguments, "build-context", session.path),
        platform=arguments.text("platform"),
        network=arguments.text("network") or "default",
        labels=arguments.pairs("label"),
        pull=arguments.flag("pull"),
        iidfile=Path(iidfile) if iidfile else None,
        secrets=arguments.texts("secret"),
    )


def _build(session: Session, arguments: Arguments, wanted: BuildRequest) -> int:
    from tiffin.engine.builds import build

    mode = _mode(session, arguments)
    _remove_old(wanted.iidfile)
    with session.reporter(mode) as reporter:
        with session.engine(reporter.emit) as engine:
            result = build(engine, wanted)
        names = [reference.familiar for reference in result.tags]
        reporter.say(f"built {' '.join([*names, str(result.image_id)] if names else [str(result.image_id)])}")
    if path := arguments.text("metadata-file"):
        _write_metadata(path, result)
    if mode == "quiet":
        session.print(str(result.image_id))
    return 0


def _mode(session: Session, arguments: Arguments) -> Mode:
    from tiffin.ui.progress import MODES as KNOWN

    wanted = arguments.text("progress")
    if "progress" not in arguments.given:
        wanted = session.environ.get("TIFFIN_PROGRESS") or session.environ.get("BUILDKIT_PROGRESS") or wanted
    if arguments.flag("quiet"):
        return "quiet"
    for mode in KNOWN:
        if mode == wanted:
            return mode
    raise usage(f"TIFFIN_PROGRESS is {wanted!r}; it must be one of {', '.join(KNOWN)}", session.path)


def _build_args(arguments: Arguments, path: str) -> dict[str, str | None]:
    """Names with values; None for those that the environment gives."""
    found: dict[str, str | None] = {}
    for item in arguments.texts("build-arg"):
        name, equals, text = item.partition("=")
        if not name:
            raise usage(f'invalid argument "{item}" for "--build-arg" flag: the name is missing', path)
        found[name] = text if equals else None
    return found


def _named(arguments: Arguments, option: str, path: str) -> dict[str, str]:
    for item in arguments.texts(option):
        name, equals, source = item.partition("=")
        if not (name and equals and source):
            raise usage(f'invalid argument "{item}" for "--{option}" flag: NAME=SOURCE is needed', path)
    return arguments.pairs(option)


def _refuse_remote(place: str) -> None:
    scheme = place.partition("://")[0] if "://" in place else ""
    if scheme or place.startswith(("git@", "github.com/")):
        from tiffin.errors import UnsupportedError

        raise UnsupportedError(
            f"the build context {place} is elsewhere, and this release builds from folders only",
            code="remote-context",
            hint="fetch it first (git clone, curl), and build from the folder",
        )


def _remove_old(path: Path | None) -> None:
    """An id file tells of this build or of none, as in Docker."""
    if path is not None:
        path.unlink(missing_ok=True)


def _write_metadata(path: str, result: BuildResult) -> None:
    import json
    from pathlib import Path

    from tiffin.linux.files import atomic_write

    document = {
        "containerimage.config.digest": str(result.image_id),
        "containerimage.digest": str(result.descriptor.digest),
        "image.name": ",".join(str(reference) for reference in result.tags),
    }
    atomic_write(Path(path), (json.dumps(document, indent=2) + "\n").encode())


COMMAND = Command(
    "build [OPTIONS] PATH | -",
    run,
    options=OPTIONS,
    words=(1, 1),
    names="directories",
    description=(
        "PATH is the folder that COPY and ADD read from; it is not copied, and .dockerignore is obeyed. "
        "With '-' the Dockerfile is read from standard input and there is no folder. "
        "--progress=rawjson writes one JSON object a line, with the fields event, time, step and more."
    ),
    examples=(
        "tiffin build -t finca-serving .",
        "tiffin build -t finca-serving --build-arg BASE=finca-base -f Dockerfile.slim .",
    ),
)
