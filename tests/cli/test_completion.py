"""Completion, in a real bash; the other scripts as text."""

import subprocess

import pytest

from tiffin.cli import catalog
from tiffin.cli.completion import KINDS, entries, script
from tiffin.errors import NotFoundError

BASH = r"""
tiffin() { [ "$1" = __complete ] && printf '%s\n' "finca:1" "finca:2" "kind-$2"; }
COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
_tiffin
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    path = tmp_path_factory.mktemp("bash") / "complete.sh"
    path.write_text(script("bash") + BASH)

    def complete(line, cwd="/"):
        done = subprocess.run(["bash", path, line], capture_output=True, text=True, check=True, cwd=cwd)
        assert done.stderr == ""
        return done.stdout.split()

    return complete


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("tiffin im", ["images", "image", "import"]),
        ("tiffin image h", ["history"]),
        ("tiffin run --na", ["--name"]),
        ("tiffin run --pull ", ["always", "missing", "never"]),
        ("tiffin run --pull=al", ["always"]),
        ("tiffin run fin", ["finca:1", "finca:2"]),
        ("tiffin run finca:", ["1", "2"]),
        ("tiffin run -e A --name b fin", ["finca:1", "finca:2"]),
        ("tiffin stop k", ["kind-running"]),
        ("tiffin start k", ["kind-stopped"]),
        ("tiffin logs k", ["kind-containers"]),
        ("tiffin volume rm k", ["kind-volumes"]),
        ("tiffin build -t k", ["kind-images"]),
        ("tiffin --home /x --isolation=rootless imag", ["images", "image"]),
        ("tiffin --isolation si", ["single-id"]),
        ("tiffin help hist", ["history"]),
        ("tiffin nosuch x", []),
    ],
)
def test_bash_completes(bash, line, found):
    assert bash(line) == found


def test_bash_completes_every_verb_and_no_refused_flag(bash):
    assert set(bash("tiffin ")) == {*catalog.COMMON, *catalog.OTHER, *catalog.GROUPS}
    flags = bash("tiffin run -")
    assert "--publish" in flags
    assert "-p" in flags
    assert "--link" not in flags


def test_bash_completes_files_for_the_command_inside(bash, tmp_path):
    (tmp_path / "serve.py").touch()
    (tmp_path / "data").mkdir()
    assert bash("tiffin run image serv", tmp_path) == ["serve.py"]
    assert bash("tiffin build ", tmp_path) == ["data"]
    assert bash("tiffin build -f se", tmp_path) == ["serve.py"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_script_knows_every_command_and_flag(shell, tiffin):
    text = tiffin("completion", shell).out
    for entry in entries():
        assert entry.path in text
        for option in entry.options:
            assert f"--{option.long}" in text or f"-l {option.long}" in text


def test_an_unknown_shell_is_refused(tiffin):
    result = tiffin("completion", "tcsh")
    assert (result.status, "bash, fish, zsh" in result.err) == (1, True)


def test_names_come_from_the_engine(tiffin, engine):
    from types import SimpleNamespace

    engine.answers(
        "images", list_images=[SimpleNamespace(references=("b:1", "a:1")), SimpleNamespace(references=())]
    )
    named = {"up": "running", "down": "exited", "held": "paused"}
    states = [SimpleNamespace(name=name, state=state) for name, state in named.items()]
    engine.answers("containers", ps=states)
    engine.answers("networks", list_networks=[SimpleNamespace(name="n")])
    engine.answers("volumes", list_volumes=[SimpleNamespace(name="v")])
    found = {kind: tiffin("__complete", kind).out.split() for kind in KINDS}
    assert found == {
        "containers": ["down", "held", "up"],
        "images": ["a:1", "b:1"],
        "networks": ["n"],
        "paused": ["held"],
        "running": ["held", "up"],
        "stopped": ["down"],
        "volumes": ["v"],
    }


def test_completion_is_silent_when_there_is_no_engine(tiffin, engine):
    engine.answers("images", list_images=NotFoundError("no store"))
    result = tiffin("__complete", "images")
    assert (result.out, result.err) == ("", "")
