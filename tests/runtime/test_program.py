"""How a program is executed that was opened before: by its descriptor, or what leads to the same file."""

import errno
import os

import pytest

from tiffin.runtime import program


@pytest.mark.parametrize(("there", "tried"), [(True, [7, "/proc/self/fd/7"]), (False, [7])])
def test_where_no_descriptor_is_executed_its_link_is_or_the_name(monkeypatch, there, tried):
    seen = []

    def execve(what, _args, _env):
        seen.append(what)
        if what == 7:
            raise FileNotFoundError(errno.ENOENT, "no such file")

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(os.path, "exists", lambda _path: there)
    program._execute_open(7, ("sh",), {})
    assert seen == tried


@pytest.mark.parametrize(("code", "pinned"), [(errno.ENOSYS, True), (errno.EACCES, False), (0, True)])
def test_a_program_is_pinned_unless_it_is_known_to_be_out_of_reach(monkeypatch, code, pinned):
    def syscall(*_arguments):
        if code:
            raise OSError(code, "no")

    monkeypatch.setattr(program, "syscall", syscall)
    assert program.overwritable(3) == pinned
