"""The example and some Dockerfiles as people write them, on each rung; tools/dockerfiles does all others.

The rung chroot is tried where it is met: in an ordinary container of Docker.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.dockerfiles.cases import CASES, PLACE, PROMPT, Case, prepared
from tests.dockerfiles.entries import read_tree
from tests.doubles import wheels as index
from tests.suites import turns

pytestmark = [pytest.mark.live, pytest.mark.docker]

PATIENCE = 1500
EXAMPLE = PLACE.parents[1] / "examples/finca-serving"
WINE = (
    '{"alcohol": 14.23, "malic_acid": 1.71, "ash": 2.43, "alcalinity_of_ash": 15.6, "magnesium": 127, '
    '"total_phenols": 2.8, "flavanoids": 3.06, "nonflavanoid_phenols": 0.28, "proanthocyanins": 2.29, '
    '"color_intensity": 5.64, "hue": 1.04, "od280_od315": 3.92, "proline": 1065}'
)
# The service is asked from inside: where there is no network of its own, any port may be taken.
ASK = """
import sys, time, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"})
for _ in range(1000):
    try:
        print(urllib.request.urlopen(request).read().decode())
        break
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ConnectionRefusedError):
            raise
        time.sleep(0.1)
"""
SERVE = 'uvicorn serve:app --port "$3" & python3 -c "$0" "$1" "$2"; kill $!'
FINCA = Case(
    '"cultivar":"Barolo"',
    owners={"/finca/model.onnx": "0:0 644"},
    options=("--build-arg", "BASE=python:3.11-slim"),
)
TORCH = "torch==2.13.0+cpu"
"""Without CUDA: pip has to be told of an index that has it (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS)."""
NEEDS = ("filelock", "fsspec", "jinja2", "MarkupSafe", "mpmath<1.4", "networkx", "setuptools", "sympy")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The folder of all wheels that the Dockerfiles install by pip: fetched once in a run."""
    with turns.turn("wheels"):
        folder = turns.together(tmp_path_factory.getbasetemp()) / "wheels"
        if not (folder / "whole").exists():
            fetch(folder)
    return folder


def fetch(folder):
    """Download the wheels for the Python of the bases."""
    pinned = {line for name in ("", "-train") for line in open_lines(EXAMPLE / f"requirements{name}.txt")}
    glibcs = ("linux2014", *(f"linux_2_{minor}" for minor in range(17, 29)))
    platforms = [word for each in glibcs for word in ("--platform", f"many{each}_{os.uname().machine}")]
    words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", folder]
    words += ["--python-version", "3.11", *platforms]
    subprocess.run([*words, *sorted(pinned), *NEEDS, TORCH], check=True)
    (folder / "whole").touch()


def open_lines(path):
    """The requirements of a file."""
    return [line for line in path.read_text().splitlines() if "==" in line]


@pytest.fixture(scope="module")
def packages(wheels):
    """The address of an index with these wheels: the pages of PyPI are long, and pip reads them each time."""
    with index.serve(wheels) as url:
        yield url


@pytest.fixture(scope="module")
def bases(tiffin, readable_tiffin, tmp_path_factory):
    """What the Dockerfiles begin from: made once, as root, and loaded by each rung."""
    together = turns.together(tmp_path_factory.getbasetemp())
    archive, home = together / "bases.tar", together / "bases"
    with turns.turn("bases"):
        if not archive.exists():
            env = os.environ | {"TIFFIN_HOME": str(home)}
            names = (
                "debian:12-slim",
                "debian:bookworm-slim",
                "python:3.11-slim",
                "ghcr.io/astral-sh/uv:0.5.11",
            )
            tags = [word for name in names[:2] for word in ("-t", name)]
            for words in (
                ("base", "bookworm", "--flavour", "build", "--python", "-q", *tags),
                ("build", "-q", "-t", names[2], "-f", "uncompiled.Dockerfile", "."),
                ("build", "-q", "-t", names[3], "-f", "uv.Dockerfile", "."),
                ("save", "-o", str(archive), *names),
            ):
                command = [*readable_tiffin, *words]
                subprocess.run(command, env=env, cwd=PLACE / "bases", check=True, capture_output=True)
            shutil.rmtree(home)
    with archive.open("rb") as file:
        tiffin("load", "-q", stdin=file)


@pytest.mark.parametrize("name", ["finca-serving", *PROMPT])
@pytest.mark.parametrize("tiffin", ["root", "rootless", "single-id", "pod"], indirect=True)
@pytest.mark.usefixtures("bases")
def test_it_runs_and_its_owners_are_right(tiffin, packages, wheels, folder, name, first):
    compared(built_and_run(tiffin, packages, wheels, folder, name), name, first)


@pytest.mark.parametrize(
    ("tiffin", "name"),
    [("traced", "useradd-chown"), ("single-id", "cron")],
    indirect=["tiffin"],
    scope="session",
)
@pytest.mark.usefixtures("bases")
def test_so_it_does_where_much_is_recorded(tiffin, packages, wheels, folder, name, first):
    """On the last rung too; and with a program that runs as its group."""
    compared(built_and_run(tiffin, packages, wheels, folder, name), name, first)


def compared(tree, name, first):
    """Assert that the layers, and the owners of all files, are those of the rung that came first."""
    for what, found in (("owners", tree.digest()), ("layers", "\n".join(tree.parts))):
        assert first(f"{what}-{name}", found.encode()).decode() == found


def built_and_run(tiffin, packages, wheels, folder, name):
    """Build a Dockerfile, run it, look at its owners; return what the layers of the image say."""
    case, image = CASES.get(name, FINCA), f"matrix-{name}"
    if case is FINCA:
        context = Path(shutil.copytree(EXAMPLE, folder / name))
    else:
        context = prepared(name, folder, wheels)
    owner = folder.stat()
    for path in [context, *context.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    words = ("build", "-q", "-t", image, *case.options, ".")
    tiffin(*words, cwd=context, env={"PIP_INDEX_URL": packages}, timeout=PATIENCE)
    done = tiffin("run", "--rm", image, *(asking() if case is FINCA else ()))
    assert re.search(case.says, done.stdout, re.MULTILINE), done.stdout
    archive = folder / "image.tar"
    tiffin("save", "-o", archive, image)
    tree = read_tree(archive)
    assert {path: tree.said(path) for path in case.owners} == {
        path: tree.wanted(text) for path, text in case.owners.items()
    }
    archive.unlink()
    return tree


def asking():
    """A command that starts the service, and asks it about a wine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return ("sh", "-c", SERVE, ASK, f"http://127.0.0.1:{port}/predict", WINE, str(port))
