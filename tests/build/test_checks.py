"""Lint rules against their pages, and against what Docker found in the same Dockerfiles."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from tiffin.build.contextrules import report_ignored
from tiffin.build.graph import BaseImage
from tiffin.build.plan import PlanRequest, plan
from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.dockerfile.lint.linter import Linter
from tiffin.dockerfile.lint.options import BUILD_ARG
from tiffin.dockerfile.lint.rules import RULES
from tiffin.dockerfile.lint.syntax import check_syntax
from tiffin.dockerfile.parser import parse
from tiffin.errors import TiffinError
from tiffin.oci.config import ContainerConfig, ImageConfig
from tiffin.oci.digest import DiffID
from tiffin.oci.platform import Platform

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "checks"
CASES = ROOT / "tests" / "golden" / "checks" / "cases"
DOCKER = json.loads((CASES.parent / "docker.json").read_text())
HOST = Platform.parse("linux/amd64")
BY_NAME = {rule.name: rule for rule in RULES}
# Nothing stands in the graph for what these are about; they have tests of their own.
OF_FILES = {rule.name for rule in RULES if rule.of_files}


def resolve(name, _platform, where):
    machine = "arm64" if "arm" in name else "amd64"
    env = ("PATH=/bin", "FROM_BASE=1")
    return BaseImage(name, ImageConfig(machine, "linux", config=ContainerConfig(env=env)), (DiffID.of(b"x"),))


def findings(text, *, ignore="", checking=True, target=None, given=None, resolver=resolve):
    given = given or {}
    dockerfile = parse(text)
    linter = Linter.of(dockerfile, given, checking=checking)
    check_syntax(dockerfile, linter)
    request = PlanRequest(HOST, build_args=given, target=target, every=checking and target is None)
    try:
        graph = plan(dockerfile, request, resolver, linter)
    except TiffinError:
        return linter.findings
    report_ignored(graph, dockerfile, IgnoreRules.parse(ignore), linter)
    return linter.findings


def lines(found):
    return [(each.rule.name, each.span.line if each.span else 0) for each in found]


def page(rule):
    text = (PAGES / f"{rule.slug}.md").read_text()
    ignore = "".join(re.findall(r"`\.dockerignore`:\n\n```text\n(.*?)```", text, re.DOTALL))
    output = re.search(r"## Output\n\n```text\n(.*?)\n```", text, re.DOTALL)[1]
    bad, good = re.findall(r"```dockerfile\n(.*?)```", text, re.DOTALL)
    return text, ignore, output, bad, good


# -- pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_has_a_page_whose_examples_are_true(rule):
    text, ignore, output, bad, good = page(rule)
    assert text.startswith(f"# {rule.name}\n\n{rule.description.rstrip('.')}.\n")
    if rule.name in OF_FILES:
        return
    given = {BUILD_ARG: "experimental=all", "MODEL": "large"}
    found = findings(bad, ignore=ignore, given=given)
    assert [each.message for each in found if each.rule == rule] == [output]
    assert [each for each in findings(good, ignore=ignore, given=given) if each.rule == rule] == []


def test_the_index_of_the_pages_is_the_table():
    index = (PAGES / "README.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\(([\w-]+)\.md\) \| (.*?) \| (.*?) \|$", index, re.MULTILINE)
    expected = []
    for rule in RULES:
        marks = {
            "experimental": rule.experimental,
            "tiffin's own": rule.house,
            "in `--check` only": rule.check_only,
        }
        expected.append(
            (
                rule.name,
                rule.slug,
                rule.description.rstrip("."),
                ", ".join(mark for mark, holds in marks.items() if holds),
            )
        )
    assert rows == expected
    assert {path.stem for path in PAGES.glob("[a-z]*.md")} == {rule.slug for rule in RULES}


# -- Docker -----------------------------------------------------------------------------------------


def texts():
    for name in DOCKER:
        if " " in name:
            rule = next(rule for rule in RULES if rule.slug == name.split()[0])
            _, ignore, _, *examples = page(rule)
            given = {BUILD_ARG: "experimental=all"}
            yield name, examples[name.endswith(" good")], ignore, given
        else:
            path = CASES / f"{name}.Dockerfile"
            ignore = path.with_suffix(".dockerignore")
            yield name, path.read_text(), ignore.read_text() if ignore.exists() else "", {}


@pytest.mark.parametrize(
    ("name", "text", "ignore", "given"), [pytest.param(*each, id=each[0]) for each in texts()]
)
def test_docker_finds_the_same(name, text, ignore, given):
    """What Docker could not look at, for want of a registry, it says nothing of."""
    recorded = DOCKER[name]
    ours = set()
    for rule, message, span in findings(text, ignore=ignore, given=given):
        if not rule.house:
            ours.add(alike((rule.name, span.line, span.end_line, message, rule.description, rule.url)))
    theirs = {alike(each) for each in recorded["found"]}
    assert theirs <= ours if recorded["fails"] else theirs == ours


def alike(found):
    """A finding as both have it: Docker suggests other names, and points at the end for an empty line."""
    rule, first, last, message, *rest = found
    place = () if rule == "NoEmptyContinuation" else (first, last)
    return (rule, *place, re.sub(r" \(did you mean .*\)", "", message), *rest)


def test_every_case_was_given_to_docker():
    assert {path.stem for path in CASES.glob("*.Dockerfile")} == {name for name in DOCKER if " " not in name}
    shown = {f"{rule.slug} {kind}" for rule in RULES for kind in ("bad", "good")}
    assert {name for name in DOCKER if " " in name} == shown
    buildkit = {rule.name for rule in RULES if not rule.house} - {"InvalidBaseImagePlatform"}
    assert {found[0] for each in DOCKER.values() for found in each["found"]} == buildkit


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("COPY data /", "Copy"),
        ("ADD data /", "Add"),
        ("ADD data[1] /", "Add"),
        ('ADD ["data", "/"]', "Add"),
        ("ADD --chown=1 data /", "Add"),
    ],
)
def test_an_ignored_source_is_told_with_its_instruction(line, word):
    given = {BUILD_ARG: "experimental=all"}
    (found,) = findings(f"FROM scratch\n{line}\n", ignore="data*\n", given=given)
    assert found.message.startswith(f"Attempting to {word} file")
    (found,) = findings(f"FROM scratch AS a\nONBUILD {line}\nFROM a\n", ignore="data*\n", given=given)
    assert found.message.startswith(f"Attempting to {word} file")


# -- which stages, which rules ----------------------------------------------------------------------

STAGES = "FROM scratch AS a\nFROM scratch AS b\nWORKDIR x\nMAINTAINER y\nFROM a AS c\nCMD z\nFROM scratch\n"


@pytest.mark.parametrize(
    ("checking", "target", "expected"),
    [
        (True, None, [("WorkdirRelativePath", 3), ("MaintainerDeprecated", 4), ("JSONArgsRecommended", 6)]),
        (True, "c", [("MaintainerDeprecated", 4), ("JSONArgsRecommended", 6)]),
        (True, "a", [("MaintainerDeprecated", 4)]),  # what is said of the text is said of all of it
        (False, None, [("MaintainerDeprecated", 4)]),
        (False, "b", [("WorkdirRelativePath", 3), ("MaintainerDeprecated", 4)]),
    ],
)
def test_stages_that_are_looked_at(checking, target, expected):
    assert lines(findings(STAGES, checking=checking, target=target)) == expected


def test_a_build_does_not_say_what_only_a_check_does():
    text = "FROM python:3\nRUN apt-get update\nRUN pip install x\nENV A=$B\n"
    assert lines(findings(text, checking=False)) == [("UndefinedVar", 4)]
    checked = [name for name, _ in lines(findings(text))]
    assert checked == ["UnpinnedBaseImage", "AptUpdateAlone", "DownloadCacheInLayer", "UndefinedVar"]


def test_variables_of_a_base_that_could_not_be_read_may_be_set():
    def unread(name, platform, where):
        return resolve(name, platform, where).__class__(name, ImageConfig("amd64", "linux"), (), known=False)

    text = "FROM one AS a\nENV B=$FROM_BASE\nFROM scratch\nENV C=$FROM_BASE\n"
    assert lines(findings(text, resolver=unread)) == [("UnpinnedBaseImage", 1), ("UndefinedVar", 4)]
    assert lines(findings(text)) == [("UnpinnedBaseImage", 1), ("UndefinedVar", 4)]
    assert lines(findings(text.replace("C=$FROM_BASE", "C=$FROM_BSE"))) == lines(findings(text))


def test_the_base_is_made_for_another_platform():
    (found,) = findings("FROM debian-arm:12.5 AS a\n")
    assert found.message == (
        'Base image debian-arm:12.5 was pulled with platform "linux/arm64", '
        'expected "linux/amd64" for current build'
    )


@pytest.mark.parametrize(
    ("base", "pinned"),
    [
        ("python", False),
        ("python:latest", False),
        ("python:3", False),
        ("python:3.11-slim", False),
        ("python:3.11.8", True),
        ("python:3.11.8-slim-bookworm", True),
        ("python@sha256:" + "a" * 64, True),
        ("debian", False),
        ("debian:12", False),
        ("debian:bookworm-slim", False),
        ("debian:12.5-slim", True),
        ("debian:bookworm-20240211-slim", True),
        ("ubuntu:22.04", True),
        ("nvidia/cuda:12.4.1-base-ubuntu22.04", True),
        ("ghcr.io/astral-sh/uv:0.5.11", True),
        ("ghcr.io/astral-sh/uv:latest", False),
        ("node:20-slim", False),
        ("registry.local:5000/team/base", False),
    ],
)
def test_a_base_is_pinned_by_an_exact_version(base, pinned):
    found = [name for name, _ in lines(findings(f"FROM {base}\n"))]
    assert found == ([] if pinned else ["UnpinnedBaseImage"])


PIP = "DownloadCacheInLayer"
ALONE, LISTS = "AptUpdateAlone", "AptListsInLayer"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("RUN pip install x", [PIP]),
        ("RUN pip3 --disable-pip-version-check install -r r.txt", [PIP]),
        ("RUN set -e; /opt/venv/bin/python3.11 -m pip install x", [PIP]),
        ('RUN ["python", "-m", "pip", "install", "x"]', [PIP]),
        ("RUN <<EOF\npip install \\\n  x\nEOF", [PIP]),
        ("RUN uv sync --frozen", [PIP]),
        ("RUN uv pip install x", [PIP]),
        ("RUN pip install --no-cache-dir x", []),
        ("RUN uv sync --no-cache", []),
        ("RUN pip install x && rm -rf /root/.cache", []),
        ("RUN pip install x && pip cache purge", []),
        ("RUN --mount=type=cache,target=/root/.cache/pip pip install x", []),
        ("RUN --mount=type=cache,dst=/root/.cache pip install x", []),
        ("RUN --mount=type=cache,target=/root/.cache/uv uv sync", []),
        ("RUN --mount=type=cache,target=/var/cache/apt pip install x", [PIP]),
        ("ENV PIP_NO_CACHE_DIR=1\nRUN pip install x", []),
        ("ENV UV_NO_CACHE=true\nRUN uv sync", []),
        ("RUN echo pip install x", []),
        ("RUN pip list", []),
        ("RUN apt-get update", [ALONE]),
        ("RUN apt-get -qq update && apt-get -y install x", [LISTS]),
        ("RUN apt update && DEBIAN_FRONTEND=noninteractive apt install x", [LISTS]),
        ("RUN apt-get update && apt-get install x && rm -rf /var/lib/apt/lists/*", []),
        ("RUN --mount=type=cache,target=/var/lib/apt apt-get update && apt-get install x", []),
        (
            "RUN --mount=type=cache,target=/var/lib/apt/lists apt-get update && apt-get install x",
            [],
        ),
        ("RUN apt-get install x", []),
    ],
)
def test_what_installs_leave_behind(line, expected):
    assert [name for name, _ in lines(findings(f"FROM scratch\n{line}\n"))] == expected


PIECES = [
    *(
        "FROM scratch\n",
        "from scratch as A\n",
        "FROM a:1 AS b\n",
        "FROM --platform=$P $B\n",
        "ARG B=a\n",
        "ARG P\n",
    ),
    *(
        "# check=",
        "skip=all\n",
        "# b is\n",
        "#\n",
        "CMD ",
        "ENTRYPOINT [",
        "WORKDIR ",
        "ENV ",
        "ARG ",
        "EXPOSE ",
    ),
    *(
        "RUN pip install ",
        "RUN <<E\n",
        "E\n",
        "apt-get update",
        " && ",
        "ONBUILD ",
        "COPY --from=b ",
        "COPY . ",
    ),
    *(
        "$A",
        "${A",
        "${A:-",
        "}",
        "a",
        "/a",
        "=",
        "=b",
        "'",
        '"',
        "\\\n",
        "\n",
        "\n",
        " ",
        "{}",
        "{0}",
        "é",
        "\ud8ff",
    ),
    *(
        "80/TCP",
        "1:2",
        "LABEL ",
        "HEALTHCHECK NONE",
        "MAINTAINER ",
        "--mount=type=cache,target=/a ",
        "SHELL [",
    ),
]


@settings(max_examples=300, deadline=None)
@drawn(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_whatever_can_be_read_can_be_looked_at(text):
    """And every finding has a place in the text that can be shown."""
    text = f"FROM scratch\n{text}"
    try:
        dockerfile = parse(text)
        found = findings(text, given={"A": "1"})
    except TiffinError:
        return
    for finding in found:
        if finding.span is not None:
            shown = dockerfile.source.excerpt(finding.span.line, finding.span.end_line)
            assert shown.first <= finding.span.line <= finding.span.end_line
            assert finding.span.end_line < shown.first + len(shown.lines)
