"""The functions of `import tiffin`: what a user names → one call of the engine.

Options have the names and the meaning of the flags of the command line. The store
and the rung are those of the environment: TIFFIN_HOME, TIFFIN_ISOLATION.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from tiffin.errors import InvalidError
from tiffin.python.child import call
from tiffin.python.container import Container
from tiffin.python.image import Image
from tiffin.python.ports import published

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiffin.python.child import Progress
    from tiffin.python.ports import Ports

    Several = str | Sequence[str]


class Identified(Protocol):
    """An image, of `tiffin` or of `tiffin.aio`: as text it is its name."""

    id: str


def build(  # noqa: PLR0913 - the flags of `tiffin build`
    context: str | os.PathLike[str],
    *,
    tag: Several = (),
    dockerfile: str | os.PathLike[str] | None = None,
    build_args: Mapping[str, str | None] | None = None,
    build_contexts: Mapping[str, str] | None = None,
    target: str | None = None,
    platform: Several = (),
    labels: Mapping[str, str] | None = None,
    annotations: Several = (),
    secrets: Several = (),
    ssh: Several = (),
    cache_from: Several = (),
    cache_to: Several = (),
    network: str = "default",
    no_cache: bool = False,
    split_layers: bool = False,
    pull: bool = False,
    progress: Progress | None = None,
) -> Image:
    """Build an image and return it.

    `context` is a folder or the URL of a repository or an archive; `tag` and the other options that may be
    several take a text or a list of them. `progress` gets the events of the build (`tiffin.events`), in
    the caller's thread. Raises TiffinError as `tiffin build` prints it; of a step that
    failed, `output` is the end of what it printed.
    """
    _no_standard_input(context, dockerfile)
    fields = {
        "context": os.fspath(context),
        "dockerfile": None if dockerfile is None else os.fspath(dockerfile),
        "tags": _several(tag),
        "build_args": dict(build_args or {}),
        "build_contexts": dict(build_contexts or {}),
        "target": target,
        "platforms": _several(platform),
        "labels": dict(labels or {}),
        "annotations": _several(annotations),
        "secrets": _several(secrets),
        "ssh": _several(ssh),
        "cache_from": _several(cache_from),
        "cache_to": _several(cache_to),
        "network": network,
        "no_cache": no_cache,
        "split": split_layers,
        "pull": pull,
    }
    return Image(call("build", fields, progress=progress).value)


def run(  # noqa: PLR0913 - the flags of `tiffin run`
    image: str | Identified,
    command: Several = (),
    *,
    name: str | None = None,
    ports: Ports | None = None,
    env: Mapping[str, str] | None = None,
    volumes: Several = (),
    mounts: Several = (),
    tmpfs: Several = (),
    user: str | None = None,
    workdir: str | None = None,
    entrypoint: str | None = None,
    network: str = "default",
    hostname: str | None = None,
    labels: Mapping[str, str] | None = None,
    read_only: bool = False,
    restart: str = "no",
    memory: str | int | None = None,
    cpus: float | None = None,
    gpus: str | int = "",
    cap_add: Several = (),
    cap_drop: Several = (),
    pull: str = "missing",
    platform: str | None = None,
    wait: bool = False,
    wait_timeout: int | None = None,
    progress: Progress | None = None,
) -> Container:
    """Start a container in the background and return it; with `with`, it is removed in the end.

    `ports` maps ports of the container to ports of this machine, 0 for a free one: {8000: 0} publishes on
    127.0.0.1, {8000: ("0.0.0.0", 80)} on all addresses, {"53/udp": 5353} another protocol.
    `volumes` and `mounts` are as `-v` and `--mount` have them: "models:/m:ro", "type=image,src=a,dst=/a".
    `memory` is in bytes or like "512m", `gpus` a number or "all". With `wait`,
    it is returned when it runs and, if it has a health check, is healthy; if that fails, or takes more than
    `wait_timeout` seconds, the container is removed. Without it, one that cannot be started stays,
    as in Docker.
    """
    fields = {
        "image": image if isinstance(image, str) else image.id,
        "command": _several(command),
        "name": name,
        "publish": published(ports or {}),
        "env": [f"{key}={value}" for key, value in (env or {}).items()],
        "volumes": _several(volumes),
        "mounts": _several(mounts),
        "tmpfs": _several(tmpfs),
        "user": user,
        "workdir": workdir,
        "entrypoint": entrypoint,
        "network": network,
        "hostname": hostname,
        "labels": list((labels or {}).items()),
        "read_only": read_only,
        "restart": restart,
        "gpus": str(gpus),
        "limits": [
            (key, str(value)) for key, value in (("memory", memory), ("cpus", cpus)) if value is not None
        ],
        "cap_add": _several(cap_add),
        "cap_drop": _several(cap_drop),
        "pull": pull,
        "platform": platform,
        "wait": wait or wait_timeout is not None,
        "wait_timeout": wait_timeout,
    }
    return Container(call("run", fields, progress=progress).value)


def images(name: str | None = None) -> list[Image]:
    """Return the images in the store, the newest first; those of one repository (and tag) with `name`."""
    return [Image(fields) for fields in call("images", {"name": name}).value]


def image(name: str) -> Image:
    """Return the image of this name or id. Raises NotFoundError with the nearest names."""
    return Image(call("image", {"name": name}).value)


def containers(*, all: bool = False) -> list[Container]:  # noqa: A002 - Docker's word
    """Return the containers that run, or all; the newest first."""
    return [Container(document) for document in call("containers", {"all_": all}).value]


def container(name: str) -> Container:
    """Return the container of this name, id or beginning of an id."""
    return Container(call("container", {"name": name}).value)


def pull(name: str, *, platform: str | None = None, progress: Progress | None = None) -> Image:
    """Fetch an image from its registry and return it."""
    return Image(call("pull", {"name": name, "platform": platform}, progress=progress).value)


def push(
    name: str | Identified,
    *,
    platform: str | None = None,
    split_layers: bool = False,
    progress: Progress | None = None,
) -> str:
    """Send an image to the registry of its name; return the digest that the registry has it under.

    With `split_layers` big layers are sent as several, of files that change together.
    """
    fields = {"name": str(name), "platform": platform, "split": split_layers}
    return str(call("push", fields, progress=progress).value)


def _several(value: Several) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _no_standard_input(*values: object) -> None:
    if "-" in values:
        raise InvalidError(
            "a build from Python does not read standard input, which belongs to the program",
            hint="write the Dockerfile or the context into a file, and name that",
        )
