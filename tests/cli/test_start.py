"""Start time as lists of modules: milliseconds depend on the machine, lists do not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Beyond what a bare interpreter has loaded.
VERSION = {
    "__future__",
    "gc",
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
    "yaml",
}


# What a container needs that has no network and begins like one before it.
RUN = """
cli cli.catalog cli.command cli.commands cli.commands.run cli.containerflags cli.main cli.options
container container.control container.foreground container.job container.life container.logs container.loop
container.names container.record container.removal container.state container.supervisor
engine engine.engine engine.etcfiles engine.prepared engine.request engine.rootless engine.running
engine.settings engine.standing engine.starting
errors
linux linux.bpf linux.capability linux.files linux.isolation linux.libc linux.mount linux.namespace
linux.netns linux.openat2 linux.prctl linux.probe linux.process linux.record linux.remove linux.terminal
network network.attach network.leases network.plan network.publish network.resolver network.tool
runtime runtime.child runtime.init runtime.inlays runtime.launch runtime.model runtime.process runtime.program
runtime.roots runtime.steps runtime.targets
store store.db store.home store.journal store.leases store.ready store.schema
ui ui.later
version
"""
# What `ps` needs besides, as it may have to say of any container how it stands.
PS = """
cli.commands.ps cli.output container.attach container.signals engine.containers ui.columns
"""
NOT_TO_START = {
    "ast",
    "dataclasses",
    "decimal",
    "hashlib",
    "inspect",
    "platform",
    "random",
    "shutil",
    "typing",
    "uuid",
}
BUSYBOX = Path("/bin/busybox")


def modules(*words, alone=False):
    """What a command loads; `alone`, in a network of its own, without what others have or had there.

    The kernel gives the number of a network that has gone to a new one, so that leases which somebody
    left in /run/tiffin would seem to be of this one.
    """
    code = (
        "import sys; before = set(sys.modules)\n"
        "from tiffin.cli.main import main\n"
        f"status = main({list(words)!r})\n"
        "print('\\n' + ' '.join(sorted(set(sys.modules) - before)), file=sys.stderr)\n"
        "sys.exit(status)"
    )
    place = 'mkdir -p /run/tiffin && mount -t tmpfs tiffin /run/tiffin && exec "$0" "$@"'
    own = ["unshare", "--net", "--mount", "sh", "-c", place] if alone else []
    done = subprocess.run([*own, sys.executable, "-c", code], capture_output=True, text=True, check=True)
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


def ours(loaded):
    return {name.removeprefix("tiffin.") for name in loaded if name.startswith("tiffin.")}


@pytest.fixture
def home(tmp_path, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    return tmp_path


def test_bake_loads_only_what_its_files_need(tmp_path):
    (tmp_path / "b.hcl").write_text('target "default" {}')
    loaded = modules("bake", "--print", "-f", str(tmp_path / "b.hcl"))
    assert not loaded & {"yaml", "sqlite3", "tiffin.engine.builds", "tiffin.engine.engine"}
    (tmp_path / "c.yaml").write_text("services: {default: {build: .}}")
    assert "yaml" in modules("bake", "--print", "-f", str(tmp_path / "c.yaml"))


def test_build_does_not_know_of_bake():
    loaded = modules("build", "--help")
    assert not [name for name in loaded if name.startswith("tiffin.bake")]


@pytest.mark.live
def test_run_loads_what_a_container_needs(home):
    if not BUSYBOX.exists():
        pytest.skip("needs busybox-static")
    shutil.copy(BUSYBOX, home / "true")
    (home / "Dockerfile").write_text("FROM scratch\nCOPY true /bin/true\n")
    modules("build", "-q", "-t", "tiny", str(home))
    words = ("run", "--rm", "--network", "none", "tiny", "/bin/true")
    modules(*words, alone=True)
    loaded = modules(*words, alone=True)
    assert ours(loaded) == set(RUN.split())
    assert not loaded & ((HEAVY | NOT_TO_START) - {"pathlib", "socket", "sqlite3", "urllib"})


@pytest.mark.live
def test_ps_loads_no_more_than_run_but_its_table(home):
    modules("ps", alone=True)  # begins the store
    loaded = modules("ps", alone=True)
    assert ours(loaded) <= set(RUN.split()) | set(PS.split())
    assert not loaded & ((HEAVY | NOT_TO_START) - {"pathlib", "socket", "sqlite3", "urllib", "typing"})
