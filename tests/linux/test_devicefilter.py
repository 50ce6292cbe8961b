"""The program about devices, carried out here as the kernel would, and loaded by it where we may."""

import os
import struct
import subprocess
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.linux.devicefilter import attach, compile_rules, obstacle
from tiffin.runtime.cgroups.hierarchy import read_hierarchies

ACCESS = {"m": 1, "r": 2, "w": 4}
NUMBER = st.integers(0, 3)
NUMBERS = st.none() | NUMBER
LETTERS = st.sets(st.sampled_from("rwm"), min_size=1).map("".join)
RULES = st.lists(st.tuples(st.sampled_from("bc"), NUMBERS, NUMBERS, LETTERS), max_size=4)


def ask(program, kind, access, major, minor):
    """What the program answers: a machine with the seven instructions that it is made of."""
    wanted = sum(ACCESS[letter] for letter in access)
    context = struct.pack("<III", wanted << 16 | {"b": 1, "c": 2}[kind], major, minor)
    registers, at = [0] * 10, 0
    while True:
        code, both, offset, value = struct.unpack_from("<BBhI", program, at * 8)
        target, source = both & 15, both >> 4
        at += 1
        match code:
            case 0x61:
                (registers[target],) = struct.unpack_from("<I", context, offset)
            case 0x54:
                registers[target] &= value
            case 0x74:
                registers[target] >>= value
            case 0xBC:
                registers[target] = registers[source]
            case 0xB7:
                registers[target] = value
            case 0x56:
                at += offset if registers[target] != value else 0
            case 0x95:
                return registers[0]


@given(
    rules=RULES, kind=st.sampled_from("bc"), access=LETTERS, major=st.integers(0, 3), minor=st.integers(0, 3)
)
def test_what_one_rule_allows_can_be_done(rules, kind, access, major, minor):
    allowed = any(
        kind == rule[0]
        and rule[1] in (None, major)
        and rule[2] in (None, minor)
        and set(access) <= set(rule[3])
        for rule in rules
    )
    assert ask(compile_rules(rules), kind, access, major, minor) == allowed


def test_all_devices():
    program = compile_rules([("c", 1, 3, "r"), ("a", None, None, "rwm")])
    for kind, access in product("bc", ("r", "rwm")):
        assert ask(program, kind, access, 9, 9) == 1


def test_large_numbers():
    program = compile_rules([("b", 4294967295, 1 << 31, "r")])
    assert ask(program, "b", "r", 4294967295, 1 << 31) == 1
    assert ask(program, "b", "r", 4294967294, 1 << 31) == 0


@pytest.mark.live
def test_the_kernel_says_why_it_takes_none():
    said = obstacle()
    if os.geteuid() == 0:
        assert said == ""
    else:
        assert "cannot be loaded" in said


@pytest.mark.live
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may load the program")
def test_the_kernel_asks_it(tmp_path):
    found = read_hierarchies(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
    group = Path(found.v2.mount) / f"tiffin-test-{os.getpid()}"
    group.mkdir()
    try:
        attach(group, compile_rules([("c", 1, 5, "r"), ("c", 1, 3, "w"), ("b", None, None, "rwm")]))
        script = (
            'echo $$ > "$0"/cgroup.procs; head -c 1 /dev/zero | wc -c; echo x > /dev/null && echo written; '
        )
        script += "head -c 1 /dev/null || echo closed; head -c 1 /dev/full || echo shut"
        done = subprocess.run(["sh", "-c", script, group], capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["1", "written", "closed", "shut"], done.stderr
    finally:
        group.rmdir()


@pytest.mark.parametrize("rules", [[], [("c", 1, 3, "rwm")], [("c", None, None, "m"), ("b", 8, 0, "rw")]])
def test_programs_are_whole_instructions(rules):
    assert len(compile_rules(rules)) % 8 == 0
