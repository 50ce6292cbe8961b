"""tiffin volume create, ls, rm and inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, refuse, value, values
from tiffin.cli.output import format_option, print_rows
from tiffin.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.engine.volumes import VolumeSummary

FILTERS = ("dangling", "driver", "label", "name")
HEADINGS = {
    "Name": "VOLUME NAME",
    "Driver": "DRIVER",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Scope": "SCOPE",
    "Size": "SIZE",
}
_CLUSTER = "there are no clusters"
_DRIVERS = ("local",)


def create(session: Session, arguments: Arguments) -> int:
    """Make a volume and print its name."""
    from tiffin.engine.volumes import create as create_volume

    name = arguments.words[0] if arguments.words else None
    labels, options = (tuple(arguments.pairs(kind).items()) for kind in ("label", "opt"))
    with session.engine() as engine:
        session.print(create_volume(engine, name, labels, options))
    return 0


def list_(session: Session, arguments: Arguments) -> int:
    """List volumes by name."""
    from tiffin.engine.volumes import list_volumes

    with session.engine() as engine:
        found = select(list_volumes(engine), arguments.texts("filter"))
    rows = [_row(volume) for volume in sorted(found, key=lambda volume: volume.name)]
    form = arguments.text("format")
    if arguments.flag("quiet") and form in (None, "table"):
        for row in rows:
            session.print(str(row["Name"]))
        return 0
    print_rows(session, rows, HEADINGS, ["Driver", "Name"], form)
    return 0


def remove(session: Session, arguments: Arguments) -> int:
    """Remove volumes and print their names."""
    from tiffin.engine.volumes import remove as remove_volumes

    def act(name: str) -> str:
        try:
            remove_volumes(engine, [name])
        except NotFoundError:
            if not arguments.flag("force"):
                raise
        return name

    with session.engine() as engine:
        return session.each(arguments.words, act)


def inspect(session: Session, arguments: Arguments) -> int:
    """Show volumes; a name that was not found fails after them."""
    from tiffin.cli.commands.inspect import show

    return show(session, arguments, ("volume",))


def select(volumes: Sequence[VolumeSummary], filters: tuple[str, ...]) -> list[VolumeSummary]:
    """Those volumes that all filters let through."""
    from tiffin.cli.units import has_labels, parse_filters, parse_truth

    wanted = parse_filters(filters, FILTERS)
    chosen = [volume for volume in volumes if has_labels(dict(volume.labels), wanted.get("label", []))]
    if "dangling" in wanted:
        dangling = parse_truth("dangling", wanted["dangling"][-1])
        chosen = [volume for volume in chosen if (not volume.containers) == dangling]
    if "name" in wanted:
        chosen = [volume for volume in chosen if any(text in volume.name for text in wanted["name"])]
    if "driver" in wanted:
        chosen = [volume for volume in chosen if "local" in wanted["driver"]]
    return chosen


def _row(volume: VolumeSummary) -> Row:
    labels = dict(volume.labels)
    return {
        "Name": volume.name,
        "Driver": "local",
        "Mountpoint": str(volume.mountpoint),
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": lambda key: labels.get(key, ""),
        "Links": str(len(volume.containers)),
        "Scope": "local",
        "Size": "N/A",
    }


CREATE = Command(
    "create [OPTIONS] [VOLUME]",
    create,
    options=(
        value("-d, --driver", "DRIVER", "Who keeps it: local", default="local", choices=_DRIVERS),
        values("--label", "KEY=VALUE", "Put a label on the volume"),
        values("-o, --opt", "KEY=VALUE", "Let it be a folder or memory: type=none|tmpfs, o=…, device=…"),
        *refuse(_CLUSTER, "--availability=", "--group=", "--limit-bytes=", "--required-bytes=", "--scope="),
        *refuse(
            _CLUSTER, "--secret=", "--sharing=", "--topology-preferred=", "--topology-required=", "--type="
        ),
    ),
    words=(0, 1),
    examples=(
        "tiffin volume create models",
        "tiffin volume create -o type=none -o o=bind -o device=/srv/models models",
        "tiffin volume create -o type=tmpfs -o device=tmpfs -o o=size=64m scratch",
    ),
)
LIST = Command(
    "ls [OPTIONS]",
    list_,
    options=(
        values("-f, --filter", "NAME=VALUE", f"Show only some: {', '.join(FILTERS)}"),
        format_option(),
        flag("-q, --quiet", "Show only names"),
        *refuse(_CLUSTER, "--cluster"),
    ),
    examples=("tiffin volume ls", "tiffin volume ls -q --filter dangling=true"),
)
REMOVE = Command(
    "rm [OPTIONS] VOLUME [VOLUME...]",
    remove,
    options=(flag("-f, --force", "No error if there is none"),),
    words=(1, MANY),
    names="volumes",
    examples=("tiffin volume rm models",),
)
INSPECT = Command(
    "inspect [OPTIONS] VOLUME [VOLUME...]",
    inspect,
    options=(
        value("-f, --format", "FORMAT", "Print as 'json' or through a TEMPLATE such as {{.Mountpoint}}"),
    ),
    words=(1, MANY),
    names="volumes",
    examples=("tiffin volume inspect --format '{{.Mountpoint}}' models",),
)
