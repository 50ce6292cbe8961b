"""Runtimes beside our own: which there are, and what one of them needs to start a container."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tiffin.engine.starting import equipped
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.linux.namespace import pidfd_open, pidfd_send_signal
from tiffin.linux.process import started
from tiffin.oci.codec import encode
from tiffin.runtime.external import Runtime
from tiffin.runtime.portable import external

if TYPE_CHECKING:
    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.engine.request import RunRequest
    from tiffin.engine.settings import Settings
    from tiffin.oci.runtimespec import RuntimeSpec

__all__ = ["OWN", "check", "chosen", "forget", "here", "locate", "place_of", "runtime_of"]

OWN: Final = "tiffin"
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KNOWN: Final = ("crun", "runc", "runsc")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Limits are kept by a cgroup that is made before; a runtime which can leave cgroups alone is told to.
_OPTIONS: Final = {"crun": ("--cgroup-manager=disabled",), "runsc": ("--ignore-cgroups",)}


def chosen(engine: Engine, request: RunRequest) -> str:
    """The runtime that the request or the settings name; empty for our own."""
    name = request.runtime or engine.settings.runtime
    return "" if name == OWN else name


def check(engine: Engine, request: RunRequest) -> None:
    """Refuse a runtime that there is not, and what none but our own can do."""
    name = chosen(engine, request)
    if not name:
        return
    locate(engine.settings, name)
    if request.init:
        raise UnsupportedError(
            f"--init and --runtime {name} exclude each other: the init is a part of tiffin's own runtime",
            code="init-needs-own-runtime",
            hint="leave one of them out, or use an image that has an init of its own, such as tini",
            exit_status=125,
        )

    users = dict(request.security).get("userns", "").partition(":")[0]
    if users in ("host", "keep-id"):
        raise UnsupportedError(
            f"--userns {users} and --runtime {name} exclude each other: it takes what only tiffin's own does",
            code="userns",
            hint="leave one of them out",
            exit_status=125,
        )
    if any(kind == "ipc" and text.startswith("container:") for kind, text in request.security):
        raise UnsupportedError(
            f"--ipc container:… and --runtime {name} exclude each other: it cannot mount the other's memory",
            code="shared-memory",
            hint="leave one of them out",
            exit_status=125,
        )


def locate(settings: Settings, name: str) -> str:
    """The program of a runtime. Raises NotFoundError that names those that are here."""
    table = _table(settings)
    path = table.get(name, name)
    if "/" in path:
        if Path(path).is_file() and os.access(path, os.X_OK):
            return str(Path(path).absolute())
    elif path in _KNOWN and (found := _find(settings, path)):
        return found
    raise NotFoundError(
        f"there is no runtime {name} here; found are {', '.join(here(settings))}",
        code="no-such-runtime",
        hint="install it, give its path, or name it with TIFFIN_RUNTIMES=NAME=PATH",
        exit_status=125,
    )


def here(settings: Settings) -> dict[str, dict[str, str]]:
    """The runtimes that there are, by name, with the paths of their programs."""
    table = _table(settings)
    known = {name: path for name in _KNOWN if (path := _find(settings, name))}
    return {OWN: {"path": sys.executable}, **{name: {"path": path} for name, path in (known | table).items()}}


def _table(settings: Settings) -> dict[str, str]:
    """The further runtimes of the settings. Raises InvalidError."""
    table: dict[str, str] = {}
    for item in filter(None, settings.runtimes.split(",")):
        name, _, path = item.partition("=")
        if not name or not path.startswith("/"):
            raise InvalidError(
                f"TIFFIN_RUNTIMES: {item!r} names no runtime",
                code="bad-runtimes",
                hint="write NAME=/PATH/OF/PROGRAM, with commas between several",
                exit_status=125,
            )
        table[name] = path
    return table


def _find(settings: Settings, name: str) -> str | None:
    return shutil.which(name, path=f"{settings.environ.get('PATH', '')}:{_PATH}")


def runtime_of(engine: Engine, record: Record, spec: RuntimeSpec) -> Runtime:
    """What starts the container."""
    program = locate(engine.settings, record.runtime)
    _refuse_inlays(engine, record)
    spec = equipped(engine, record._replace(devices=()), spec)
    if record.devices:
        from tiffin.engine.hostdevices import with_nodes

        # Others make no nodes in a user namespace: those of this machine are mounted, as without root.
        spec = with_nodes(spec, Rung.SINGLE_ID, record.devices)
    guarded = engine.rung is not Rung.ROOT or bool(spec.linux.uid_mappings)
    config = encode(external(spec, guarded=guarded))
    return Runtime(program, _options(program), record.id, str(place_of(engine, record)), config)


def _refuse_inlays(engine: Engine, record: Record) -> None:
    if not record.mounts:
        return
    from tiffin.engine.mounting import inlays

    for inlay in inlays(engine, record):
        raise UnsupportedError(
            f"{inlay.destination}: --runtime {record.runtime} mounts neither images nor parts of volumes",
            code="mount-needs-own-runtime",
            hint="mount a whole volume or a folder, or leave --runtime away",
            exit_status=125,
        )


def _options(program: str) -> tuple[str, ...]:
    return _OPTIONS.get(Path(program).name, ())


def place_of(engine: Engine, record: Record) -> Path:
    """Where the bundle lies while it runs: the container's root must pass there, and not into our own."""
    run = engine.home.run
    return run.with_name(f"{run.name}-oci") / record.short


def forget(engine: Engine, record: Record) -> None:
    """Take away what a container left whose supervisor was killed: it may even run."""
    place = place_of(engine, record)
    if not place.exists():
        return
    import subprocess

    from tiffin.runtime.external import clear

    try:
        program = locate(engine.settings, record.runtime)
    except NotFoundError:  # it was uninstalled meanwhile
        _end_first(place)
    else:
        command = Runtime(program, _options(program), record.id, str(place)).command(
            "delete", "--force", record.id
        )
        subprocess.run(command, capture_output=True, check=False)
    clear(str(place))


def _end_first(place: Path) -> None:
    """End the first process of a container without its runtime, and all others with it."""
    try:
        pid, written = int((place / "pid").read_text()), (place / "pid").stat().st_mtime
        held = pidfd_open(pid)
    except (OSError, ValueError):
        return
    try:
        ticks = started(pid)
        # A process that began after its number was written down is another one with the same number.
        boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        if ticks is not None and boot + ticks / _TICKS <= written + 1:
            pidfd_send_signal(held, signal.SIGKILL)
    finally:
        os.close(held)
