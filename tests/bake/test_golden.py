"""What buildx prints for bake files is what tiffin prints; tools/record-bake has written it down."""

from __future__ import annotations

import json
import os
import re
import shlex
from contextlib import nullcontext
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from tiffin.bake.definitions import Definitions
from tiffin.bake.environment import Outside
from tiffin.bake.files import File
from tiffin.bake.language.evaluate import Scope, evaluate
from tiffin.bake.language.parser import parse
from tiffin.bake.load import load
from tiffin.bake.printing import print_selection
from tiffin.bake.selection import select
from tiffin.cli.main import main
from tiffin.errors import InvalidError

GOLDEN = Path(__file__).parent.parent / "golden" / "bake"
SECTION = re.compile(r"^-- (.*?) ?--\n", re.MULTILINE)


def sections(name):
    _, *parts = SECTION.split((GOLDEN / f"{name}.txt").read_text())
    return list(zip(parts[::2], parts[1::2], strict=True))


NAMES = sorted(path.stem for path in GOLDEN.glob("[0-9]*.txt"))
COMMANDS = [
    (name, command, printed) for name in NAMES for command, printed in sections(name) if command[:1] == "$"
]
EXPRESSIONS = [
    line.split("\t") for line in (GOLDEN / "expressions.txt").read_text().splitlines() if "\t" in line
]


def test_there_is_enough_to_compare():
    assert len(NAMES) >= 40
    assert len(EXPRESSIONS) >= 250


@pytest.mark.parametrize(("name", "command", "printed"), COMMANDS, ids=[f"{c[0]}{c[1]}" for c in COMMANDS])
def test_prints_what_buildx_prints(name, command, printed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = {file: text for file, text in sections(name) if file[:1] != "$"}
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    words = shlex.split(command[1:])
    for key in [key for key in os.environ if key.isupper()]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(tmp_path))
    while words and re.match(r"[A-Za-z_]+=", words[0]):
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(files.get("stdin", "").encode())))

    status = main(["bake", "--print", *words])

    shown = capsys.readouterr()
    assert "tiffin itself failed" not in shown.err
    assert (shown.out if status == 0 else "error\n") == printed, shown.err


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS, ids=[e[0] for e in EXPRESSIONS])
def test_expressions_have_the_values_of_buildx(expression, value):
    definitions = Definitions([], Outside({}, {}), {})
    with pytest.raises(InvalidError) if value == "error" else nullcontext():
        parsed = parse(f"S = jsonencode({expression})", "x.hcl").attributes["S"].expression
        found = evaluate(parsed, Scope(definitions))
        assert found.replace("${", "$${").replace("%{", "%%{") == value


PRINTED = [(f"{name}{command}", printed) for name, command, printed in COMMANDS if printed != "error\n"]


@pytest.mark.parametrize("printed", [one[1] for one in PRINTED], ids=[one[0] for one in PRINTED])
def test_what_is_printed_is_a_bake_file_that_prints_the_same(printed):
    loaded = load([File("b.json", printed)], Outside({}, {}), {}, "")
    selection = select(loaded.config, list(json.loads(printed)["group"]), [])
    assert json.loads(print_selection(selection))["target"] == json.loads(printed)["target"]
