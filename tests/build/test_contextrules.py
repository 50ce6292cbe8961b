"""Lint rules about files: what copies take from a context, by a real folder, and what a step leaves."""

import os
import re
from pathlib import Path

import pytest

from tiffin.build.context import Context
from tiffin.build.contextrules import MUCH, Inspector, local_sources
from tiffin.build.graph import MAIN, Copy
from tiffin.build.plan import PlanRequest, plan
from tiffin.build.reading import select_for
from tiffin.build.secretfiles import is_secret
from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.dockerfile.lint.linter import Linter
from tiffin.dockerfile.lint.rules import RULES
from tiffin.dockerfile.parser import parse
from tiffin.layer.diff import Repeated
from tiffin.oci.platform import Platform

HOST = Platform.parse("linux/amd64")
PAGES = Path(__file__).parents[2] / "docs" / "checks"


@pytest.fixture
def folder(tmp_path):
    """A context outside any repository but its own."""
    place = tmp_path / "context"
    place.mkdir()
    return place


def fill(folder, files):
    """Make files of so many bytes, without writing them, or of a text."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        else:
            with path.open("wb") as file:
                file.truncate(content)


def inspect(folder, text, ignore="", root=None):
    """What the rules say of every copy in the Dockerfile, as a build in which nothing is cached."""
    dockerfile = parse(text)
    linter, told = Linter.of(dockerfile, {}), []
    graph = plan(dockerfile, PlanRequest(HOST), None, linter)
    inspector = Inspector(graph, [graph.result], dockerfile, linter, told.append)
    context = Context(root or folder, IgnoreRules.parse(ignore))
    for index, vertex in enumerate(graph.vertices):
        if list(local_sources(graph, vertex)):
            inspector.copied(index, context, select_for(context.tree, vertex.op))
    assert set(told) == {each for each in linter.findings if each.rule.of_files}
    return told


def said(folder, *arguments, **options):
    return [(each.rule.name, each.message) for each in inspect(folder, *arguments, **options)]


def names(*arguments, **options):
    return [name for name, _ in said(*arguments, **options)]


ALL = "FROM scratch\nCOPY . /\n"


# -- pages ------------------------------------------------------------------------------------------

CONTEXTS = {
    "CopySecretFile": {".env": 3, "deploy/id_rsa": 3, "serve.py": 3},
    "CopyGitDirectory": {".git/objects/pack/a": 200_000_000, ".git/index": 50_000_000, "serve.py": 3},
    "CopyGitIgnoredFiles": {
        ".gitignore": "data/\n/runs\n",
        "data/train.bin": 12_000_000_000,
        "runs/1/checkpoint": 1_000_000_000,
        "models/m": 200_000_000,
        "serve.py": 3,
    },
    "IgnorePatternAtRootOnly": {
        "__pycache__/a.pyc": 9,
        "pkg/__pycache__/a.pyc": 1000,
        "pkg/__pycache__/b.pyc": 2000,
        "pkg/a.py": 9,
    },
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_the_examples_of_the_pages_are_true(folder, name):
    rule = next(rule for rule in RULES if rule.name == name)
    text = (PAGES / f"{rule.slug}.md").read_text()
    output = re.search(r"## Output\n\n```text\n(.*?)\n```", text, re.DOTALL)[1]
    bad, good = re.findall(r"```dockerfile\n(.*?)```", text, re.DOTALL)
    ignore = "".join(re.findall(r"`\.dockerignore`:\n\n```text\n(.*?)```", text, re.DOTALL))
    fill(folder, CONTEXTS[name])
    assert (name, output) in said(folder, bad, ignore)
    assert name not in names(folder, good, ignore)


def test_the_page_about_repeated_files_is_true(folder):
    text = (PAGES / "files-repeated-in-layer.md").read_text()
    output = re.search(r"## Output\n\n```text\n(.*?)\n```", text, re.DOTALL)[1]
    bad, _ = re.findall(r"```dockerfile\n(.*?)```", text, re.DOTALL)
    dockerfile, told = parse(bad), []
    graph = plan(dockerfile, PlanRequest(HOST), None)
    Inspector(graph, [graph.result], dockerfile, Linter(), told.append).repeated(
        graph.result, Repeated(12, 4_200_000_000)
    )
    assert [(each.message, each.span.line) for each in told] == [(output, 3)]


def test_every_rule_about_files_is_among_these():
    of_files = {rule.name for rule in RULES if rule.of_files}
    assert of_files == {*CONTEXTS, "FilesRepeatedInLayer"}


# -- secrets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("/.env", True),
        ("/a/.env.production", True),
        ("/.env.example", False),
        ("/environment.env", False),
        ("/key.pem", True),
        ("/server-key.pem", True),
        ("/certs/ca-bundle.pem", False),
        ("/lib/certifi/cacert.pem", False),
        ("/fullchain.pem", False),
        ("/store.p12", True),
        ("/home/id_ed25519", True),
        ("/home/id_ed25519.pub", False),
        ("/.aws/credentials", True),
        ("/docs/credentials", False),
        ("/.docker/config.json", True),
        ("/app/config.json", False),
        ("/.kube/config", True),
        ("/.cache/huggingface/token", True),
        ("/.netrc", True),
        ("/pem", False),
    ],
)
def test_names_of_secrets(path, secret):
    assert is_secret(path) is secret


def test_secrets_are_said_of_stages_that_are_in_the_image(folder):
    fill(folder, {".env": 1, "a": 1})
    behind = "FROM scratch AS builder\nCOPY . /src\nFROM scratch\nCOPY --from=builder /src/a /\n"
    assert names(folder, behind) == []
    assert names(folder, behind + "FROM builder\n") == ["CopySecretFile"]
    assert names(folder, "FROM scratch\nCOPY .env /\n") == ["CopySecretFile"]
    assert names(folder, ALL, ".env\n") == []
    assert names(folder, "FROM scratch\n# check=skip=CopySecretFile\nCOPY . /\n") == []


def test_many_secrets_are_counted(folder):
    fill(folder, {f"{name}/.env": 1 for name in "abcde"})
    ((_, message),) = said(folder, ALL)
    assert message.startswith("the image gets a/.env, b/.env, c/.env and 2 more, to be read ")


def test_folders_and_links_are_no_secrets(folder):
    fill(folder, {".env/a": 1, "real": 1})
    (folder / "id_rsa").symlink_to("real")
    assert names(folder, ALL) == []


# -- history ----------------------------------------------------------------------------------------


def test_history_that_is_named_is_meant(folder):
    fill(folder, {".git/HEAD": 1, "a": 1})
    assert names(folder, ALL) == ["CopyGitDirectory"]
    assert names(folder, "FROM scratch\nCOPY * /\n") == ["CopyGitDirectory"]
    assert names(folder, "FROM scratch\nCOPY .git /src/.git\n") == []
    assert names(folder, ALL, ".git\n") == []


# -- what git ignores -------------------------------------------------------------------------------


def test_what_is_named_is_meant(folder):
    fill(folder, {".gitignore": "data\n*.ckpt\n", "data/x/a": MUCH, "m/big.ckpt": MUCH})
    assert names(folder, "FROM scratch\nCOPY data /data\n") == []
    assert names(folder, "FROM scratch\nCOPY data/x /data\n") == []
    assert names(folder, "FROM scratch\nCOPY m/big.ckpt /\n") == []
    ((name, message),) = said(folder, "FROM scratch\nCOPY * /\n")
    assert (name, message.partition(", which")[0]) == (
        "CopyGitIgnoredFiles",
        "200MB of the 200MB that are copied here are data/, m/big.ckpt",
    )


@pytest.mark.parametrize("size", [MUCH - 1, MUCH])
def test_little_is_not_worth_a_word(folder, size):
    fill(folder, {".gitignore": "data\n", "data/a": size, "b": MUCH})
    assert names(folder, ALL) == ["CopyGitIgnoredFiles"] * (size == MUCH)


def test_what_dockerignore_leaves_out_as_well_is_not_copied(folder):
    fill(folder, {".gitignore": "data\n", "data/a": MUCH, "b": 1})
    assert names(folder, ALL, "data\n") == []


def test_rules_of_the_repository_around_and_of_folders_within(folder):
    root = folder / "service"
    fill(folder, {".git/HEAD": 1, ".gitignore": "/service/cache\nout\n", "service/.gitignore": "!out\n"})
    fill(
        root, {"cache/a": MUCH, "out/b": MUCH, "pkg/.gitignore": "c\n", "pkg/c": MUCH, "pkg/d": 1, "c": MUCH}
    )
    ((_, message),) = said(folder, ALL, root=root)
    assert message.startswith("200MB of the 400MB that are copied here are cache/, pkg/c,")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd"), os.mkdir])
def test_a_gitignore_that_is_no_file_says_nothing(folder, make):
    make(folder / ".gitignore")
    fill(folder, {"data/a": MUCH})
    assert names(folder, ALL) == []


# -- patterns of .dockerignore ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("*.pyc", "a/b.pyc", True),
        ("*.pyc", "b.pyc", False),
        ("*.tar.gz", "a/b.tar.gz", True),
        ("*.tar.gz", "a/b.gz", False),
        ("**/*.pyc", "a/b.pyc", False),
        ("__pycache__/", "a/__pycache__/b", True),
        (".venv", "a/.venv/b", True),
        ("node_modules", "a/node_modules/b", True),
        ("data", "a/data/b", False),  # may well be meant for the root alone
        ("a/*.pyc", "b/a/c.pyc", False),
        ("!*.md", "a/b.md", False),
        ("*.py[co]", "a/b.pyc", False),
    ],
)
def test_patterns_that_hold_at_the_root_only(folder, pattern, path, found):
    fill(folder, {path: 5, "other": 1})
    assert names(folder, ALL, f"# patterns\n{pattern}\n") == ["IgnorePatternAtRootOnly"] * found


def test_nothing_is_said_where_another_pattern_holds_deeper(folder):
    fill(folder, {"a/__pycache__/b": 5, "c": 1})
    assert names(folder, ALL, "__pycache__\n**/__pycache__\n") == []
    ((_, message),) = said(folder, ALL, "\n__pycache__\n")
    assert message == (
        '"__pycache__", line 2 of .dockerignore, holds at the root of the context only; '
        "copied from deeper: 1 file (5B), such as a/__pycache__/b; write **/__pycache__"
    )


# -- repeated files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "count"), [(MUCH - 1, 0), (MUCH, 1)])
def test_repeated_files_from_a_size_on(size, count):
    dockerfile, told = parse("FROM scratch\nRUN true\n"), []
    graph = plan(dockerfile, PlanRequest(HOST), None)
    inspector = Inspector(graph, [], dockerfile, Linter(), told.append)
    inspector.repeated(graph.result, Repeated(1, size))
    assert len(told) == count


def test_copies_of_here_documents_and_stages_take_nothing_from_a_context():
    text = "FROM scratch AS a\nCOPY <<x /\nx\nCOPY b /\nFROM scratch\nCOPY --from=a / /\n"
    graph = plan(parse(text), PlanRequest(HOST), None)
    sources = [list(local_sources(graph, vertex)) for vertex in graph.vertices if isinstance(vertex.op, Copy)]
    assert sources == [[], [(MAIN, "b")], []]
