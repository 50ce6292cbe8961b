"""Which calls are answered where a process has no root of its own, and what its plan is."""

import errno
import os

import pytest
from tests.runtime.test_seccomp import ALLOW, NUMBERS, interpret

from tiffin.linux import bpf, ptrace
from tiffin.linux.sysnum import numbers
from tiffin.runtime.process import Process
from tiffin.runtime.rare_steps import EnterDirectory
from tiffin.runtime.traced import program, traced
from tiffin.runtime.tracing.answerer import _HANDLERS
from tiffin.runtime.tracing.calls import ANSWERED, architecture, table

FILTER = program("x86_64")
HIGH = 1 << 32


@pytest.mark.parametrize(
    ("name", "arguments", "heard"),
    [
        ("openat", (0, 0, os.O_RDONLY), True),
        ("execve", (), True),
        ("chdir", (), True),
        ("fchdir", (), False),
        ("fchmod", (), True),
        ("read", (), False),
        ("mmap", (), False),
        ("close", (), False),
        ("getuid", (), True),
        ("connect", (), True),
        ("sendto", (3, 0, 0, 0, 0), False),
        ("sendto", (3, 0, 0, 0, 4096), True),
        ("getsockopt", (3, 1, 17), True),
        ("getsockopt", (3, 1 | HIGH, 17 | HIGH), False),
        ("prctl", (4, 0), True),
        ("prctl", (15, 0), False),
        ("prlimit64", (0, 15), True),
    ],
)
def test_which_calls_are_answered(name, arguments, heard):
    assert interpret(FILTER, NUMBERS[name], arguments) == (bpf.NOTIFY if heard else ALLOW)


@pytest.mark.parametrize(
    ("name", "code"),
    [("mount", errno.EPERM), ("open_by_handle_at", errno.EPERM), ("io_uring_setup", errno.ENOSYS)],
)
def test_which_calls_are_refused(name, code):
    assert interpret(FILTER, NUMBERS[name]) == code


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_somebody_answers_each_call_that_is_heard(machine):
    found = table(machine)
    known = numbers(machine)
    for name in ANSWERED:
        if name in known:
            assert found[known[name]].name in _HANDLERS
            assert interpret(program(machine), known[name], arch=architecture(machine)) == bpf.NOTIFY


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_registers_of_each_machine_are_told_apart(machine):
    layout = ptrace.LAYOUTS[machine]
    assert len(set(layout.arguments)) == 6
    assert max(*layout.arguments, layout.number, layout.counter, layout.result) < layout.words


def test_the_process_has_no_right_of_ours():
    process = Process(("true",), bounding=5, permitted=5, ambient=1, no_new_privs=False, uid=7)
    made = traced(process, 0, "/root", "x86_64", ("/journal", ()))
    assert (made.bounding, made.permitted, made.ambient, made.no_new_privs) == (-1, 0, 0, True)
    assert made.trace[1:] == ("/root", "/journal", ("/root",), 5, False)
    assert EnterDirectory("/root").describe()
