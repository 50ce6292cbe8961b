"""Some of the Dockerfiles as people write them, on each rung; tools/dockerfiles does all of them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.dockerfiles.cases import CASES, PLACE, PROMPT, prepared
from tests.dockerfiles.entries import read_tree
from tests.suites import turns

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def bases(tiffin, readable_tiffin, tmp_path_factory):
    """What the Dockerfiles begin from: made once, as root, and loaded by each rung."""
    together = Path(os.environ.get(turns.TOGETHER) or tmp_path_factory.getbasetemp())
    archive, home = together / "bases.tar", together / "bases"
    with turns.turn("bases"):
        if not archive.exists():
            env = os.environ | {"TIFFIN_HOME": str(home)}
            names = ("debian:12-slim", "python:3.11-slim", "ghcr.io/astral-sh/uv:0.5.11")
            tags = [word for name in names[:2] for word in ("-t", name)]
            uv = ("-t", names[2], "-f", "uv.Dockerfile", ".")
            for words in (
                ("base", "bookworm", "--flavour", "build", "--python", "-q", *tags),
                ("build", "-q", *uv),
                ("save", "-o", str(archive), *names),
            ):
                command = [*readable_tiffin, *words]
                subprocess.run(command, env=env, cwd=PLACE / "bases", check=True, capture_output=True)
            shutil.rmtree(home)
    with archive.open("rb") as file:
        tiffin("load", "-q", stdin=file)


@pytest.mark.parametrize(
    ("tiffin", "name"),
    [
        *((rung, name) for rung in ("root", "rootless", "single-id") for name in PROMPT),
        ("chroot", "useradd-chown"),
        ("traced", "useradd-chown"),
    ],
    indirect=["tiffin"],
)
def test_it_runs_and_its_owners_are_right(tiffin, bases, folder, name, first):
    case, image = CASES[name], f"matrix-{name}"
    context = prepared(name, folder)
    owner = folder.stat()
    for path in [context, *context.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    tiffin("build", "-q", "-t", image, *case.options, ".", cwd=context)
    done = tiffin("run", "--rm", image)
    assert re.search(case.says, done.stdout, re.MULTILINE), done.stdout
    archive = folder / "image.tar"
    tiffin("save", "-o", archive, image)
    tree = read_tree(archive)
    assert {path: tree.said(path) for path in case.owners} == {
        path: tree.wanted(text) for path, text in case.owners.items()
    }
    # All others too are as on the rung that came first.
    assert first(f"owners-{name}", tree.digest().encode()).decode() == tree.digest()
