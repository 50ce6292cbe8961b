"""tiffin artifact push, pull and ls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, value, values
from tiffin.cli.output import format_option, print_rows
from tiffin.cli.policyflags import SIGNATURE_POLICY, use_policy
from tiffin.ui.columns import human_size

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row

HEADINGS = {"Path": "PATH", "Size": "SIZE", "MediaType": "MEDIA TYPE", "Digest": "DIGEST"}
_QUIET = flag("-q, --quiet", "Show no progress")


def run_push(session: Session, arguments: Arguments) -> int:
    """Send files to a registry, and print the digest that they have there together."""
    from tiffin.engine.artifacts import push_artifact
    from tiffin.image.artifact import MODEL

    name, *paths = arguments.words
    quiet = arguments.flag("quiet")
    with session.reporter("quiet" if quiet else "auto") as reporter, session.engine(reporter.emit) as engine:
        sent = push_artifact(
            engine,
            name,
            [Path(path) for path in paths],
            artifact_type=arguments.text("type") or MODEL,
            annotations=arguments.pairs("annotation"),
        )
    session.print(str(sent.digest))
    return 0


def run_pull(session: Session, arguments: Arguments) -> int:
    """Fetch the files of an artifact into a folder, and print their paths."""
    from tiffin.engine.artifacts import pull_artifact

    use_policy(session, arguments)
    folder = Path(arguments.text("output") or ".")
    quiet = arguments.flag("quiet")
    with session.reporter("quiet" if quiet else "auto") as reporter, session.engine(reporter.emit) as engine:
        listed = pull_artifact(engine, arguments.words[0], folder)
    for part in listed.parts:
        session.print(str(folder / part.path))
    return 0


def run_list(session: Session, arguments: Arguments) -> int:
    """List the files of an artifact in a registry."""
    from tiffin.engine.artifacts import list_artifact

    with session.engine() as engine:
        listed = list_artifact(engine, arguments.words[0])
    rows: list[Row] = [
        {
            "Path": part.path,
            "Size": human_size(part.descriptor.size),
            "MediaType": part.descriptor.media_type,
            "Digest": str(part.descriptor.digest),
        }
        for part in listed.parts
    ]
    print_rows(session, rows, HEADINGS, list(HEADINGS), arguments.text("format"))
    return 0


PUSH = Command(
    "push [OPTIONS] NAME[:TAG] PATH [PATH...]",
    run_push,
    options=(
        values("--annotation", "KEY=VALUE", "Put an annotation on the manifest"),
        _QUIET,
        value("--type", "TYPE", "The artifact type, if it is no model by the ModelPack specification"),
    ),
    words=(2, 10_000),
    description=(
        "Send files to a registry: each is a layer of its own, not packed, and what the registry has is not "
        "sent again. Of a folder all files are sent, by their paths in it."
    ),
    examples=(
        "tiffin artifact push registry.example.org/models/barbera:1 model/",
        "tiffin artifact push --type application/vnd.example.report registry.example.org/report:1 report.pdf",
    ),
)

PULL = Command(
    "pull [OPTIONS] NAME[:TAG|@DIGEST]",
    run_pull,
    options=(
        value("-o, --output", "FOLDER", "Where the files go, if not into the current folder"),
        _QUIET,
        SIGNATURE_POLICY,
    ),
    words=(1, 1),
    description=(
        "Fetch the files of an artifact. What is there already is not fetched again, and what was cut off "
        "goes on where it stopped."
    ),
    examples=("tiffin artifact pull -o model registry.example.org/models/barbera:1",),
)

LIST = Command(
    "ls [OPTIONS] NAME[:TAG|@DIGEST]",
    run_list,
    options=(format_option(),),
    words=(1, 1),
    examples=("tiffin artifact ls registry.example.org/models/barbera:1",),
)
