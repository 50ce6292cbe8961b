"""`RUN --mount=`: the flags of an instruction, their variables known → the mounts of a Run. Pure."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import msgspec

from tiffin.build import graph
from tiffin.build.paths import absolute
from tiffin.dockerfile import mounts
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.build.draft import Draft
    from tiffin.build.scope import Expander
    from tiffin.dockerfile import ast
    from tiffin.dockerfile.source import Span

_AGENT = "/run/buildkit/ssh_agent."  # where Docker's builder puts it, and scripts may look
_DEFAULT_AGENT = "default"


def plan_mounts(
    draft: Draft, instruction: ast.Run, expander: Expander, take: Callable[[str], int], caches: str = ""
) -> tuple[graph.Mount, ...]:
    """Return the mounts of `instruction`; `take` makes what `from=` names (empty: the context) an input.

    `caches` is the name space that the ids of cache mounts are in.

    It returns the input's number. Raises InvalidError at the flag.
    """
    found: list[graph.Mount] = []
    for flag in instruction.mounts:

        def expand(text: str, span: Span = flag.span) -> str:
            return expander.word(text, draft.variables, span, draft.declared)

        try:
            mount = mounts.parse_mount(flag.text, expand)
            assert mount is not None  # it is None for unknown variables only
            agents = sum(isinstance(each, graph.SshMount) for each in found)
            planned = _planned(mount, draft.config.working_dir, take, agents)
            if caches and isinstance(planned, graph.CacheMount):
                planned = msgspec.structs.replace(planned, id=f"{caches}/{planned.id.lstrip('/')}")
            found.append(planned)
        except InvalidError as error:
            error.where = error.where or flag.span.where
            raise
    return tuple(found)


def _planned(mount: mounts.Mount, directory: str, take: Callable[[str], int], agents: int) -> graph.Mount:
    match mount:
        case mounts.BindMount():
            target = _target(mount.target, directory)
            return graph.BindMount(target, absolute("/", mount.source), take(mount.origin), mount.writable)
        case mounts.CacheMount():
            return _cache(mount, _target(mount.target, directory), take)
        case mounts.TmpfsMount():
            return graph.TmpfsMount(_target(mount.target, directory), mount.size)
        case mounts.SecretMount():
            place = None if mount.target is None else _target(mount.target, directory)
            mode = 0o400 if mount.mode is None else mount.mode
            owner = mount.uid or 0, mount.gid or 0
            return graph.SecretMount(mount.id, place, mount.env, mount.required, mode, *owner)
        case mounts.SshMount():
            place = _target(mount.target, directory) if mount.target else f"{_AGENT}{agents}"
            mode = 0o600 if mount.mode is None else mount.mode
            owner = mount.uid or 0, mount.gid or 0
            return graph.SshMount(mount.id or _DEFAULT_AGENT, place, mount.required, mode, *owner)


def _cache(mount: mounts.CacheMount, target: str, take: Callable[[str], int]) -> graph.CacheMount:
    return graph.CacheMount(
        target,
        mount.id or posixpath.normpath(mount.target),
        mount.sharing,
        absolute("/", mount.source),
        take(mount.origin) if mount.origin else None,
        mount.mode,
        mount.uid,
        mount.gid,
        mount.read_only,
    )


def _target(path: str, directory: str) -> str:
    """Return the absolute target; a relative one is seen from WORKDIR."""
    target = absolute(directory, path)
    if target == "/":
        raise InvalidError(
            f"{path} of --mount is the root filesystem itself",
            code="invalid-mount",
            hint="mount on a directory below /",
        )
    return target
