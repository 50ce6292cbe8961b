"""Which interpreter would run a platform's programs, with handlers as Debian's qemu-user registers them."""

import pytest

from tiffin.build.emulation import Emulator, below, find_emulator, may_bring
from tiffin.build.graph import BaseImage, Copy, Run, Source
from tiffin.build.plan import PlanRequest, plan
from tiffin.dockerfile.parser import parse
from tiffin.linux.binfmt import Handler
from tiffin.oci.config import ImageConfig
from tiffin.oci.digest import DiffID
from tiffin.oci.platform import Platform

_MASK = "ffffffffffffff00fffffffffffffffffeffffff"
_BIG = "ffffffffffffff00fffffffffffffffffffeffff"
# From qemu's scripts/qemu-binfmt-conf.sh.
MAGIC = {
    "aarch64": ("7f454c460201010000000000000000000200b700", _MASK),
    "arm": ("7f454c4601010100000000000000000002002800", _MASK),
    "i386": ("7f454c4601010100000000000000000002000300", "fffffffffffefefffffffffffffffffffeffffff"),
    "ppc64le": ("7f454c4602010100000000000000000002001500", "ffffffffffffff00fffffffffffffffffeffff00"),
    "riscv64": ("7f454c460201010000000000000000000200f300", _MASK),
    "s390x": ("7f454c4602020100000000000000000000020016", _BIG),
    "mips64": ("7f454c4602020100000000000000000000020008", _BIG),
    "mips": ("7f454c4601020100000000000000000000020008", _BIG),
}
HANDLERS = [
    Handler(f"qemu-{name}", f"/usr/bin/qemu-{name}", "OCF", 0, bytes.fromhex(magic), bytes.fromhex(mask))
    for name, (magic, mask) in MAGIC.items()
]


@pytest.mark.parametrize(
    ("platform", "name"),
    [
        ("linux/arm64", "aarch64"),
        ("linux/arm/v7", "arm"),
        ("linux/arm/v6", "arm"),
        ("linux/386", "i386"),
        ("linux/ppc64le", "ppc64le"),
        ("linux/riscv64", "riscv64"),
        ("linux/s390x", "s390x"),
        ("linux/mips64", "mips64"),
        ("linux/mips", "mips"),
        ("linux/amd64", None),
        ("linux/loong64", None),
        ("linux/z80", None),
        ("windows/arm64", None),
    ],
)
def test_the_interpreter_of_a_platform(platform, name):
    expected = None if name is None else Emulator(f"/usr/bin/qemu-{name}", inside=False)
    assert find_emulator(Platform.parse(platform), HANDLERS) == expected


def test_one_that_works_everywhere_is_preferred():
    plain = HANDLERS[0]._replace(flags="", interpreter="/opt/old")
    arm64 = Platform.parse("arm64")
    assert find_emulator(arm64, [plain]) == Emulator("/opt/old", inside=True)
    assert find_emulator(arm64, [plain, HANDLERS[0]]) == Emulator("/usr/bin/qemu-aarch64", inside=False)
    assert find_emulator(arm64, []) is None


def test_what_lies_below_a_step():
    def resolve(name, _platform, _where):
        return BaseImage(name, ImageConfig("arm64", "linux"), (DiffID.of(name.encode()),))

    text = "FROM a\nCOPY qemu /usr/bin/\nRUN one\nCOPY x /y\nRUN two\n"
    graph = plan(parse(text), PlanRequest(Platform.parse("arm64")), resolve)
    last = [vertex for vertex in graph.vertices if isinstance(vertex.op, Run)][-1]
    source, copies = below(graph, last)
    assert isinstance(source, Source)
    assert source.reference == "a"
    assert [copy.destination for copy in copies] == ["/y", "/usr/bin/"]


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("/usr/bin/qemu", True),
        ("/usr/bin/", True),
        ("/usr/bin", True),
        ("/", True),
        ("/usr/local", False),
        ("/usr/bin/qemu/", True),
    ],
)
def test_whether_a_copy_may_bring_it(destination, expected):
    assert may_bring(Copy(("x",), (), destination), "/usr/bin/qemu") == expected
