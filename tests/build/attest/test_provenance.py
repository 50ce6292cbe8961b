"""Provenance beside what BuildKit said of the same Dockerfile, and against SLSA's and in-toto's schemas."""

import base64
import json

import pytest
from tests.suites.attestations import check_statement

from tiffin.build.attest.asked import Provenance
from tiffin.build.attest.provenance import Invocation, Made, provenance
from tiffin.build.attest.statement import attach
from tiffin.build.graph import BaseImage
from tiffin.build.merge import merge
from tiffin.build.plan import PlanRequest, plan
from tiffin.build.solve import Result
from tiffin.dockerfile.parser import parse
from tiffin.oci.config import ImageConfig
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.platform import Platform

AMD, ARM = (Platform.parse(text) for text in ("linux/amd64", "linux/arm64"))
BASE = Digest.of(b"base")
MANIFEST = Descriptor(MediaType.OCI_MANIFEST, Digest.of(b"manifest"), 8)
FULL = Provenance(full=True)
NAME = "pkg:docker/example.org/team/img@1?platform=linux%2Famd64"
# What BuildKit of Docker 28.5 wrote for this with --provenance=mode=max is below, but times and digests:
# docker buildx build --secret id=tok,src=tok --build-arg WHO=me --label a=b -o type=oci,dest=x.tar .
TEXT = """\
FROM scratch AS base
COPY busybox /bin/busybox
COPY busybox /bin/sh
FROM base
ARG WHO=you
WORKDIR /srv
RUN --network=none --mount=type=secret,id=tok echo hello $WHO > /out
CMD ["/bin/sh"]
"""
COPY = {"mode": -1, "followSymlink": True, "dirCopyContents": True, "createDestPath": True}
COPY |= {"allowWildcard": True, "allowEmptyWildcard": True, "timestamp": -1}


def resolve(name, platform, _where):
    config = ImageConfig(platform.architecture, platform.os)
    return BaseImage(name, config, (DiffID.of(f"{name} {platform}".encode()),), BASE)


def made(text, platform=AMD, **contents):
    graph = plan(parse(text), PlanRequest(platform, host=AMD, build_args={"WHO": "me"}), resolve)
    layer = DiffID.of(b"layer")
    results = {
        number: Result((layer,) * number, content=contents.get(type(vertex.op).__name__, ""))
        for number, vertex in enumerate(graph.vertices)
    }
    return Made(graph, results, lambda diff_id: Descriptor(MediaType.OCI_LAYER, diff_id, 7))


def said(text=TEXT, *, asked=FULL, arguments=None, source=(), **contents):
    arguments = {"build-arg:WHO": "me", "label:a": "b"} if arguments is None else arguments
    invocation = Invocation(arguments, ("Dockerfile", text.encode()), AMD, *source)
    predicate = provenance(asked, invocation, made(text, **contents))
    attached = attach(MANIFEST, [NAME], [predicate])
    check_statement(json.loads(attached.documents[0][0]), MANIFEST.digest)
    return predicate.content


def test_the_words_are_buildkits():
    found = said()
    assert found["builder"] == {"id": ""}
    assert found["buildType"] == "https://mobyproject.org/buildkit@v1"
    assert found["invocation"] == {
        "configSource": {"entryPoint": "Dockerfile"},
        "parameters": {
            "frontend": "dockerfile.v0",
            "args": {"build-arg:WHO": "me", "label:a": "b"},
            "secrets": [{"id": "tok", "optional": True}],
            "locals": [{"name": "context"}, {"name": "dockerfile"}],
        },
        "environment": {"platform": "linux/amd64"},
    }
    assert found["metadata"]["completeness"] == {"parameters": True, "environment": True, "materials": False}
    assert found["metadata"]["reproducible"] is False
    assert found["materials"] == []


