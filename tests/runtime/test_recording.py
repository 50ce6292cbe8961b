"""The filter that lets a process answer where there is one id."""

import os

import pytest
from tests.runtime.test_seccomp import ALLOW, NUMBERS, X86_64, interpret

from tiffin.errors import InvalidError
from tiffin.linux import bpf
from tiffin.linux.sysnum import numbers
from tiffin.oci.runtimespec import Seccomp, SeccompRule
from tiffin.runtime.emulation.calls import table
from tiffin.runtime.process import Process
from tiffin.runtime.recording import recording
from tiffin.runtime.seccomp import NOTIFY, compile_filter

I386 = 0x40000003
NATIVE = Seccomp("SCMP_ACT_ALLOW", architectures=("SCMP_ARCH_X86_64",))


def program(profile=NATIVE, machine="x86_64"):
    return recording(Process(args=()), profile, machine, "", ()).owners[0]


@pytest.mark.parametrize(
    ("name", "arguments", "heard"),
    [
        ("chown", (), True),
        ("fchownat", (), True),
        ("setresuid", (), True),
        ("getuid", (), True),
        ("mkdir", (), True),
        ("newfstatat", (), True),
        ("statx", (), True),
        ("execve", (), True),
        ("faccessat2", (), True),
        ("read", (), False),
        ("rename", (), False),
        ("openat", (0, 0, os.O_RDONLY), False),
        ("openat", (0, 0, os.O_CREAT | os.O_WRONLY), True),
        ("openat", (0, 0, os.O_TMPFILE | os.O_RDWR), True),
        ("open", (0, os.O_RDWR), False),
        ("open", (0, os.O_CREAT), True),
        ("prlimit64", (0, 15), True),
        ("prlimit64", (0, 7), False),
        ("prlimit64", (0, 15 | 1 << 32), True),
        ("setrlimit", (15 | 1 << 32,), True),
        ("getsockopt", (3, 1, 17), True),
        ("getsockopt", (3, 1, 4), False),
        ("prctl", (8, 1), True),
        ("prctl", (15, 0), False),
    ],
)
def test_which_calls_are_answered(name, arguments, heard):
    assert interpret(program(), NUMBERS[name], arguments) == (bpf.NOTIFY if heard else ALLOW)


def test_32_bit_programs_are_answered_if_they_may_run():
    both = program(None)
    for name in ("chown", "chown32", "lchown", "setuid32", "getgroups", "mkdirat"):
        assert interpret(both, numbers("i386")[name], arch=I386) == bpf.NOTIFY
        assert interpret(program(), numbers("i386")[name], arch=I386) != bpf.NOTIFY
    assert interpret(both, numbers("i386")["fstat64"], arch=I386) == ALLOW


def test_ids_of_32_bit_programs_may_have_16_bits():
    meanings = table("x86_64")
    for name, meant, narrow in (
        ("chown", "chown", True),
        ("chown32", "chown", False),
        ("fchownat",) * 2 + (False,),
    ):
        meaning = meanings[I386, numbers("i386")[name]]
        assert (meaning.name, meaning.narrow) == (meant, narrow)
    assert not meanings[X86_64, NUMBERS["chown"]].narrow


def test_arm_has_no_calls_without_a_directory():
    arm = program(Seccomp("SCMP_ACT_ALLOW", architectures=("SCMP_ARCH_AARCH64",)), "aarch64")
    names = numbers("aarch64")
    for name in ("fchownat", "newfstatat", "setgroups", "mknodat"):
        assert interpret(arm, names[name], arch=0xC00000B7) == bpf.NOTIFY


def test_profiles_of_users_cannot_have_calls_answered():
    profile = Seccomp("SCMP_ACT_ALLOW", syscalls=(SeccompRule(("chown",), NOTIFY),))
    with pytest.raises(InvalidError, match="NOTIFY is not supported"):
        compile_filter(profile, "x86_64")
