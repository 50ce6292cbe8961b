"""Outlines, as Docker 28 gives them for the same Dockerfile."""

from tiffin.build.graph import BaseImage
from tiffin.build.outline import OutlineWatcher
from tiffin.build.plan import PlanRequest, plan
from tiffin.build.scope import platform_arguments
from tiffin.dockerfile.parser import parse
from tiffin.oci.config import ImageConfig
from tiffin.oci.platform import Platform

HOST = Platform.parse("linux/amd64")
TEXT = """\
# BASE the base image
# second line
ARG BASE=scratch

# NOT described

ARG OTHER=x
# A first a
# B then b
ARG A=1 B=${A}2
ARG UNUSED=1
FROM ${BASE} AS one
# one is not it
ARG PASS
RUN --mount=type=secret,id=tok --mount=type=secret,id=opt,target=/x true
RUN --mount=type=secret,id=tok,required=true true
# final The last stage
FROM one AS final
ARG OTHER
ARG TARGETARCH
ARG B
# LOCAL has a default
ARG LOCAL=${OTHER}-v
ENV OTHER=y
ARG LATE=${OTHER}
RUN --mount=type=secret,id=env-$A,env=TOKEN true
"""


def resolve(name, _platform, where):
    return BaseImage(name, ImageConfig("amd64", "linux"), ())


def outline(text, target=None, **given):
    dockerfile = parse(text)
    watcher = OutlineWatcher(dockerfile, given, platform_arguments(HOST, HOST, ""))
    request = PlanRequest(HOST, build_args=given, target=target)
    plan(dockerfile, request, resolve, watchers=[watcher])
    return watcher.outline()


def arguments(found):
    return [(each.name, each.value, each.description) for each in found.arguments]


def test_the_last_stage():
    found = outline(TEXT)
    assert (found.name, found.description) == ("final", "The last stage")
    assert sorted(arguments(found)) == [
        ("A", "1", "first a"),
        ("B", "12", "then b"),
        ("BASE", "scratch", "the base image"),
        ("LATE", "y", ""),
        ("LOCAL", "x-v", "has a default"),
        ("OTHER", "x", ""),
        ("PASS", "", ""),
    ]
    assert [each.span.line for each in found.arguments] == [3, 7, 10, 10, 14, 23, 25]
    assert [(each.name, each.required) for each in found.secrets] == [
        ("tok", True),
        ("opt", False),
        ("env-", False),
    ]


def test_another_stage_with_arguments():
    found = outline(TEXT, "one", A="5", PASS="w")
    assert (found.name, found.description) == ("one", "")
    assert arguments(found) == [("BASE", "scratch", "the base image"), ("PASS", "w", "")]
    assert [each.name for each in found.secrets] == ["tok", "opt"]


def test_what_the_command_line_gives_counts_for_what_depends_on_it():
    values = {each.name: each.value for each in outline(TEXT, A="5", BASE="busybox").arguments}
    assert (values["A"], values["B"], values["BASE"]) == ("5", "52", "busybox")


def test_a_nameless_stage_has_no_description():
    found = outline("# FROM nothing\nFROM scratch\nARG A=1\n")
    assert (found.name, found.description, arguments(found)) == ("", "", [("A", "1", "")])