def test_the_steps_are_buildkits():
    steps = said()["buildConfig"]["llbDefinition"]
    assert [(step["id"], step.get("inputs")) for step in steps] == [
        ("step0", None),
        ("step1", ["step0:0"]),
        ("step2", ["step1:0", "step0:0"]),
        ("step3", ["step2:0"]),
        ("step4", ["step3:0"]),
    ]
    ops = [step["op"]["Op"] for step in steps]
    assert ops[0] == {"source": {"identifier": "local://context"}}
    copies = [op["file"]["actions"] for op in ops[1:3]]
    for actions, onto, other, dest in zip(copies, (-1, 0), (0, 1), ("/bin/busybox", "/bin/sh"), strict=True):
        copy = COPY | {"src": "/busybox", "dest": dest}
        assert actions == [{"input": onto, "secondaryInput": other, "output": 0, "Action": {"copy": copy}}]
    directory = {"path": "/srv", "mode": 0o755, "makeParents": True, "timestamp": -1}
    assert ops[3]["file"]["actions"] == [
        {"input": 0, "secondaryInput": -1, "output": 0, "Action": {"mkdir": directory}}
    ]
    command = ops[4]["exec"]
    assert command["meta"]["args"] == ["/bin/sh", "-c", "echo hello $WHO > /out"]
    assert command["meta"]["env"][1:] == ["WHO=me"]
    assert (command["meta"]["cwd"], command["network"]) == ("/srv", 2)
    assert command["mounts"][0] == {"dest": "/"}
    secret = command["mounts"][1]
    assert (secret["input"], secret["dest"], secret["mountType"]) == (-1, "/run/secrets/tok", 1)
    assert secret["secretOpt"] == {"ID": "tok", "mode": 0o400, "uid": 0, "gid": 0, "optional": True}
    assert steps[4]["op"]["platform"] == {"Architecture": "amd64", "OS": "linux"}


def test_the_dockerfile_its_lines_and_the_layers():
    extension = said()["metadata"]["https://mobyproject.org/buildkit@v1#metadata"]
    (info,) = extension["source"]["infos"]
    assert (info["filename"], base64.b64decode(info["data"]).decode()) == ("Dockerfile", TEXT)
    lines = {
        step: [each["ranges"][0]["start"]["line"] for each in found.get("locations", [])]
        for step, found in extension["source"]["locations"].items()
    }
    assert lines == {"step0": [], "step1": [2], "step2": [3], "step3": [6], "step4": [7]}
    assert set(extension["layers"]) == {"step0:0", "step1:0", "step2:0", "step3:0", "step4:0"}


def test_the_least_says_neither_arguments_nor_steps():
    found = said(asked=Provenance(), arguments={"build-arg:WHO": "me", "target": "x"})
    assert found["invocation"]["parameters"] == {
        "frontend": "dockerfile.v0",
        "args": {"target": "x"},
        "locals": [{"name": "context"}, {"name": "dockerfile"}],
    }
    assert "buildConfig" not in found
    assert found["metadata"]["https://mobyproject.org/buildkit@v1#metadata"] == {}
    assert found["metadata"]["completeness"]["parameters"] is False
    assert said(asked=Provenance(), arguments={})["metadata"]["completeness"]["parameters"] is True


def test_version_1():
    asked = Provenance(version="v1", builder="https://ci.example/1", reproducible=True)
    found = said(asked=asked)
    assert found["buildDefinition"]["externalParameters"] == {
        "configSource": {"path": "Dockerfile"},
        "request": {"frontend": "dockerfile.v0", "locals": [{"name": "context"}, {"name": "dockerfile"}]},
    }
    assert found["buildDefinition"]["internalParameters"] == {"builderPlatform": "linux/amd64"}
    assert found["runDetails"] == {
        "builder": {"id": "https://ci.example/1"},
        "metadata": {
            "buildkit_metadata": {},
            "buildkit_completeness": {"request": False, "resolvedDependencies": False},
            "buildkit_reproducible": True,
        },
    }
    full = said(asked=asked._replace(full=True))
    assert len(full["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"]) == 5


def test_materials():
    text = (
        "FROM alpine:3.17\nCOPY --from=busybox /a /a\n"
        "ADD https://user:word@example.org/f.tar /f\nADD https://example.org/r.git#v1 /r\n"
    )
    commit = "4b220de5058abfd01ff619c9d2ff6b09a049bea0"
    found = said(text, Http="sha256:" + "c" * 64, Git=f"{commit} {'d' * 40}")
    assert found["materials"] == [
        {"uri": "https://example.org/f.tar", "digest": {"sha256": "c" * 64}},
        {"uri": "https://example.org/r.git#v1", "digest": {"sha1": commit}},
        {"uri": "pkg:docker/alpine@3.17?platform=linux%2Famd64", "digest": {"sha256": BASE.encoded}},
        {"uri": "pkg:docker/busybox@latest?platform=linux%2Famd64", "digest": {"sha256": BASE.encoded}},
    ]
    sources = [step["op"]["Op"].get("source", {}) for step in found["buildConfig"]["llbDefinition"]]
    identifiers = {source["identifier"] for source in sources if source}
    assert f"docker-image://docker.io/library/alpine:3.17@{BASE}" in identifiers
    assert "git://example.org/r.git#v1" in identifiers


