"""Programs of other platforms: 32-bit ones, which this kernel runs, and those that an interpreter runs."""

import os
import platform
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from tests.suites import turns

from tiffin.build.emulation import _header
from tiffin.linux.binfmt import _ADDRESS, _program
from tiffin.oci.platform import Platform

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the programs are for this machine"),
]

BINFMT = Path("/proc/sys/fs/binfmt_misc/status")
# mkdir("/made", 0755), then exit(0), with the path behind the code.
PATH_AT = _ADDRESS + 52 + 32 + 26
MAKES = _program(
    3,
    0,
    bytes.fromhex("b827000000 bb")
    + struct.pack("<I", PATH_AT)
    + bytes.fromhex("b9ed010000 cd80 b801000000 31db cd80")
    + b"/made\0",
)


def write(folder, files):
    owner = folder.stat()
    for name, data in files.items():
        path = folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        path.chmod(0o755)
        os.chown(path, owner.st_uid, owner.st_gid)


def test_32_bit_programs_are_run(tiffin, folder):
    text = 'FROM scratch AS one\nCOPY makes /\nRUN ["/makes"]\nFROM one\nCOPY --from=one /made /kept\n'
    write(folder, {"makes": MAKES, "Dockerfile": text})
    tiffin("build", "-q", "-t", "small", "--platform", "linux/386", folder)
    assert tiffin("image", "inspect", "-f", "{{.Architecture}}", "small").stdout == "386\n"
    refused = tiffin("run", "--rm", "small", "/makes", check=False)  # it is made already
    assert (refused.returncode, refused.stderr.count("error:")) == (0, 0)
    text = text.replace("/made /kept", "/other /kept")
    write(folder, {"Dockerfile": text})
    assert "/other" in tiffin("build", "--platform", "linux/386", folder, check=False).stderr


@pytest.fixture
def interpreter(tmp_path_factory):
    """Programs for s390x are handed to `touch`, until this is called or the test ends.

    What is registered is so for the whole machine, hence one at a time. It lives as long as it is mounted
    somewhere, and so no longer than our process.
    """
    with turns.turn("binfmt"):
        yield from registered(tmp_path_factory.mktemp("binfmt"))


def registered(place):
    if subprocess.run(
        ["unshare", "-m", "mount", "-t", "binfmt_misc", "none", "/mnt"], check=False
    ).returncode:
        pytest.skip("this kernel has no binfmt_misc")
    touch = place / "touch"
    shutil.copy("/bin/busybox", touch)
    header = "".join(f"\\x{byte:02x}" for byte in _header(Platform("linux", "s390x"))[:20])
    mask = r"\xff" * 20
    rule = f":tiffin-test:M::{header}:{mask}:{touch}:F"
    script = 'mount -t binfmt_misc none /mnt && printf %s "$0" > /mnt/register && echo done && read end'
    script += "; echo -1 > /mnt/tiffin-test"
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", script, rule],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "done\n"

    def off():
        if process.returncode is None:
            process.communicate("\n")

    yield off
    off()


def test_an_interpreter_of_this_system_runs_the_programs_of_another(tiffin, folder, interpreter):
    program = _header(Platform("linux", "s390x"))
    text = (
        'FROM scratch AS one\nCOPY program /\nRUN ["/program", "/made"]\nFROM one\nCOPY --from=one /made /k\n'
    )
    write(folder, {"program": program, "Dockerfile": text})
    build = ("build", "-t", "big", "--platform", "linux/s390x", folder)
    if tiffin.rung != "root" and not BINFMT.exists():  # then only root can see what there is
        assert "binfmt_misc is not mounted" in tiffin(*build, check=False).stderr
        return
    tiffin(*build)
    ended = tiffin("run", "--rm", "big", "/program", "/again")
    assert "is for linux/s390x, and this machine is linux/amd64" in ended.stderr
    interpreter()
    assert "has no emulator for it" in tiffin("run", "--rm", "big", "/program", check=False).stderr
