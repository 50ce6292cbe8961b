"""Platforms in the planner, as BuildKit's Dockerfile front end has them (convert.go), and graphs merged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.build.graph import BaseImage, Copy, Local, Run, Source
from tiffin.build.merge import merge
from tiffin.build.plan import PlanRequest, plan
from tiffin.dockerfile.lint.linter import Linter
from tiffin.dockerfile.parser import parse
from tiffin.oci.config import ImageConfig
from tiffin.oci.digest import DiffID
from tiffin.oci.platform import Platform

AMD, ARM, ARM7 = (Platform.parse(text) for text in ("linux/amd64", "linux/arm64", "linux/arm/v7"))


class Images:
    """An image for every name and platform; those called `only-…` are for that architecture alone."""

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, name, platform, _where) -> BaseImage:
        self.asked.append((name, str(platform)))
        own = Platform.parse(name.removeprefix("only-")) if name.startswith("only-") else platform
        layer = DiffID.of(f"{name} {own}".encode())
        return BaseImage(name, ImageConfig(own.architecture, own.os, own.variant), (layer,))


def planned(text, *platforms, images=None, **more):
    request = PlanRequest(AMD, host=AMD, chosen=True, several=len(platforms) > 1, **more)
    images = images or Images()
    return [plan(parse(text), request._replace(platform=each), images) for each in platforms]


def one(text, platform=ARM, images=None, **more):
    return planned(text, platform, images=images, **more)[0]


def runs(graph):
    return [vertex.op for vertex in graph.vertices if isinstance(vertex.op, Run)]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("FROM a\n", ["a linux/arm64"]),
        ("FROM --platform=$BUILDPLATFORM a\n", ["a linux/amd64"]),
        ("FROM --platform=${TARGETPLATFORM} a\n", ["a linux/arm64"]),
        ("ARG P=s390x\nFROM --platform=linux/$P a\n", ["a linux/s390x"]),
        # An image that is copied from is for the target, whatever the stage is for.
        ("FROM --platform=$BUILDPLATFORM a\nCOPY --from=b /x /x\n", ["a linux/amd64", "b linux/arm64"]),
        (
            "FROM --platform=$BUILDPLATFORM a\nRUN --mount=from=b,target=/b x\n",
            ["a linux/amd64", "b linux/arm64"],
        ),
        # A stage that begins from another is for what the other is for.
        ("FROM --platform=$BUILDPLATFORM a AS one\nFROM --platform=s390x one\nRUN x\n", ["a linux/amd64"]),
        ("FROM --platform=s390x scratch\n", []),
    ],
)
def test_what_is_asked_for(text, asked):
    images = Images()
    one(text, images=images)
    assert [" ".join(each) for each in images.asked] == asked


def test_a_named_context_is_for_the_stage_that_it_stands_for():
    images, contexts = Images(), {"a": "image:b", "tools": "image:c"}
    text = "FROM --platform=$BUILDPLATFORM a\nCOPY --from=tools / /\nFROM scratch AS tools\nFROM 0\n"
    one(text.replace("FROM 0\n", ""), images=images, contexts=contexts, target="tools")
    assert images.asked == [("c", "linux/arm64")]
    one("FROM --platform=$BUILDPLATFORM a\nCOPY --from=tools / /\n", images=images, contexts=contexts)
    assert images.asked[1:] == [("b", "linux/amd64"), ("c", "linux/arm64")]


def test_arguments():
    names = "BUILDPLATFORM BUILDARCH BUILDVARIANT TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT"
    op = runs(one(f"FROM a\nARG {names}\nRUN x\n", ARM7))[0]
    assert dict(entry.partition("=")[::2] for entry in op.env[1:]) == {
        "BUILDPLATFORM": "linux/amd64",
        "BUILDARCH": "amd64",
        "BUILDVARIANT": "",
        "TARGETPLATFORM": "linux/arm/v7",
        "TARGETOS": "linux",
        "TARGETARCH": "arm",
        "TARGETVARIANT": "v7",
    }
    assert one("FROM base-$TARGETARCH\n").base.reference == "base-arm64"


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("FROM a\nRUN x\n", ARM),
        ("FROM --platform=$BUILDPLATFORM a\nRUN x\n", AMD),
        ("FROM scratch\nRUN x\n", ARM),
        ("FROM only-amd64\nRUN x\n", AMD),  # what is in the image counts, not what was asked for
        ("FROM --platform=$BUILDPLATFORM a AS one\nFROM one\nRUN x\n", AMD),
    ],
)
def test_what_a_run_step_holds_programs_for(text, platform):
    assert runs(one(text))[-1].platform == platform


@pytest.mark.parametrize(
    ("text", "asked", "chosen", "said"),
    [
        ("FROM a\n", ARM, True, ARM),
        ("FROM --platform=$BUILDPLATFORM a\n", ARM, True, ARM),
        ("FROM only-arm64\n", AMD, False, ARM),
        ("FROM only-386\n", AMD, False, Platform("linux", "386")),
        ("FROM scratch\n", AMD, False, AMD),
        ("FROM --platform=linux/arm/v6 a\n", Platform("linux", "arm"), True, Platform("linux", "arm", "v6")),
    ],
)
def test_what_the_image_says_it_is_for(text, asked, chosen, said):
    request = PlanRequest(asked, host=AMD, chosen=chosen)
    assert plan(parse(text), request, Images()).platform == said


def test_an_image_for_another_platform_is_warned_of():
    def found(text):
        linter = Linter()
        plan(parse(text), PlanRequest(ARM, host=AMD), Images(), linter)
        return linter.findings

    ((rule, message, span),) = found("FROM only-amd64\n")
    assert (rule.name, span.line) == ("InvalidBaseImagePlatform", 1)
    assert 'pulled with platform "linux/amd64", expected "linux/arm64"' in message
    assert found("FROM only-linux/arm/v7\n") == []  # such a machine runs it
    assert found("FROM scratch\n") == []


CROSS = """\
FROM --platform=$BUILDPLATFORM golang AS build
COPY . /src
RUN fetch
ARG TARGETARCH
RUN compile
FROM alpine
COPY --from=build /app /app
RUN check
"""


def test_names_of_steps_say_the_platform_where_there_are_several():
    names = [[vertex.name for vertex in graph.vertices] for graph in planned(CROSS, AMD, ARM)]
    assert names[1] == [
        "[linux/amd64 build 1/4] FROM golang",
        "[internal] load build context",
        "[linux/amd64 build 2/4] COPY . /src",
        "[linux/amd64 build 3/4] RUN fetch",
        "[linux/amd64->arm64 build 4/4] RUN compile",
        "[linux/arm64 stage-1 1/3] FROM alpine",
        "[linux/arm64 stage-1 2/3] COPY --from=build /app /app",
        "[linux/arm64 stage-1 3/3] RUN check",
    ]
    assert names[0][4] == "[linux/amd64 build 4/4] RUN compile"
    assert one("FROM a\nRUN x\n").vertices[-1].name == "[2/2] RUN x"
    assert planned("FROM a\nRUN x\n", AMD, ARM)[1].vertices[-1].name == "[linux/arm64 2/2] RUN x"
    assert planned("FROM a\nCOPY --from=b / /\n", AMD, ARM)[1].vertices[1].name == "[linux/arm64] FROM b"


def test_what_platforms_have_in_common_is_there_once():
    amd, arm = merge(planned(CROSS, AMD, ARM))
    assert amd.vertices is arm.vertices
    assert [op.arguments[-1] for op in runs(amd)] == ["fetch", "compile", "check", "compile", "check"]
    kinds = [type(vertex.op) for vertex in amd.vertices]
    assert kinds.count(Local) == 1
    assert kinds.count(Source) == 3
    assert kinds.count(Copy) == 3
    assert [str(graph.platform) for graph in (amd, arm)] == ["linux/amd64", "linux/arm64"]
    assert amd.result != arm.result


def test_files_alone_are_the_same_for_all_platforms():
    graphs = merge(planned("FROM scratch\nCOPY a /a\n", AMD, ARM, ARM7))
    assert len(graphs[0].vertices) == 3
    assert len({graph.result for graph in graphs}) == 1
    assert len({graph.platform for graph in graphs}) == 3


def test_one_graph_is_left_as_it_is():
    graph = one("FROM a\nCOPY x y\nFROM a\nCOPY x y\nCOPY --from=0 y z\n")
    assert merge([graph]) == (graph,)
    assert merge([]) == ()


_LINES = st.sampled_from(
    [
        "RUN one",
        "RUN two",
        "COPY a /a",
        "COPY --from=tools /t /t",
        "COPY --from={earlier} /x /x",
        "ARG TARGETARCH",
        "ARG BUILDARCH",
        "WORKDIR /srv",
        "ENV A=$TARGETARCH",
        "RUN --mount=from={earlier},target=/m three",
    ]
)
_STAGES = st.lists(
    st.tuples(
        st.sampled_from(["FROM a", "FROM scratch", "FROM --platform=$BUILDPLATFORM b", "FROM {earlier}"]),
        st.lists(_LINES, max_size=5),
    ),
    min_size=1,
    max_size=4,
)


def dockerfile(stages):
    lines = []
    for number, (start, body) in enumerate(stages):
        earlier = f"s{number - 1}" if number else "a"
        lines += [f"{start} AS s{number}", *body]
        lines[-len(body) - 1 :] = [line.format(earlier=earlier) for line in lines[-len(body) - 1 :]]
    return "\n".join(lines) + "\n"


def meaning(graph, number):
    """All that a vertex comes to, as a tree."""
    vertex = graph.vertices[number]
    return (vertex.op, vertex.stage, tuple(meaning(graph, each) for each in vertex.inputs))


@given(_STAGES, st.lists(st.sampled_from([AMD, ARM, ARM7]), min_size=1, max_size=3, unique=True))
def test_merging_changes_no_result(stages, platforms):
    graphs = planned(dockerfile(stages), *platforms)
    merged = merge(graphs)
    assert len({id(graph.vertices) for graph in merged}) == 1
    for before, after in zip(graphs, merged, strict=True):
        assert meaning(after, after.result) == meaning(before, before.result)
        assert (after.config, after.base, after.platform) == (before.config, before.base, before.platform)
        for one_step, other in zip(before.steps, after.steps, strict=True):
            assert one_step.history == other.history
            assert (one_step.vertex is None) == (other.vertex is None)
            if one_step.vertex is not None:
                assert meaning(before, one_step.vertex) == meaning(after, other.vertex)
    vertices = merged[0].vertices
    assert all(each < number for number, vertex in enumerate(vertices) for each in vertex.inputs)
    assert len(vertices) <= sum(len(graph.vertices) for graph in graphs)
