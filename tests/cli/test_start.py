"""Start time as lists of modules: milliseconds depend on the machine, lists do not."""

import subprocess
import sys

import pytest

# Beyond what a bare interpreter has loaded.
VERSION = {
    "__future__",
    "tiffin",
    "tiffin.cli",
    "tiffin.cli.catalog",
    "tiffin.cli.command",
    "tiffin.cli.commands",
    "tiffin.cli.commands.version",
    "tiffin.cli.main",
    "tiffin.cli.options",
    "tiffin.version",
}
# The heavy ones, which only those commands may load that need them.
HEAVY = {
    "argparse",
    "asyncio",
    "backports.zstd",
    "concurrent.futures",
    "dataclasses",
    "difflib",
    "email",
    "http",
    "importlib.metadata",
    "inspect",
    "isal",
    "logging",
    "msgspec",
    "pathlib",
    "rich",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tarfile",
    "tempfile",
    "traceback",
    "urllib",
    "urllib3",
    "xml",
}


def modules(*words):
    code = (
        "import sys; before = set(sys.modules)\n"
        "from tiffin.cli.main import main\n"
        f"status = main({list(words)!r})\n"
        "print('\\n' + ' '.join(sorted(set(sys.modules) - before)), file=sys.stderr)\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_version_loads_next_to_nothing():
    assert modules("version") == VERSION


@pytest.mark.parametrize("words", [["--help"], [], ["image", "--help"]])
def test_help_loads_no_command_and_nothing_heavy(words):
    loaded = modules(*words)
    assert not {
        name
        for name in loaded
        if name.startswith("tiffin.cli.commands.") and name != "tiffin.cli.commands.help"
    }
    assert not loaded & (HEAVY | {"re", "typing"})
    assert not {name for name in loaded if name.startswith("tiffin.engine")}


@pytest.mark.parametrize("path", ["run", "ps", "build", "images", "exec", "stop"])
def test_help_of_a_command_does_not_load_the_engine(path):
    loaded = modules(path, "--help")
    assert not {
        name
        for name in loaded
        if name.split(".")[1:2] not in ([], ["cli"], ["ui"], ["errors"], ["version"])
        and name.startswith("tiffin")
    }
    assert not loaded & (HEAVY)
