"""Targets → what is asked of the engine, in the words of `tiffin build`.

Pure. What a build cannot do yet is refused by the name of the attribute.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.entries import write_entry
from tiffin.bake.selection import links
from tiffin.build.remote import parse_context
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.building.steprequest import StepRequest
from tiffin.engine.building.unbuilt import UNBUILT
from tiffin.engine.size import size_in_bytes
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.bake.target import Target
    from tiffin.oci.descriptor import Descriptor

_HERE = "cwd://"


class Inputs(NamedTuple):
    """Where the texts of inline Dockerfiles lie, and which images targets are when they are contexts."""

    inline: Mapping[str, Path] = {}
    images: Mapping[str, Descriptor] = {}


def build_request(target: Target, inputs: Inputs) -> BuildRequest:
    """Return what has to be built for `target`. Raises UnsupportedError for what cannot be."""
    _refuse(target)
    context = _context(target)
    return BuildRequest(
        context=context,
        dockerfile=inputs.inline.get(target.name) or _dockerfile(target, context),
        tags=target.texts("tags"),
        build_args=target.pairs("args"),
        target=target.text("target") or None,
        no_cache=target.flag("no-cache") or False,
        build_contexts=_contexts(target, inputs),
        platforms=target.texts("platforms"),
        network=target.text("network") or "default",
        labels=target.pairs("labels"),
        pull=target.flag("pull") or False,
        secrets=_texts(target, "secret"),
        ssh=_texts(target, "ssh"),
        steps=_steps(target),
        cache_from=_texts(target, "cache-from"),
        cache_to=_texts(target, "cache-to"),
        no_cache_filter=() if target.flag("no-cache") else target.texts("no-cache-filter"),
        outputs=() if target.linked else _texts(target, "output"),
        annotations=() if target.linked else target.texts("annotations"),
        attest=() if target.linked else _texts(target, "attest"),
    )


def for_context(request: BuildRequest) -> BuildRequest:
    """Return the request that makes an image of what `request` has built, out of the cache."""
    return request._replace(
        tags=(),
        outputs=(),
        annotations=(),
        attest=(),
        cache_to=(),
        no_cache=False,
        no_cache_filter=(),
        pull=False,
    )


def is_remote(place: str) -> bool:
    """Whether a context lies elsewhere, or is an image."""
    if place.startswith(_HERE):
        return False
    return "://" in place or parse_context(place) is not None


def _texts(target: Target, field: str) -> tuple[str, ...]:
    return tuple(write_entry(field, entry) for entry in target.entries(field))


def _refuse(target: Target) -> None:
    for field in ("context", "dockerfile"):
        if target.text(field) == "-":
            raise InvalidError(
                f"the target {target.name} has {field} = '-', and bake reads none from standard input"
            )


def _context(target: Target) -> Path | str:
    context = target.text("context") or "."
    return context if is_remote(context) else Path(posixpath.normpath(context.removeprefix(_HERE) or "."))


def _dockerfile(target: Target, context: Path | str) -> Path | str:
    """Return the Dockerfile: below the context, in what comes from elsewhere, or somewhere by itself."""
    name = target.text("dockerfile") or "Dockerfile"
    if name.startswith(_HERE):
        return Path(name.removeprefix(_HERE)).absolute()
    if isinstance(context, str) or name.startswith(("http://", "https://")):
        return name
    return context / name


def _steps(target: Target) -> StepRequest:
    asked = StepRequest()
    try:
        if hosts := target.pairs("extra-hosts"):
            from tiffin.network.resolver import parse_extra_host

            lines = (f"{name}={address}" for name, text in hosts.items() for address in text.split(","))
            asked = asked._replace(hosts=tuple(map(parse_extra_host, lines)))
        if names := target.texts("entitlements"):
            from tiffin.build.entitlements import parse_entitlements

            asked = asked._replace(allow=parse_entitlements(names))
        if limits := target.texts("ulimits"):
            from tiffin.runtime.rlimits import parse_ulimits

            asked = asked._replace(rlimits=parse_ulimits(limits))
    except InvalidError as error:
        error.message = f"the target {target.name}: {error.message}"
        raise
    if size := target.text("shm-size"):
        found = size_in_bytes(size)
        if found is None:
            raise InvalidError(f"the target {target.name}: shm-size = {size!r} is not a size like 1g")
        asked = asked._replace(shm_size=found)
    return asked


def _contexts(target: Target, inputs: Inputs) -> dict[str, str | Descriptor]:
    linked = links(target)
    return {
        name: inputs.images.get(linked[name], UNBUILT) if name in linked else value.removeprefix(_HERE) or "."
        for name, value in target.pairs("contexts").items()
    }
