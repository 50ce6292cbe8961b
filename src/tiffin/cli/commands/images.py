"""tiffin images."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, refuse, values
from tiffin.cli.output import NO_TRUNC, format_option, print_rows
from tiffin.ui.columns import ago, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.engine.images import ImageSummary

NONE = "<none>"
FILTERS = ("before", "dangling", "label", "reference", "since", "until")
HEADINGS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "SIZE",
    "Containers": "CONTAINERS",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}

OPTIONS = (
    flag("-a, --all", "Show also images that only other images are built on"),
    flag("--digests", "Show digests"),
    values("-f, --filter", "NAME=VALUE", f"Show only some: {', '.join(FILTERS)}"),
    format_option(),
    NO_TRUNC,
    flag("-q, --quiet", "Show only ids"),
    *refuse(
        "an image of several platforms is one row; 'tiffin image inspect --platform' shows one", "--tree"
    ),
)


def run(session: Session, arguments: Arguments) -> int:
    """List images: a row for each name, and one for each image without a name."""
    from tiffin.engine.images import list_images

    name = arguments.words[0] if arguments.words else None
    with session.engine() as engine:
        found = list_images(engine, name=name, all_=arguments.flag("all"))
        found = select(found, arguments.texts("filter"), time.time())
    rows = [
        row for image in found for row in image_rows(image, time.time(), whole=arguments.flag("no-trunc"))
    ]
    form = arguments.text("format")
    if arguments.flag("quiet") and form in (None, "table"):
        for row in rows:
            session.print(str(row["ID"]))
        return 0
    columns = ["Repository", "Tag", *(["Digest"] if arguments.flag("digests") else [])]
    print_rows(session, rows, HEADINGS, [*columns, "ID", "CreatedSince", "Size"], form)
    return 0


def image_rows(image: ImageSummary, now: float, *, whole: bool = False) -> Iterator[Row]:
    """A row for each name of `image`."""
    identity = image.id if whole else image.id.partition(":")[2][:12]
    for repository, tag in names(image.references):
        yield {
            "ID": identity,
            "Repository": repository,
            "Tag": tag,
            "Digest": image.digest or NONE,
            "CreatedSince": ago(image.created, now),
            "CreatedAt": utc(image.created),
            "Size": human_size(image.size),
            "VirtualSize": human_size(image.size, 4),
            "Containers": "N/A",
            "SharedSize": "N/A",
            "UniqueSize": "N/A",
        }


def names(references: Sequence[str]) -> list[tuple[str, str]]:
    """(repository, tag) of every name; one `<none>` for an image without names."""
    found = []
    for reference in references:
        name, at, _ = reference.partition("@")
        slash = name.rfind("/")
        colon = name.find(":", slash + 1)
        repository, tag = (name, NONE) if colon < 0 else (name[:colon], name[colon + 1 :])
        if (repository, tag) not in found and not (at and colon < 0 and len(references) > 1):
            found.append((repository, tag))
    return found or [(NONE, NONE)]


def utc(seconds: float) -> str:
    """A moment as Docker's templates give it: `2026-11-22 19:58:17 +0000 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(seconds))


def select(images: Sequence[ImageSummary], filters: tuple[str, ...], now: float) -> list[ImageSummary]:
    """Those images that all filters let through."""
    if not filters:
        return list(images)
    from tiffin.cli.units import has_labels, parse_filters, parse_moment, parse_truth

    wanted = parse_filters(filters, FILTERS)
    chosen = list(images)
    if "dangling" in wanted:
        dangling = parse_truth("dangling", wanted["dangling"][-1])
        chosen = [image for image in chosen if bool(image.references) != dangling]
    if "label" in wanted:
        chosen = [image for image in chosen if has_labels(dict(image.labels), wanted["label"])]
    if "reference" in wanted:
        chosen = [image for image in chosen if _matches(image, wanted["reference"])]
    for before in wanted.get("before", []):
        limit = _moment_of(images, "before", before)
        chosen = [image for image in chosen if image.created < limit]
    for since in wanted.get("since", []):
        limit = _moment_of(images, "since", since)
        chosen = [image for image in chosen if image.created > limit]
    for until in wanted.get("until", []):
        limit = parse_moment(until, now, "--filter until")
        chosen = [image for image in chosen if image.created < limit]
    return chosen


def _matches(image: ImageSummary, patterns: list[str]) -> bool:
    from fnmatch import fnmatchcase

    spellings = [spelling for name, tag in names(image.references) for spelling in (name, f"{name}:{tag}")]
    return any(
        fnmatchcase(spelling, pattern) and spelling.count("/") == pattern.count("/")
        for spelling in spellings
        for pattern in patterns
    )


def _moment_of(images: Sequence[ImageSummary], filter_: str, name: str) -> float:
    for image in images:
        if name in image.references or f"{name}:latest" in image.references:
            return image.created
        if len(name) >= 4 and image.id.partition(":")[2].startswith(name.removeprefix("sha256:")):
            return image.created
    from tiffin.cli.units import nobody

    known = (reference for image in images for reference in image.references)
    raise nobody(filter_, "image", name, known, "tiffin images")


COMMAND = Command(
    "images [OPTIONS] [REPOSITORY[:TAG]]",
    run,
    options=OPTIONS,
    words=(0, 1),
    names="images",
    examples=(
        "tiffin images",
        "tiffin images --format '{{.Repository}}:{{.Tag}} {{.Size}}'",
        "tiffin images -q --filter dangling=true",
    ),
)
