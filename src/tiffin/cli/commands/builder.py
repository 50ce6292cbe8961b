"""tiffin builder du, ls, inspect and use, and the same of buildx: there is one builder, tiffin itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.cli.buildflags import BUILDERS, OTHER_BUILDER
from tiffin.cli.command import Command
from tiffin.cli.options import flag, ignore, values
from tiffin.cli.output import NO_TRUNC, format_option, print_rows
from tiffin.ui.columns import ago, human_size, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.engine.prune import CacheUsage

_HEADINGS = {
    "ID": "ID",
    "Reclaimable": "RECLAIMABLE",
    "Size": "SIZE",
    "LastUsedAt": "LAST ACCESSED",
    "CreatedAt": "CREATED AT",
    "Shared": "SHARED",
    "Type": "TYPE",
    "UsageCount": "USAGE COUNT",
}
_BUILDER = {
    "Name": "NAME/NODE",
    "DriverEndpoint": "DRIVER/ENDPOINT",
    "Status": "STATUS",
    "Buildkit": "BUILDKIT",
    "Platforms": "PLATFORMS",
}


def run_usage(session: Session, arguments: Arguments) -> int:
    """List what is remembered of steps, and the cache mounts, with their sizes."""
    from tiffin.cli.units import parse_filters
    from tiffin.engine.prune import cache_usage

    wanted = parse_filters(arguments.texts("filter"), ("id", "type", "shared", "inuse"))
    with session.engine() as engine:
        found = [entry for entry in cache_usage(engine) if _fits(entry, wanted)]
    form = arguments.text("format")
    if arguments.flag("verbose") and form is None:
        for entry in found:
            for line in [*_record(entry), ""]:
                session.print(line)
    else:
        rows = [_usage_row(entry, time.time()) for entry in found]
        print_rows(session, rows, _HEADINGS, list(_HEADINGS)[:4], form)
    if form is None:
        for line in _totals(found):
            session.print(line)
    return 0


def run_list(session: Session, arguments: Arguments) -> int:
    """List the one builder."""
    print_rows(session, [_builder(session)], _BUILDER, list(_BUILDER), arguments.text("format"))
    return 0


def run_inspect(session: Session, arguments: Arguments) -> int:
    """Show the one builder; --bootstrap finds it ready."""
    _need(arguments.words)
    row = _builder(session)
    lines = [
        ("Name:", "default"),
        ("Driver:", "tiffin"),
        ("Status:", str(row["Status"])),
        ("BuildKit version:", str(row["Buildkit"])),
        ("Platforms:", str(row["Platforms"])),
    ]
    for line in table(lines):
        session.print(line)
    return 0


def run_use(_session: Session, arguments: Arguments) -> int:
    """Succeed for the one builder, which is used anyhow."""
    _need(arguments.words)
    return 0


def _need(words: Sequence[str]) -> None:
    from tiffin.errors import NotFoundError

    if words and words[0] not in BUILDERS:
        raise NotFoundError(
            f"there is no builder {words[0]}",
            code="no-such-builder",
            hint="there is one, tiffin itself, which is also called default",
        )


def _builder(session: Session) -> Row:
    from tiffin.engine.foreign import runnable_platforms
    from tiffin.version import VERSION

    with session.engine() as engine:
        platforms = runnable_platforms(engine)
    return {
        "Name": "default*",
        "DriverEndpoint": "tiffin",
        "Status": "running",
        "Buildkit": f"tiffin {VERSION}",
        "Platforms": ", ".join(map(str, platforms)),
    }


def _fits(entry: CacheUsage, wanted: dict[str, list[str]]) -> bool:
    facts = {
        "id": entry.id,
        "type": entry.kind,
        "shared": str(entry.shared).lower(),
        "inuse": str(entry.in_use).lower(),
    }
    return all(facts[name] in texts for name, texts in wanted.items())


def _usage_row(entry: CacheUsage, now: float) -> Row:
    return {
        "ID": entry.id,
        "Reclaimable": str(not entry.in_use).lower(),
        "Size": human_size(entry.size, 4),
        "LastUsedAt": ago(entry.used, now),
        "CreatedAt": _moment(entry.created),
        "Shared": str(entry.shared).lower(),
        "Type": entry.kind,
        "UsageCount": str(entry.uses),
    }


def _record(entry: CacheUsage) -> list[str]:
    return table(
        [
            ("ID:", entry.id),
            ("Created at:", _moment(entry.created)),
            ("Mutable:", str(entry.kind != "regular").lower()),
            ("Reclaimable:", str(not entry.in_use).lower()),
            ("Shared:", str(entry.shared).lower()),
            ("Size:", human_size(entry.size, 4)),
            ("Usage count:", str(entry.uses)),
            ("Last used:", _moment(entry.used)),
            ("Type:", entry.kind),
        ]
    )


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(seconds))


def _totals(found: Sequence[CacheUsage]) -> list[str]:
    """What images have too, what only the cache has, what could go, and all of it."""
    shared = sum(entry.size for entry in found if entry.shared)
    private = sum(entry.size for entry in found if not entry.shared)
    free = sum(entry.size for entry in found if not (entry.in_use or entry.shared))
    rows = [("Shared:", shared), ("Private:", private), ("Reclaimable:", free), ("Total:", shared + private)]
    return table([(name, human_size(size, 4)) for name, size in rows])


USAGE = Command(
    "du [OPTIONS]",
    run_usage,
    options=(
        values("--filter", "NAME=VALUE", "Show only some: id, type=regular|exec.cachemount, shared, inuse"),
        format_option(),
        flag("--verbose", "Show all that is known of each entry"),
        *OTHER_BUILDER,
    ),
    examples=("tiffin builder du", "tiffin builder du --filter type=exec.cachemount"),
)
LIST = Command(
    "ls [OPTIONS]",
    run_list,
    options=(format_option(), *ignore(f"--{NO_TRUNC.long}")),
    examples=("tiffin builder ls",),
)
INSPECT = Command(
    "inspect [OPTIONS] [NAME]",
    run_inspect,
    options=(flag("--bootstrap", "See that it is ready, which it always is"), *OTHER_BUILDER),
    words=(0, 1),
    examples=("tiffin builder inspect",),
)
USE = Command(
    "use [OPTIONS] NAME",
    run_use,
    options=(flag("--default", "Use it by default, which is so anyhow"), *ignore("--global"), *OTHER_BUILDER),
    words=(1, 1),
    examples=("tiffin builder use default",),
)
