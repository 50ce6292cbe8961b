"""The operations of the runtime-spec on bundles: create, start, kill, delete, and exec beside them.

`create` makes everything and leaves the first process waiting at its gate; `start` lets it go. Nobody of ours
stays: the first process becomes the child of whoever reaps for the caller.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.errors import ConflictError, FailedError, InvalidError, TiffinError, UnsupportedError
from tiffin.linux import capability, namespace
from tiffin.linux.process import Identity, started
from tiffin.oci.runtimespec import IDMapping, Resources
from tiffin.runtime import bundle as bundles
from tiffin.runtime import gate
from tiffin.runtime.bundleplan import Circumstances, hook_call, make_bundle_plan, unknown_capabilities
from tiffin.runtime.cgroups.change import changed
from tiffin.runtime.cgroups.given import Groups, make_groups
from tiffin.runtime.cgroups.limits import Writes
from tiffin.runtime.child import OUR_FAILURE, Streams, command_failure
from tiffin.runtime.hooks import run_hook
from tiffin.runtime.launch import launch
from tiffin.runtime.ocistate import GATE, Directory, State, document
from tiffin.runtime.usermaps import maps_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tiffin.oci.runtimespec import Hook, RuntimeSpec
    from tiffin.runtime.child import Child
    from tiffin.runtime.ocistate import Status

_KILL = 9
_PATIENCE = 10.0
_MOMENT = 0.01


class Creation(NamedTuple):
    """What `create` is told beside the bundle. `say` gets warnings."""

    say: Callable[[str], None]
    console: str = ""
    pid_file: str = ""
    preserved: int = 0
    keyring: bool = True
    waits: bool = False
    """The caller waits for the end, and so can be the user of a terminal itself."""


def create(directory: Directory, place: str, how: Creation) -> Child:
    """Create the container of the bundle at `place`; nothing is left of it if that fails."""
    place = os.path.abspath(place)
    spec = bundles.read(place)
    served = bool(how.console) or how.waits
    if (how.console and not spec.process.terminal) or (spec.process.terminal and not served):
        raise InvalidError(
            "a terminal needs --console-socket"
            if spec.process.terminal
            else "--console-socket needs a terminal",
            code="console-socket",
            hint="process.terminal and --console-socket go together",
        )
    for name in unknown_capabilities(spec):
        how.say(f"there is no capability {name} here")
    directory.make()
    try:
        with directory.locked():
            directory.keep_config(Path(place, bundles.CONFIG).read_bytes())
            return _create(directory, place, spec, how)
    except BaseException:
        directory.remove()
        raise


def _create(directory: Directory, place: str, spec: RuntimeSpec, how: Creation) -> Child:
    now = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    state = State(
        directory.id, place, spec.oci_version, Identity(0, 0), spec.root.path, now, spec.annotations
    )
    spec = _with_mappings(spec)
    groups = _make_groups(spec, directory.id)
    listener = -1
    try:
        state = state._replace(groups=groups.named())
        directory.write(state)  # so that whoever deletes it finds its groups, should we be killed
        told = _told(directory, state, "creating")
        shown = state.groups or groups.here()
        here = Circumstances(os.uname().machine, shown, _makes_nodes(), told, capability.effective())
        plan = make_bundle_plan(spec, here)
        listener = gate.listen(str(directory.path), GATE)
        hooks = spec.hooks
        after = () if hooks is None else tuple(tuple(hook_call(hook)) for hook in hooks.start_container)
        process = plan.process._replace(
            cgroups=groups.joins,
            gate=tuple(gate.Gate(listener, after, _told(directory, state, "created"))),
            preserved=how.preserved,
            keyring=how.keyring,
        )
        size = spec.process.console_size
        terminal = ((size.height, size.width) if size else (0, 0)) if spec.process.terminal else None

        def look(pid: int) -> None:
            groups.join(pid)
            found = state._replace(process=Identity(pid, started(pid) or 0))
            early = () if hooks is None else (*hooks.prestart, *hooks.create_runtime)
            _run_hooks(early, _told(directory, found, "creating"))

        child = launch(plan._replace(process=process), Streams(terminal=terminal), look=look)
        try:
            _settle(directory, state, child, how)
        except BaseException:
            child.end()
            raise
    except BaseException:
        groups.delete()
        raise
    finally:
        if listener >= 0:
            os.close(listener)
    return child


def _make_groups(spec: RuntimeSpec, identity: str) -> Groups:
    """Make the cgroups. In a user namespace no new node opens a device: rules for them may be missing."""
    resources = spec.linux.resources or Resources()
    try:
        return make_groups(spec.linux.cgroups_path, identity, resources)
    except UnsupportedError:
        if not resources.devices or (_makes_nodes() and not spec.linux.uid_mappings):
            raise
    return make_groups(spec.linux.cgroups_path, identity, msgspec.structs.replace(resources, devices=()))


def _with_mappings(spec: RuntimeSpec) -> RuntimeSpec:
    """The document with the mappings of an existing user namespace, which it need not tell."""
    path = next((entry.path for entry in spec.linux.namespaces if entry.type == "user"), "")
    if not path or spec.linux.uid_mappings:
        return spec
    uids, gids = (tuple(IDMapping(*line) for line in lines) for lines in maps_of(path))
    linux = msgspec.structs.replace(spec.linux, uid_mappings=uids, gid_mappings=gids)
    return msgspec.structs.replace(spec, linux=linux)


def _settle(directory: Directory, state: State, child: Child, how: Creation) -> None:
    """Write down that the container is created, and hand its terminal over."""
    hand_over(child, how.console)
    directory.write(state._replace(process=Identity(child.pid, started(child.pid) or 0)))
    write_pid(how.pid_file, child.pid)


def start(directory: Directory, say: Callable[[str], None]) -> None:
    """Let the program of a created container begin. Raises ConflictError for one in another state."""
    with directory.locked():
        state = directory.read()
        status = directory.status(state, held=True)
        if status != "created":
            raise ConflictError(
                f"cannot start a container that has {'stopped' if status == 'stopped' else 'been started'}",
                code="not-created",
                hint="a container is started once; create another",
            )
        failure = gate.call(str(directory.path), GATE)
        (directory.path / GATE).unlink(missing_ok=True)
        if failure is not None:
            raise command_failure(failure)
        spec = bundles.parse(directory.config(), state.bundle)
        told = _told(directory, state, "running")
        _tell_hooks(() if spec.hooks is None else spec.hooks.poststart, told, say)


def kill(directory: Directory, number: int, *, everybody: bool = False) -> None:
    """Send a signal to the first process, or to all of its cgroup. Raises ConflictError if it has ended."""
    state = directory.read()
    if everybody and state.groups:
        for pid in Groups.of(state.groups).pids():
            _signal(pid, number)
        return
    if directory.status(state) in {"creating", "stopped"}:
        raise _not_running(directory)
    _signal(state.process.pid, number)


def freeze(directory: Directory, *, on: bool) -> None:
    """Hold all processes of the container still, or let them go on."""
    state = directory.read()
    status = directory.status(state)
    if status != ("running" if on else "paused"):
        raise ConflictError(
            f"container {directory.id} is {status}", code="not-running", hint="see 'tiffin oci list'"
        )
    Groups.of(state.groups).freeze(on=on)


def update(directory: Directory, data: bytes) -> None:
    """Change the limits of a container to those of the document: all of them, or none."""
    resources = bundles.parse_resources(data)
    state = directory.read()
    if directory.status(state) in {"creating", "stopped"}:
        raise _not_running(directory)
    with changed(Groups.of(state.groups).joins, Writes.of(resources)):
        return


def delete(directory: Directory, say: Callable[[str], None], *, force: bool = False) -> None:
    """Take away what `create` made. Raises ConflictError for what has not stopped, unless forced."""
    with directory.locked():
        state = directory.read()
        status = directory.status(state, held=True)
        if status != "stopped" and not force:
            raise ConflictError(
                f"cannot delete container {directory.id} that is not stopped: {status}",
                code="not-stopped",
                hint="kill it first, or use --force",
            )
        groups = Groups.of(state.groups)
        if status != "stopped":
            _signal(state.process.pid, _KILL)
            if status == "paused":
                groups.freeze(on=False)
            _await_end(state)
        for pid in groups.pids():
            _signal(pid, _KILL)
        groups.delete()
        spec = bundles.parse(directory.config(), state.bundle) if state.bundle else None
        told = _told(directory, state, "stopped")
        directory.remove()
    _tell_hooks(() if spec is None or spec.hooks is None else spec.hooks.poststop, told, say)


def pids(directory: Directory) -> list[int]:
    """Return the processes of the container, as this machine sees them."""
    state = directory.read()
    if directory.status(state) == "stopped":
        return []
    return Groups.of(state.groups).pids() or [state.process.pid]


def write_pid(path: str, pid: int) -> None:
    """Write the number of a process where the caller wants it, whole or not at all."""
    if path:
        from tiffin.linux.files import atomic_write

        atomic_write(Path(path), str(pid).encode(), sync=False)


def _not_running(directory: Directory) -> ConflictError:
    return ConflictError(
        f"container not running: {directory.id}", code="not-running", hint="'tiffin oci delete' removes it"
    )


def _told(directory: Directory, state: State, status: Status) -> bytes:
    """What hooks get to read."""
    return json.dumps(document(directory, state, status), separators=(",", ":")).encode()


def _run_hooks(hooks: Iterable[Hook], told: bytes) -> None:
    for hook in hooks:
        run_hook(hook_call(hook), told)


def _tell_hooks(hooks: Iterable[Hook], told: bytes, say: Callable[[str], None]) -> None:
    """Run hooks that cannot stop anything any more: of one that fails is only warned."""
    for hook in hooks:
        try:
            run_hook(hook_call(hook), told)
        except TiffinError as error:
            say(error.message)


def _makes_nodes() -> bool:
    """Tell whether this process may make device nodes: as root, in no user namespace."""
    return os.geteuid() == 0 and namespace.is_first()


def _signal(pid: int, number: int) -> None:
    if pid <= 0:
        return  # to the system it would mean whole groups of processes
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _await_end(state: State) -> None:
    end = time.monotonic() + _PATIENCE
    while state.process.alive:
        if time.monotonic() > end:
            raise FailedError(
                f"container {state.id} does not end",
                code="not-ended",
                hint="is its process waiting for a disk?",
            )
        time.sleep(_MOMENT)


def hand_over(child: Child, path: str) -> None:
    """Send the terminal to the socket at `path`, if both are there, and let go of it."""
    if child.console is not None and path:
        _send_console(path, child.console)
        os.close(child.console)
        child.console = None


def _send_console(path: str, console: int) -> None:
    """Send our side of the terminal to the socket at `path`."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except OSError as error:
            raise FailedError(
                f"--console-socket {path}: {error.strerror}", code="console-socket", exit_status=OUR_FAILURE
            ) from error
        socket.send_fds(connection, [b"/dev/ptmx"], [console])