@pytest.mark.parametrize(
    "line",
    [
        "RUN --mount=type=cache,target=/c,sharing=locked --mount=type=tmpfs,target=/t,size=1m x",
        "RUN --mount=type=bind,from=other,source=/a,target=/b,rw --mount=type=ssh x",
        "COPY <<a <<b /d/\n1\na\n2\nb",
        "ADD --unpack=false --chown=1 --chmod=u+x --exclude=*.c a b /d/",
        "RUN <<E\n#!/bin/x\nE",
    ],
)
def test_every_kind_of_step_can_be_put_down(line):
    steps = said(f"FROM alpine\nUSER 5\n{line}\n")["buildConfig"]["llbDefinition"]
    assert len(steps) == len({step["id"] for step in steps}) >= 2


def test_what_must_not_be_seen_is_not_there():
    text = "FROM alpine\nRUN --mount=type=secret,id=tok,env=TOK x\nADD https://user:word@example.org/f /f\n"
    request = PlanRequest(AMD, build_args={"HTTP_PROXY": "http://user:word@proxy"})
    graph = plan(parse(text), request, resolve)
    results = {number: Result(()) for number in range(len(graph.vertices))}
    found = provenance(
        Provenance(full=True),
        Invocation({}, ("Dockerfile", b""), AMD),
        Made(graph, results, lambda diff_id: Descriptor(MediaType.OCI_LAYER, diff_id, 7)),
    )
    assert "word" not in json.dumps(found.content)


def test_only_what_the_image_needs_is_told():
    text = "FROM a AS one\nFROM --platform=$BUILDPLATFORM b AS two\nRUN 2\nFROM c\nCOPY --from=two /x /x\n"
    wanted = PlanRequest(AMD, host=AMD, several=True)
    graphs = merge([plan(parse(text), wanted._replace(platform=each), resolve) for each in (AMD, ARM)])
    results = {number: Result(()) for number in range(len(graphs[0].vertices))}
    invocation = Invocation({}, ("Dockerfile", text.encode()), AMD)
    found = [
        provenance(Provenance(full=True), invocation, Made(graph, results, None)).content for graph in graphs
    ]
    uris = [[material["uri"] for material in each["materials"]] for each in found]
    assert uris == [
        ["pkg:docker/b@latest?platform=linux%2Famd64", f"pkg:docker/c@latest?platform=linux%2F{arch}"]
        for arch in ("amd64", "arm64")
    ]


def test_an_image_without_a_name():
    attached = attach(MANIFEST, [], [])
    assert attached.entry.annotations["vnd.docker.reference.digest"] == MANIFEST.digest
    predicate = provenance(
        Provenance(), Invocation({}, ("Dockerfile", b""), AMD), made("FROM scratch\nCOPY a b\n")
    )
    statement = json.loads(attach(MANIFEST, [], [predicate]).documents[0][0])
    assert statement["subject"][0]["name"] == "_"


@pytest.mark.parametrize(("run", "offline"), [("RUN --network=none x", True), ("RUN x", False), ("", True)])
def test_a_context_that_was_fetched_is_a_material_and_all_is_known(run, offline):
    url, commit = "https://example.org/r.git#v1", "4b220de5058abfd01ff619c9d2ff6b09a049bea0"
    text = f"FROM alpine\nCOPY a /a\n{run}\n"
    found = said(text, source=(url, commit))
    material = {"uri": url, "digest": {"sha1": commit}}
    assert found["invocation"]["configSource"] == {**material, "entryPoint": "Dockerfile"}
    assert found["invocation"]["parameters"]["locals"] == []
    assert found["materials"][0] == material
    assert found["metadata"]["completeness"]["materials"] is True
    hermetic = "https://mobyproject.org/buildkit@v1#hermetic"
    assert found["metadata"].get(hermetic, False) == offline
    newer = said(text, asked=Provenance(version="v1"), source=(url, commit))
    assert newer["buildDefinition"]["resolvedDependencies"][0] == material
    assert newer["runDetails"]["metadata"]["buildkit_completeness"]["resolvedDependencies"] is True
    assert newer["runDetails"]["metadata"].get("buildkit_hermetic", False) == offline


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("oci-layout:///home/me/Layout:1@sha256:0", "pkg:oci/layout?platform=linux%2Famd64"),
        ("built:mid", "pkg:oci/mid?platform=linux%2Famd64"),
        ("alpine:3", "pkg:docker/alpine@3?platform=linux%2Famd64"),
    ],
)
def test_images_of_this_machine_alone(source, url):
    request = PlanRequest(AMD, contexts={"base": f"image:{source}"})
    graph = plan(parse("FROM base\nCOPY a /a\n"), request, resolve)
    results = {number: Result(()) for number in range(len(graph.vertices))}
    invocation = Invocation({}, ("Dockerfile", b""), AMD)
    found = provenance(FULL, invocation, Made(graph, results, None)).content
    assert [material["uri"] for material in found["materials"]] == [url]
    assert "/home/me" not in json.dumps(found)
