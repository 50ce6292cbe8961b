"""The steps of a build in the words of BuildKit's definition (solver/pb/ops.proto), for provenance. Pure.

What is put down is what the steps are made from: no values of secrets, no proxies, nothing of the host.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from tiffin.build.attest.purl import local_name
from tiffin.build.giturl import without_login
from tiffin.build.graph import (
    MAIN,
    BindMount,
    CacheMount,
    Copy,
    Git,
    Http,
    Local,
    MakeDirectory,
    Run,
    SecretMount,
    Source,
    SshMount,
    Taken,
    TmpfsMount,
)
from tiffin.oci import codec
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.build.graph import Graph, Mount, Op
    from tiffin.oci.platform import Platform

_NETWORKS: Final = {"default": 0, "host": 1, "none": 2}
_SHARING: Final = {"shared": 0, "private": 1, "locked": 2}
_BIND, _SECRET, _SSH, _CACHE, _TMPFS = range(5)


def steps_of(graph: Graph) -> list[int]:
    """Return the vertices that the result of the graph depends on, in their order."""
    needed = {graph.result}
    for number in range(graph.result, -1, -1):
        if number in needed:
            needed.update(graph.vertices[number].inputs)
    return [number for number in sorted(needed) if not _is_scratch(graph.vertices[number].op)]


def shown_context(op: Local) -> str:
    """Return what BuildKit calls a build context: the main one is `context`."""
    return "context" if op.name == MAIN else op.name


def definition(graph: Graph, steps: Sequence[int]) -> dict[str, Any]:
    """Return `llbDefinition` and `digestMapping` of the steps, whose names are `step0` and so on."""
    names = {number: f"step{index}" for index, number in enumerate(steps)}
    written, digests = [], {}
    for number in steps:
        vertex = graph.vertices[number]
        # Nothing is copied onto: to BuildKit, the file system of scratch is no input at all.
        inputs = [f"{names[each]}:0" for each in vertex.inputs if each in names]
        places = _places(vertex.inputs, names)
        step = {"id": names[number], "op": _operation(vertex.op, places)}
        if inputs:
            step["inputs"] = inputs
        written.append(step)
        digests[_digest(step)] = names[number]
    return {"llbDefinition": written, "digestMapping": digests}


def _is_scratch(op: Op) -> bool:
    return isinstance(op, Source) and not op.diff_ids


def _digest(step: dict[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(codec.encode(step)).hexdigest()}"


def _places(inputs: Sequence[int], names: dict[int, str]) -> list[int]:
    """Return where each input stands among those that are left; -1 for the empty file system."""
    places, count = [], 0
    for each in inputs:
        places.append(count if each in names else -1)
        count += each in names
    return places


def _operation(op: Op, places: Sequence[int]) -> dict[str, Any]:
    match op:
        case Source():
            found = {"Op": {"source": {"identifier": _image(op)}}, "constraints": {}}
            return found | ({"platform": _platform(op.platform)} if op.platform else {})
        case Local():
            return {"Op": {"source": {"identifier": f"local://{shown_context(op)}"}}, "constraints": {}}
        case Http():
            attrs = {"http.filename": op.name} | ({"http.checksum": op.checksum} if op.checksum else {})
            source = {"identifier": without_login(op.url), "attrs": attrs}
            return {"Op": {"source": source}, "constraints": {}}
        case Git():
            return {"Op": {"source": _repository(op)}, "constraints": {}}
        case Copy():
            return {"Op": {"file": {"actions": _copies(op, places)}}, "constraints": {}}
        case MakeDirectory():
            made = {"path": op.path, "mode": 0o755, "makeParents": True, "timestamp": -1}
            return {"Op": {"file": {"actions": [_action(places[0], -1, {"mkdir": made})]}}, "constraints": {}}
        case Run():
            found = {"Op": {"exec": _command(op, places)}, "constraints": {}}
            return found | ({"platform": _platform(op.platform)} if op.platform else {})


def _image(op: Source) -> str:
    name = local_name(op.reference)
    if name is not None:
        return f"oci-layout://{name}@{op.digest}"
    reference = Reference.parse(op.reference).tagged()
    return f"docker-image://{reference if op.digest is None else reference.with_digest(op.digest)}"


def _repository(op: Git) -> dict[str, Any]:
    remote = without_login(op.remote)
    fragment = ":".join((op.ref, op.subdir) if op.subdir else filter(None, (op.ref,)))
    identifier = f"git://{remote.partition('://')[2] or remote}"
    attrs = {"git.fullurl": remote} | ({"git.keepgitdir": "true"} if op.keep_git_dir else {})
    return {"identifier": f"{identifier}#{fragment}" if fragment else identifier, "attrs": attrs}


def _platform(platform: Platform) -> dict[str, str]:
    found = {"Architecture": platform.architecture, "OS": platform.os}
    return found | ({"Variant": platform.variant} if platform.variant else {})


def _action(onto: int, other: int, what: dict[str, Any]) -> dict[str, Any]:
    return {"input": onto, "secondaryInput": other, "output": 0, "Action": what}


def _copies(op: Copy, places: Sequence[int]) -> list[dict[str, Any]]:
    taken = op.taken or [Taken(1, op.unpack)] * len(op.sources)
    actions = []
    for source, part in zip(op.sources, taken, strict=True):
        copy = {"src": f"/{source.lstrip('/')}", "dest": op.destination, "mode": -1, "timestamp": -1}
        copy |= {"followSymlink": True, "dirCopyContents": True, "createDestPath": True}
        copy |= {"allowWildcard": True, "allowEmptyWildcard": True}
        copy |= {"attemptUnpackDockerCompatibility": True} if part.unpack else {}
        copy |= {"excludePatterns": list(op.exclude)} if op.exclude else {}
        copy |= {"owner": op.chown} if op.chown else {}
        copy |= {"modeStr": op.chmod} if op.chmod else {}
        actions.append(_action(places[0], places[part.input], {"copy": copy}))
    for file in op.files:
        made = {"path": f"{op.destination.rstrip('/')}/{file.name}", "mode": 0o644, "timestamp": -1}
        made["data"] = b64encode(file.data).decode()
        actions.append(_action(places[0], -1, {"mkfile": made}))
    return actions


def _command(op: Run, places: Sequence[int]) -> dict[str, Any]:
    meta: dict[str, Any] = {"args": list(op.arguments), "env": list(op.env), "cwd": op.directory}
    if op.user:
        meta["user"] = op.user
    root = {"dest": "/"} if places[0] == 0 else {"dest": "/", "input": places[0]}
    found = {"meta": meta, "mounts": [root, *(_mount(mount, places) for mount in op.mounts)]}
    return found | ({"network": _NETWORKS[op.network]} if op.network != "default" else {})


def _mount(mount: Mount, places: Sequence[int]) -> dict[str, Any]:
    found: dict[str, Any] = {"input": -1, "dest": mount.target or f"/run/secrets/{_id(mount)}"}
    match mount:
        case BindMount():
            found |= {"input": places[mount.input], "selector": mount.source, "mountType": _BIND}
            found |= {} if mount.writable else {"readonly": True}
        case CacheMount():
            found |= {"mountType": _CACHE}
            found |= {"cacheOpt": {"ID": mount.id, "sharing": _SHARING[mount.sharing]}}
            found |= {} if mount.input is None else {"input": places[mount.input], "selector": mount.source}
        case TmpfsMount():
            found |= {"mountType": _TMPFS}
            found |= {} if mount.size is None else {"TmpfsOpt": {"size": mount.size}}
        case SecretMount() | SshMount():
            secret = isinstance(mount, SecretMount)
            option = {"ID": mount.id, "mode": mount.mode, "uid": mount.uid, "gid": mount.gid}
            option |= {} if mount.required else {"optional": True}
            found |= {"mountType": _SECRET if secret else _SSH, "secretOpt" if secret else "SSHOpt": option}
    return found


def _id(mount: Mount) -> str:
    return mount.id if isinstance(mount, SecretMount) else ""
