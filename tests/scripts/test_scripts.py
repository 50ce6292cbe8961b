"""Whole transcripts of the command line: one scenario a file, run as it stands.

A scenario (`tests/scripts/*.txt`) is what a terminal would show:

    # A comment, before the first command or between two.
    $ tiffin version
    tiffin [..]
    ...
    $ tiffin nosuch
    error: unknown command: tiffin nosuch
    hint: [..]
    [exit 1]

`$ ` begins a command for sh, `> ` continues it; standard output and standard error
are one text. `[..]` stands for anything within a line, `...` alone for any lines,
`[exit N]` for the status, which is 0 where none is given. The commands of a scenario
share a fresh directory, which is also the home of the store. A first line
`# needs: live` marks a scenario that runs containers.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

SCENARIOS = sorted(Path(__file__).parent.glob("*.txt"))


class Step(NamedTuple):
    line: int
    command: str
    expected: list[str]
    status: int


def steps(text):
    """The commands of a scenario with what they have to print."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("$ "):
            found.append(Step(number, line[2:], [], 0))
        elif line.startswith("> ") and found and not found[-1].expected:
            found[-1] = found[-1]._replace(command=found[-1].command + "\n" + line[2:])
        elif match := re.fullmatch(r"\[exit (\d+)\]", line):
            found[-1] = found[-1]._replace(status=int(match[1]))
        elif not line.startswith("#") and (found or line):
            assert found, f"line {number}: there is no command before it"
            found[-1].expected.append(line)
    for step in found:
        while step.expected and not step.expected[-1]:
            step.expected.pop()
    return found


def agrees(expected, lines):
    """Whether `lines` are what is expected, placeholders filled in."""
    pattern = ""
    for line in expected:
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(line).replace(re.escape("[..]"), ".*?") + r"[ ]*\n"
    return re.fullmatch(pattern, "".join(line + "\n" for line in lines)) is not None


@pytest.fixture
def shell(tmp_path):
    """Runs a command for sh where `tiffin` is this checkout's."""
    tools, place = tmp_path / "bin", tmp_path / "place"
    tools.mkdir()
    place.mkdir()
    script = tools / "tiffin"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m tiffin.cli.main "$@"\n')
    script.chmod(0o755)
    environ = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(place),
        "TIFFIN_HOME": str(tmp_path / "store"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "COLUMNS": "80",
        "LANG": "C.UTF-8",
    }

    def run(command):
        return subprocess.run(
            ["sh", "-c", command],
            cwd=place,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def scenarios():
    for path in SCENARIOS:
        live = path.read_text().startswith("# needs: live")
        yield pytest.param(path, id=path.stem, marks=[pytest.mark.live] if live else [])


@pytest.mark.parametrize("path", list(scenarios()))
def test_scenario(path, shell):
    found = steps(path.read_text())
    assert found, "a scenario without a command proves nothing"
    for step in found:
        done = shell(step.command)
        printed = done.stdout.splitlines()
        place = f"{path.name}:{step.line}: $ {step.command}"
        assert agrees(step.expected, printed), f"{place}\nprinted:\n{done.stdout}"
        assert done.returncode == step.status, f"{place}\nexit {done.returncode}, printed:\n{done.stdout}"


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (["a"], ["a"], True),
        (["a"], ["b"], False),
        (["a"], [], False),
        ([], ["a"], False),
        (["a[..]c"], ["abbc"], True),
        (["a[..]c"], ["ab", "c"], False),
        (["a", "...", "z"], ["a", "b", "c", "z"], True),
        (["a", "...", "z"], ["a", "z"], True),
        (["a", "..."], ["b"], False),
        (["a.c"], ["abc"], False),
    ],
)
def test_the_runner_can_fail(expected, printed, same):
    assert agrees(expected, printed) is same


def test_the_runner_reads_commands_output_and_status():
    text = "# note\n\n$ one \\\n> two\nout\n\nmore\n\n# note\n[exit 3]\n$ three\n"
    assert steps(text) == [Step(3, "one \\\ntwo", ["out", "", "more"], 3), Step(11, "three", [], 0)]
