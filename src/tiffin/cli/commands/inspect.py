"""tiffin inspect, image inspect and container inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, value
from tiffin.cli.output import print_documents
from tiffin.cli.platformflag import PLATFORM, platform_of
from tiffin.errors import NotFoundError, TiffinError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.engine import Engine
    from tiffin.oci.platform import Platform

    Document = Mapping[str, object]
    Finder = Callable[[Engine, list[str]], list[dict[str, object]]]

TYPES = ("container", "image", "network", "volume")
_NEAR = "did you mean"
FORMAT = value("-f, --format", "FORMAT", "Print as 'json' or through a TEMPLATE such as {{.Config.Env}}")
_SIZE = flag("-s, --size", "Say how much a container has written: SizeRw, SizeRootFs")


def run(session: Session, arguments: Arguments) -> int:
    """Show whatever has the name: a container, an image, a network or a volume."""
    types = (arguments.text("type"),) if arguments.text("type") else TYPES
    return show(session, arguments, types, sizes=arguments.flag("size"))


def run_container(session: Session, arguments: Arguments) -> int:
    """Show containers."""
    return show(session, arguments, ("container",), sizes=arguments.flag("size"))


def run_image(session: Session, arguments: Arguments) -> int:
    """Show images."""
    return show(session, arguments, ("image",), platform=platform_of(arguments))


def show(
    session: Session,
    arguments: Arguments,
    types: tuple[str | None, ...],
    *,
    platform: Platform | None = None,
    sizes: bool = False,
) -> int:
    """Print the documents that were found; a name that was not found fails after them."""

    def finder(kind: str) -> Finder:
        return _finder(kind, platform, sizes=sizes)

    documents: list[dict[str, object]] = []
    failures: list[TiffinError] = []
    with session.engine() as engine:
        for name in arguments.words:
            try:
                documents.append(_find(engine, name, types, finder))
            except TiffinError as error:
                failures.append(error)
    if documents or arguments.text("format") is None:
        print_documents(session, documents, arguments.text("format"))
    session.stdout.flush()
    return session.report(failures)


def _find(
    engine: Engine, name: str, types: tuple[str | None, ...], finder: Callable[[str], Finder]
) -> dict[str, object]:
    missing: list[NotFoundError] = []
    for kind in TYPES:
        if kind not in types:
            continue
        try:
            return finder(kind)(engine, [name])[0]
        except NotFoundError as error:
            missing.append(error)
    if len(missing) == 1:
        raise missing[0]
    near = [error.hint for error in missing if error.hint.startswith(_NEAR)]
    raise NotFoundError(
        f"there is no container, image, network or volume named {name}",
        hint=near[0] if near else "see 'tiffin ps -a' and 'tiffin images'",
    )


def _finder(kind: str, platform: Platform | None, *, sizes: bool) -> Finder:
    if kind == "container":
        from tiffin.engine.containers import inspect as containers

        return (lambda engine, names: containers(engine, names, sizes=True)) if sizes else containers
    if kind == "image":
        from tiffin.engine.images import inspect as images

        return lambda engine, names: images(engine, names, platform)
    if kind == "network":
        from tiffin.engine.networks import inspect as networks

        return networks
    from tiffin.engine.volumes import inspect as volumes

    return volumes


COMMAND = Command(
    "inspect [OPTIONS] NAME|ID [NAME|ID...]",
    run,
    options=(
        FORMAT,
        value("--type", "TYPE", f"Look for this only: {', '.join(TYPES)}", choices=TYPES),
        _SIZE,
    ),
    words=(1, MANY),
    names="containers images",
    examples=(
        "tiffin inspect finca-serving",
        "tiffin inspect --format '{{.State.Status}} {{.State.Pid}}' serving",
        "tiffin inspect --format '{{range .Config.Env}}{{println .}}{{end}}' finca-serving",
    ),
)
IMAGE = Command(
    "inspect [OPTIONS] IMAGE [IMAGE...]",
    run_image,
    options=(FORMAT, PLATFORM),
    words=(1, MANY),
    names="images",
    examples=("tiffin image inspect --format '{{json .RootFS.Layers}}' finca-serving",),
)
CONTAINER = Command(
    "inspect [OPTIONS] CONTAINER [CONTAINER...]",
    run_container,
    options=(FORMAT, _SIZE),
    words=(1, MANY),
    names="containers",
    examples=("tiffin container inspect serving",),
)
