"""A driver without a CDI specification: programs in containers find its libraries by asking the linker."""

import shutil
import tempfile
from pathlib import Path

import pytest
from tests.live import cases
from tests.suites import driver

pytestmark = pytest.mark.live

# What a program does that links with nothing of the driver, and loads it when it finds a GPU.
LOADS = (
    'package DynaLoader; boot_DynaLoader("DynaLoader"); '
    'print "$_ ", (dl_load_file($_, 0) ? "loaded" : "missing"), "\\n" for @ARGV'
)
ASKS = ("perl", "-e", LOADS, "libcuda.so.1", "libcuda.so", "libnvoptix.so.1")
FOLDER = "/opt/tin/lib"  # where no linker looks by itself


@pytest.fixture
def perl(tiffin, busybox, folder):
    """An image with a program that can load libraries."""
    cases.copy_program(shutil.which("perl", path="/usr/bin"), folder / "perl/tree")
    (folder / "perl/tree/etc/ld.so.conf.d").mkdir(parents=True)
    (folder / "perl/Dockerfile").write_text(f"FROM {busybox}\nCOPY tree /\n")
    tiffin("build", "-q", "-t", "perl", folder / "perl")
    return "perl"


@pytest.fixture
def installed():
    """A driver whose libraries are real ones, by another name, which everybody can read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        made = driver.Driver(Path(place))
        made.gpu(0, 1, "3b")
        install(made)
        made.cache(libcuda=f"{FOLDER}/libcuda.so.1")
        made.write("/usr/bin/nvidia-smi", "#!/bin/sh\necho no GPU, only wine\n", 0o755)
        yield made


def install(made):
    (real,) = Path("/lib").glob("*-linux-gnu/libnss_compat.so.2")
    for name in ("libcuda.so.1", "libnvoptix.so.1"):
        own = b"libnss_compat.so.2"
        data = real.read_bytes().replace(own + b"\0", name.encode()[: len(own)].ljust(len(own) + 1, b"\0"))
        file = f"{name.partition('.')[0]}.so.{made.version}"
        made.write(f"{FOLDER}/{file}", data)
        if not (made.root / f"{FOLDER}/{name}".lstrip("/")).is_symlink():
            made.link(f"{FOLDER}/{name}", file)


def here(made):
    return {"TIFFIN_DRIVER_ROOT": str(made.root), "TIFFIN_CDI_DIRS": "/nowhere"}


def test_a_program_finds_the_libraries_of_the_loaded_driver(tiffin, perl, installed):
    env = here(installed)
    run = ("run", "--rm", "--network", "none")
    told = tiffin(*run, perl, *ASKS, env=env).stdout.split()
    assert told[1::2] == ["missing"] * 3
    told = tiffin(*run, "--gpus", "all", perl, *ASKS, env=env).stdout.split()
    assert told[1::2] == ["loaded", "loaded", "missing"]  # the last one is for graphics
    asked = ("--gpus", 'device=0,"capabilities=graphics,utility"', "--read-only")
    script = (
        "nvidia-smi; echo $NVIDIA_VISIBLE_DEVICES $NVIDIA_DRIVER_CAPABILITIES; stat -c %t:%T /dev/nvidia1; "
    )
    script += 'ls /opt/tin/lib; cat /etc/ld.so.conf.d/*; exec "$@"'
    told = tiffin(*run, *asked, perl, "sh", "-c", script, "sh", *ASKS, env=env).stdout.splitlines()
    assert told == [
        "no GPU, only wine", "0 graphics,utility", "1:3",
        "libnvoptix.so.1", f"libnvoptix.so.{driver.VERSION}", FOLDER,
        "libcuda.so.1 missing", "libcuda.so missing", "libnvoptix.so.1 loaded",
    ]  # fmt: skip


def test_a_layer_shows_nothing_of_the_driver_that_its_step_used(tiffin, perl, installed, folder):
    env = here(installed)
    asks = " ".join(f"'{word}'" for word in ASKS)
    steps = f"FROM {perl}\nRUN --device=nvidia.com/gpu=0,required {asks} > /told; {{more}}\n"
    for more in ("true", "cp /etc/ld.so.cache /own && cat /own > /etc/ld.so.cache"):
        (folder / "Dockerfile").write_text(steps.format(more=more))
        tiffin("build", "-q", "-t", "used", "--allow", "device", "--network", "none", folder, env=env)
        done = tiffin(
            "run", "--rm", "--network", "none", "used", "sh", "-c", "cat /told; ls -d /opt /etc/ld.so*; true"
        )
        assert done.stdout.split()[1:6:2] == ["loaded", "loaded", "missing"]
        assert done.stdout.split()[6:] == ["/etc/ld.so.conf.d"]
        changed = tiffin("run", "--rm", "--network", "none", "used", "sh", "-c", "ls /etc/ld.so.conf.d")
        assert changed.stdout == ""


@pytest.mark.parametrize("runtime", ["crun", "runc"])
@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_other_runtimes_do_the_same_by_a_hook(tiffin, perl, installed, runtime):
    run = ("run", "--rm", "--network", "none", "--runtime", runtime, "--gpus", "all")
    told = tiffin(*run, perl, *ASKS, env=here(installed)).stdout.split()
    assert told[1::2] == ["loaded", "loaded", "missing"]


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_a_container_that_outlives_its_driver_gets_the_next_one(tiffin, perl, installed):
    env = here(installed)
    words = (
        "--gpus",
        "1",
        "--network",
        "none",
        perl,
        "sh",
        "-c",
        'ls -l $0 | sed "s/.* //"; exec "$@"',
        FOLDER,
    )
    tiffin("create", "--name", "kept", *words, *ASKS, env=env)
    try:
        for version in (driver.VERSION, "545.23.08"):
            installed.version = version
            installed.write("/proc/driver/nvidia/version", driver.OPEN.format(version))
            for path in (installed.root / FOLDER.lstrip("/")).iterdir():
                path.unlink()
            install(installed)
            told = tiffin("start", "-a", "kept", env=env).stdout.splitlines()
            assert f"libcuda.so.{version}" in told
            assert told[-3:-1] == ["libcuda.so.1 loaded", "libcuda.so loaded"]
        (installed.root / "proc/driver/nvidia/version").unlink()
        done = tiffin("start", "-a", "kept", env=env, check=False)
        assert (done.returncode, "doctor --gpu" in done.stderr) == (125, True)
    finally:
        tiffin("rm", "-f", "kept")
