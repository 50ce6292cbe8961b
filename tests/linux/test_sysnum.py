"""The numbers are those of the kernel's tables (syscalls(2), asm/unistd.h)."""

import ctypes
import os

import pytest

from tiffin.linux.sysnum import numbers


@pytest.mark.parametrize(
    ("machine", "name", "number"),
    [
        ("x86_64", "read", 0),
        ("x86_64", "newfstatat", 262),
        ("x86_64", "clone", 56),
        ("x86_64", "pivot_root", 155),
        ("x86_64", "seccomp", 317),
        ("x86_64", "uretprobe", 335),
        ("aarch64", "read", 63),
        ("aarch64", "newfstatat", 79),
        ("aarch64", "clone", 220),
        ("aarch64", "pivot_root", 41),
        ("aarch64", "seccomp", 277),
        ("aarch64", "renameat", 38),
        ("i386", "execve", 11),
        ("i386", "socketcall", 102),
        ("i386", "chown32", 212),
        ("arm", "execve", 11),
        ("arm", "openat", 322),
        ("arm", "set_tls", 0xF0005),
    ],
)
def test_numbers_of_the_tables(machine, name, number):
    assert numbers(machine)[name] == number


@pytest.mark.parametrize(
    ("name", "number"), [("pidfd_open", 434), ("clone3", 435), ("mount_setattr", 442), ("mseal", 462)]
)
def test_new_calls_have_one_number_everywhere(name, number):
    assert numbers("x86_64")[name] == numbers("aarch64")[name] == number


def test_calls_of_the_other_architecture_are_missing():
    assert "open" not in numbers("aarch64")
    assert "open" in numbers("x86_64")


def test_an_unknown_machine_has_none():
    assert numbers("pdp11") == {}


def test_the_running_kernel_agrees():
    libc = ctypes.CDLL(None)
    table = numbers(os.uname().machine)
    assert libc.syscall(table["getpid"]) == os.getpid()
    assert libc.syscall(table["getppid"]) == os.getppid()
