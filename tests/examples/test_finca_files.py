"""The example is what the guide teaches, and hangs together."""

import json
import re

import pytest

from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.dockerfile.parser import parse


def test_the_dockerfile_ends_as_in_the_guide(finca):
    assert (
        (finca / "Dockerfile")
        .read_text()
        .endswith('EXPOSE 8000\nCMD ["uvicorn", "serve:app", "--host", "0.0.0.0", "--port", "8000"]\n')
    )


def test_the_base_is_pinned_and_can_be_replaced(finca):
    for name in ("Dockerfile", "Dockerfile.naive"):
        text = (finca / name).read_text()
        assert "ARG BASE=python:3.11.8-slim\n" in text
        assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-train.txt"])
def test_every_requirement_is_pinned(finca, name):
    lines = [line for line in (finca / name).read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[a-z0-9.-]+==[0-9.]+", line) for line in lines), lines


def test_both_stages_agree_on_shared_packages(finca):
    train, serve = (
        dict(re.findall(r"^([a-z0-9.-]+)==(\S+)$", (finca / name).read_text(), re.MULTILINE))
        for name in ("requirements-train.txt", "requirements.txt")
    )
    shared = train.keys() & serve.keys()
    assert "numpy" in shared
    assert {name: train[name] for name in shared} == {name: serve[name] for name in shared}


def test_the_notebook_is_a_clean_notebook(finca):
    notebook = json.loads((finca / "tasting.ipynb").read_text())
    assert notebook["nbformat"] == 4
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    for cell in code:
        compile("".join(cell["source"]), "cell", "exec")
        assert not cell["outputs"]


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("tasting.ipynb", True),
        ("notes/deep/old.ipynb", True),
        ("data/harvest.csv", True),
        ("more/wines.csv", True),
        ("logs/training.log", True),
        (".git/HEAD", True),
        (".venv/pyvenv.cfg", True),
        ("venv/bin/python", True),
        ("README.md", True),
        ("__pycache__/serve.cpython-311.pyc", True),
        ("Dockerfile.naive", True),
        ("serve.py", False),
        ("features.py", False),
        ("train.py", False),
        ("requirements.txt", False),
        ("requirements-train.txt", False),
        ("model.onnx", False),
    ],
)
def test_the_context_holds_what_the_dockerfile_refers_to_and_nothing_else(finca, path, out):
    rules = IgnoreRules.parse((finca / ".dockerignore").read_text())
    assert rules.match(path) is out


def test_the_naive_build_ignores_nothing(finca):
    assert not IgnoreRules.parse((finca / "Dockerfile.naive.dockerignore").read_text())


@pytest.mark.parametrize(("name", "stages"), [("Dockerfile", 2), ("Dockerfile.naive", 1)])
def test_the_dockerfiles_parse_without_a_warning(finca, name, stages):
    parsed = parse((finca / name).read_text(), name)
    assert (len(parsed.stages), parsed.empty_lines) == (stages, ())
