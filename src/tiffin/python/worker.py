"""The child of `child.call`: does one verb of the engine, and says on a pipe how it went.

Runs as `python -P -c …`, with one thread, so that the engine may enter its namespaces.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from tiffin.engine.engine import Engine
from tiffin.engine.failure import explain
from tiffin.engine.settings import Settings
from tiffin.errors import CorruptError, FailedError, TiffinError
from tiffin.python.wire import pack_error, pack_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiffin.events import Event

    Fields = dict[str, Any]
    Verb = Callable[..., object]

_TAIL = 20


def main() -> None:
    """Read the request from standard input, answer on the pipe that the argument names, and exit."""
    pipe = int(sys.argv[1])
    os.set_inheritable(pipe, False)
    for number in (signal.SIGINT, signal.SIGTERM):  # whoever started us may have had it ignored
        signal.signal(number, signal.default_int_handler)
    verb, arguments = json.load(sys.stdin)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    lock = threading.Lock()

    def send(message: Mapping[str, object]) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        with lock:
            try:
                while data:
                    data = data[os.write(pipe, data) :]
            except BrokenPipeError:
                raise KeyboardInterrupt from None  # the caller has gone: end as if it had asked to

    def emit(event: Event) -> None:
        send({"event": pack_event(event)})

    try:
        with Engine.open(Settings.load(os.environ), emit=emit) as engine:
            answer = VERBS[verb](engine, **_tuples(arguments))
        sys.stdout.flush()
        send({"answer": answer})
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the caller is told of every failure
        send({"error": pack_error(explain(error))})


def _tuples(value: Any) -> Any:
    """Return JSON's lists as the tuples that requests are made of."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return {key: _tuples(item) for key, item in value.items()} if isinstance(value, dict) else value


def _build(engine: Engine, **fields: Any) -> Fields:
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.builds import build

    return _of_digest(engine, build(engine, BuildRequest(**fields)).descriptor.digest)


def _images(engine: Engine, name: str | None = None) -> list[Fields]:
    from tiffin.engine.images import list_images

    return [
        {**image._asdict(), "id": str(image.id), "digest": str(image.digest), "labels": dict(image.labels)}
        for image in list_images(engine, name=name)
    ]


def _image(engine: Engine, name: str) -> Fields:
    from tiffin.engine.lookup import need_name

    return _of_digest(engine, need_name(engine, name).descriptor.digest)


def _of_digest(engine: Engine, digest: object) -> Fields:
    for image in _images(engine):
        if image["digest"] == str(digest):
            return image
    raise CorruptError(
        f"the image {digest} is not whole", hint="`tiffin image inspect` says what is wrong with it"
    )


def _inspect_image(engine: Engine, name: str) -> Fields:
    from tiffin.engine.images import inspect

    return inspect(engine, [name])[0]


def _history(engine: Engine, name: str) -> list[Fields]:
    from tiffin.engine.images import history

    return [{**row._asdict(), "id": str(row.id)} for row in history(engine, name)]


def _tag(engine: Engine, name: str, new: str) -> Fields:
    from tiffin.engine.images import tag

    tag(engine, name, new)
    return _image(engine, new)


def _remove_image(engine: Engine, name: str, *, force: bool) -> None:
    from tiffin.engine.images import remove

    remove(engine, [name], force=force)


def _pull(engine: Engine, name: str, platform: str | None) -> Fields:
    from tiffin.engine.settings import real_name
    from tiffin.engine.transfers import pull

    return _of_digest(engine, pull(engine, real_name(engine, name), platform).digest)


def _push(engine: Engine, name: str, platform: str | None, *, split: bool) -> str:
    from tiffin.engine.packing import PushOptions
    from tiffin.engine.transfers import push
    from tiffin.oci.platform import Platform

    wanted = Platform.parse(platform) if platform else None
    return str(push(engine, name, PushOptions(wanted, split)).digest)


