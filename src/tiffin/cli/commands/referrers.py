"""tiffin artifact attach and referrers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, usage, value, values
from tiffin.cli.output import format_option, print_rows
from tiffin.cli.platformflag import PLATFORM, platform_of
from tiffin.ui.columns import human_size

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row

HEADINGS = {
    "ArtifactType": "ARTIFACT TYPE",
    "About": "ABOUT",
    "Kind": "KIND",
    "Digest": "DIGEST",
    "Size": "SIZE",
}


def run_attach(session: Session, arguments: Arguments) -> int:
    """Send files as an artifact about an image, and print the digest that they have there together."""
    from tiffin.engine.referring import attach_files

    name, *paths = arguments.words
    kind = arguments.text("artifact-type")
    if kind is None:
        raise usage("say what is attached: --artifact-type application/spdx+json", session.path)
    quiet = arguments.flag("quiet")
    with session.reporter("quiet" if quiet else "auto") as reporter, session.engine(reporter.emit) as engine:
        subject, sent = attach_files(
            engine,
            name,
            [Path(path) for path in paths],
            kind,
            arguments.pairs("annotation"),
            platform_of(arguments),
        )
        reporter.say(f"attached to {subject.digest}")
    session.print(str(sent.digest))
    return 0


def run_referrers(session: Session, arguments: Arguments) -> int:
    """List what refers to an image in its registry, and the attestations in its index."""
    from tiffin.engine.referring import list_beside
    from tiffin.ui.text import sanitise

    name, kind = arguments.words[0], arguments.text("artifact-type") or ""
    with session.engine() as engine:
        found = list_beside(engine, name, kind, platform_of(arguments))
    if arguments.flag("quiet"):
        for each in found:
            session.print(str(each.descriptor.digest))
        return 0
    rows: list[Row] = [
        {
            "ArtifactType": sanitise(each.artifact_type),
            "About": sanitise(each.about),
            "Kind": each.kind,
            "Digest": str(each.descriptor.digest),
            "Size": human_size(each.descriptor.size),
        }
        for each in found
    ]
    print_rows(session, rows, HEADINGS, list(HEADINGS), arguments.text("format"))
    return 0


_TYPE = "The type of what is attached, as in application/spdx+json"

ATTACH = Command(
    "attach [OPTIONS] IMAGE[:TAG|@DIGEST] PATH [PATH...]",
    run_attach,
    options=(
        values("--annotation", "KEY=VALUE", "Put an annotation on the manifest"),
        value("--artifact-type", "TYPE", _TYPE),
        PLATFORM,
        flag("-q, --quiet", "Show no progress"),
    ),
    words=(2, 10_000),
    description=(
        "Send files to a registry as an artifact that refers to an image there. The image stays as it is, "
        "and so does its digest. A registry that does not know what refers to what gets an index under the "
        "tag that the distribution-spec has for it."
    ),
    examples=(
        "tiffin artifact attach --artifact-type application/spdx+json registry.example.org/app:1 sbom.json",
    ),
)

REFERRERS = Command(
    "referrers [OPTIONS] IMAGE[:TAG|@DIGEST]",
    run_referrers,
    options=(
        value("--artifact-type", "TYPE", "Only what has this type"),
        format_option(),
        PLATFORM,
        flag("-q, --quiet", "Print the digests alone"),
    ),
    words=(1, 1),
    description=(
        "List what refers to an image in its registry, and to the images of its platforms: signatures, "
        "SBOMs, reports; and the attestations that stand in its index."
    ),
    examples=("tiffin artifact referrers registry.example.org/app:1",),
)
