"""SLSA provenance of a build, in BuildKit's words (docs/attestations/slsa-definitions.md). Pure.

The same inputs give the same bytes, so there are no times in it, and no number of the run. `min` says what an
image was made from; `max` adds arguments, labels, steps, layers and the text of the Dockerfile. Names
of secrets are in it, values never.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tiffin.build.attest.llb import definition, shown_context, steps_of
from tiffin.build.attest.purl import source_url
from tiffin.build.attest.statement import SLSA_02, SLSA_1, Predicate
from tiffin.build.giturl import without_login
from tiffin.build.graph import Git, Http, Local, Run, SecretMount, Source, SshMount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.build.attest.asked import Provenance
    from tiffin.build.graph import Graph
    from tiffin.build.solve import Result
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import DiffID
    from tiffin.oci.platform import Platform

_BUILD_TYPE: Final = "https://mobyproject.org/buildkit@v1"
_BUILD_TYPE_1: Final = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
_EXTENSION: Final = "https://mobyproject.org/buildkit@v1"
_PRIVATE: Final = ("build-arg:", "label:")


class Invocation(NamedTuple):
    """What the build was asked: `arguments` are the front end's, as `build-arg:A` or `target`.

    `dockerfile` is its name and text, `host` the platform that it ran on. `source` is the URL of a main
    context that was fetched, with the Dockerfile in it, and `content` its digest or commit.
    """

    arguments: Mapping[str, str]
    dockerfile: tuple[str, bytes]
    host: Platform
    source: str = ""
    content: str = ""


class Made(NamedTuple):
    """What was built: the graph of one platform, the results, and how a layer is described."""

    graph: Graph
    results: Mapping[int, Result]
    describe: Callable[[DiffID], Descriptor]


def provenance(asked: Provenance, invocation: Invocation, made: Made) -> Predicate:
    """Return the predicate about the image of one platform."""
    if asked.version == "v1":
        return Predicate(SLSA_1, _version_1(asked, invocation, made))
    return Predicate(SLSA_02, _version_02(asked, invocation, made))


def _version_02(asked: Provenance, invocation: Invocation, made: Made) -> dict[str, Any]:
    parameters, complete = _parameters(asked, invocation, made.graph)
    materials = not parameters["locals"]
    found: dict[str, Any] = {
        "builder": {"id": asked.builder},
        "buildType": _BUILD_TYPE,
        "materials": _materials(invocation, made),
        "invocation": {
            "configSource": _source(invocation, "entryPoint"),
            "parameters": parameters,
            "environment": {"platform": str(invocation.host)},
        },
        "metadata": {
            # What COPY takes from a folder is no material: nobody else can have it by a name.
            "completeness": {"parameters": complete, "environment": True, "materials": materials},
            "reproducible": asked.reproducible,
            f"{_EXTENSION}#metadata": _extension(asked, invocation, made),
        },
    }
    if materials and _is_offline(made.graph):
        found["metadata"][f"{_EXTENSION}#hermetic"] = True
    if asked.full:
        found["buildConfig"] = definition(made.graph, steps_of(made.graph))
    return found


def _version_1(asked: Provenance, invocation: Invocation, made: Made) -> dict[str, Any]:
    parameters, complete = _parameters(asked, invocation, made.graph)
    materials = not parameters["locals"]
    internal: dict[str, Any] = {"builderPlatform": str(invocation.host)}
    if asked.full:
        internal["buildConfig"] = definition(made.graph, steps_of(made.graph))
    metadata: dict[str, Any] = {
        "buildkit_metadata": _extension(asked, invocation, made),
        "buildkit_completeness": {"request": complete, "resolvedDependencies": materials},
    }
    if materials and _is_offline(made.graph):
        metadata["buildkit_hermetic"] = True
    if asked.reproducible:
        metadata["buildkit_reproducible"] = True
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE_1,
            "externalParameters": {
                "configSource": _source(invocation, "path"),
                "request": parameters,
            },
            "internalParameters": internal,
            "resolvedDependencies": _materials(invocation, made),
        },
        "runDetails": {"builder": {"id": asked.builder}, "metadata": metadata},
    }


def _source(invocation: Invocation, key: str) -> dict[str, Any]:
    source = {"uri": invocation.source} | _digests(invocation.content) if invocation.source else {}
    return source | {key: invocation.dockerfile[0]}


def _is_offline(graph: Graph) -> bool:
    """Whether no command could reach the network."""
    ops = (graph.vertices[number].op for number in steps_of(graph))
    return all(op.network == "none" for op in ops if isinstance(op, Run))


def _parameters(asked: Provenance, invocation: Invocation, graph: Graph) -> tuple[dict[str, Any], bool]:
    """Return what the build was asked, and whether that is all."""
    kept = {
        key: value
        for key, value in invocation.arguments.items()
        if asked.full or not key.startswith(_PRIVATE)
    }
    vertices = [graph.vertices[number].op for number in steps_of(graph)]
    locals_ = {shown_context(op) for op in vertices if isinstance(op, Local)} | {"dockerfile"}
    if invocation.source:
        locals_ -= {"context", "dockerfile"}
    found: dict[str, Any] = {
        "frontend": "dockerfile.v0",
        "locals": [{"name": name} for name in sorted(locals_)],
    }
    if kept:
        found["args"] = kept
    if asked.full:
        runs = [op for op in vertices if isinstance(op, Run)]
        for key, kind in (("secrets", SecretMount), ("ssh", SshMount)):
            mounts = [mount for op in runs for mount in op.mounts if isinstance(mount, kind)]
            named = {mount.id: mount.required for mount in sorted(mounts, key=lambda each: each.required)}
            if named:
                found[key] = [
                    {"id": name} | ({} if named[name] else {"optional": True}) for name in sorted(named)
                ]
    return found, len(kept) == len(invocation.arguments)


def _materials(invocation: Invocation, made: Made) -> list[dict[str, Any]]:
    """Return what was fetched for the build: images by what their names stood for, files, and commits."""
    found: dict[str, dict[str, Any]] = {}
    if invocation.source:
        found[invocation.source] = {"uri": invocation.source} | _digests(invocation.content)
    for number in steps_of(made.graph):
        op, content = made.graph.vertices[number].op, made.results[number].content
        match op:
            case Source():
                uri = source_url(op.reference, op.platform)
                content = str(op.digest or "")
            case Http():
                uri = without_login(op.url)
            case Git():
                uri = without_login(op.remote) + (f"#{op.ref}" if op.ref else "")
            case _:
                continue
        found[uri] = {"uri": uri} | _digests(content)
    return [found[uri] for uri in sorted(found)]


def _digests(content: str) -> dict[str, Any]:
    """Return the digest of a file or an image, or a commit, as a material has it."""
    algorithm, colon, value = content.partition(":")
    if colon:
        return {"digest": {algorithm: value}}
    commit = content.partition(" ")[0]
    return {"digest": {"sha256" if len(commit) == 64 else "sha1": commit}} if commit else {}


def _extension(asked: Provenance, invocation: Invocation, made: Made) -> dict[str, Any]:
    """Return what BuildKit adds of its own: where the steps stand in the Dockerfile, and their layers."""
    if not asked.full:
        return {}
    steps = steps_of(made.graph)
    name, text = invocation.dockerfile
    info = {"filename": name, "language": "Dockerfile", "data": b64encode(text).decode()}
    layers = {
        f"step{index}:0": [[_layer(made.describe(diff_id)) for diff_id in made.results[number].diff_ids]]
        for index, number in enumerate(steps)
        if number in made.results and made.results[number].diff_ids
    }
    return {"source": {"locations": _locations(made.graph, steps), "infos": [info]}, "layers": layers}


def _locations(graph: Graph, steps: Sequence[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for index, number in enumerate(steps):
        vertex = graph.vertices[number]
        found[f"step{index}"] = {}
        if vertex.where is not None and not isinstance(vertex.op, Local):
            line = {"line": vertex.where.line}
            found[f"step{index}"] = {"locations": [{"ranges": [{"start": line, "end": line}]}]}
    return found


def _layer(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