def _run(
    engine: Engine, *, wait: bool, wait_timeout: int | None, mounts: tuple[str, ...] = (), **fields: Any
) -> Fields:
    from tiffin.container.mountoptions import parse_mount
    from tiffin.engine.awaiting import await_start
    from tiffin.engine.request import split_networks
    from tiffin.engine.running import RunRequest, run

    fields["network"], fields["networks"] = split_networks((fields["network"],))
    made: list[str] = []
    try:
        wanted = RunRequest(**fields, mounts=tuple(map(parse_mount, mounts)), detach=True)
        run(engine, wanted, announce=made.append)
        if wait:
            await_start(engine, made[0], wait_timeout)
    except TiffinError as error:
        if wait and made:
            _give_up(engine, made[0], error)
        raise
    except KeyboardInterrupt:
        if made:  # whoever asked for it has gone, and will never hear of it
            _remove(engine, made[0], force=True, volumes=True)
        raise
    return _container(engine, made[0])


def _give_up(engine: Engine, name: str, error: TiffinError) -> None:
    """Remove a container that nobody gets a hold of, and keep the end of what it wrote."""
    from tiffin.engine.containers import rm
    from tiffin.engine.logs import logs

    if isinstance(error, FailedError):
        error.output = b"".join(data for _, data in logs(engine, name, tail=_TAIL)).decode("utf-8", "replace")
    rm(engine, [name], force=True, volumes=True)


def _container(engine: Engine, name: str) -> Fields:
    from tiffin.engine.containers import inspect

    return inspect(engine, [name])[0]


def _containers(engine: Engine, *, all_: bool) -> list[Fields]:
    from tiffin.engine.containers import inspect, ps

    return inspect(engine, [container.id for container in ps(engine, all_)])


def _exec(engine: Engine, name: str, **fields: Any) -> int:
    from tiffin.engine.containers import ExecRequest, exec_

    return exec_(engine, name, ExecRequest(**fields)) or 0


def _logs(engine: Engine, name: str, streams: tuple[int, ...], **options: Any) -> None:
    from tiffin.engine.logs import logs

    for moment in ("since", "until"):
        if options.get(moment) is not None:
            options[moment] = round(options[moment] * 1e9)
    for stream, data in logs(engine, name, **options):
        if stream in streams:
            sys.stdout.buffer.write(data)
            if options.get("follow"):
                sys.stdout.buffer.flush()


def _wait(engine: Engine, name: str) -> int:
    from tiffin.engine.awaiting import wait

    return wait(engine, [name])[0]


def _stop(engine: Engine, name: str, timeout: int | None) -> None:
    from tiffin.engine.containers import stop

    stop(engine, [name], timeout)


def _kill(engine: Engine, name: str, signal_name: str) -> None:
    from tiffin.engine.containers import kill

    kill(engine, [name], signal_name)


def _pause(engine: Engine, name: str) -> None:
    from tiffin.engine.pausing import pause

    pause(engine, name)


def _unpause(engine: Engine, name: str) -> None:
    from tiffin.engine.pausing import unpause

    unpause(engine, name)


def _start(engine: Engine, name: str) -> Fields:
    from tiffin.engine.running import start

    start(engine, [name])
    return _container(engine, name)


def _remove(engine: Engine, name: str, *, force: bool, volumes: bool) -> None:
    from tiffin.engine.containers import rm

    rm(engine, [name], force=force, volumes=volumes)


VERBS: dict[str, Verb] = {
    "build": _build,
    "images": _images,
    "image": _image,
    "inspect_image": _inspect_image,
    "history": _history,
    "tag": _tag,
    "remove_image": _remove_image,
    "pull": _pull,
    "push": _push,
    "run": _run,
    "container": _container,
    "containers": _containers,
    "exec": _exec,
    "logs": _logs,
    "wait": _wait,
    "stop": _stop,
    "kill": _kill,
    "pause": _pause,
    "unpause": _unpause,
    "start": _start,
    "remove": _remove,
}
