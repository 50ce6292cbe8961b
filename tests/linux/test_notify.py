"""System calls that another process answers: a child makes them, and this one answers."""

import errno
import os
import signal

import pytest

from tiffin.linux import bpf, notify, prctl, terminal
from tiffin.linux.libc import syscall
from tiffin.linux.sysnum import numbers

MACHINE = os.uname().machine
NUMBERS = numbers(MACHINE)
CALL = NUMBERS["personality"]


def program():
    """A filter that has `personality` answered."""
    return (
        bpf.instruction(bpf.LOAD_WORD, bpf.NUMBER_AT)
        + bpf.instruction(bpf.JUMP_EQUAL, CALL, 0, 1)
        + bpf.instruction(bpf.RETURN, bpf.NOTIFY)
        + bpf.instruction(bpf.RETURN, bpf.ALLOW)
    )


def call(*arguments):
    return syscall("personality", CALL, *arguments)


@pytest.fixture
def child(request):
    """Start a function in a child whose calls are answered; the listener, and how the child ended."""
    running = []

    def start(act):
        ours, theirs = terminal.socket_pair()
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                os.close(ours)
                prctl.set_no_new_privs()
                terminal.send_fd(theirs, bpf.listen(program()))
                code = act()
            finally:
                os._exit(code)
        os.close(theirs)
        fd = terminal.receive_fd(ours)
        os.close(ours)
        running.append((pid, fd))

        def end():
            running.remove((pid, fd))
            os.close(fd)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        return notify.Listener(fd), end

    yield start
    for pid, fd in running:
        os.close(fd)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_calls_are_answered_refused_and_left_to_the_kernel(child):
    def act():
        assert call(1) == 42
        with pytest.raises(PermissionError):
            call(2)
        assert call(0xFFFFFFFF) != 42
        return 7

    listener, end = child(act)
    for number in (1, 2, 0xFFFFFFFF):
        heard = listener.receive()
        assert (heard.number, heard.args[0]) == (CALL, number)
        assert listener.is_waiting(heard)
        if number == 1:
            listener.result(heard, 42)
        elif number == 2:
            listener.fail(heard, errno.EPERM)
        else:
            listener.proceed(heard)
        assert not listener.is_waiting(heard)
    assert listener.receive() is None
    assert end() == 7


def test_a_caller_is_given_what_is_open_here(child, tmp_path):
    (tmp_path / "file").write_text("merlot")

    def act():
        fd = call(1)
        return 7 if os.read(fd, 10) == b"merlot" and not os.get_inheritable(fd) else 8

    listener, end = child(act)
    heard = listener.receive()
    with (tmp_path / "file").open("rb") as file:
        listener.give(heard, file.fileno(), cloexec=True)
    assert end() == 7


def test_a_caller_that_is_killed_while_it_waits(child):
    def act():
        call(1)
        return 7

    listener, end = child(act)
    heard = listener.receive()
    os.kill(heard.pid, signal.SIGKILL)
    assert listener.receive() is None
    assert not listener.is_waiting(heard)
    listener.result(heard, 1)  # to nobody
    assert end() == -signal.SIGKILL


@pytest.mark.parametrize("proc", ["", "/proc"])
def test_the_memory_of_a_caller(child, proc):
    import ctypes  # the child has its own

    text = ctypes.create_string_buffer(b"x" * 5000 + b"end")
    here = ctypes.addressof(text)

    def act():
        call(1)
        return 7

    listener, end = child(act)
    heard = listener.receive()
    memory = notify.Memory(proc)
    assert memory.string(heard.pid, here + 5000) == b"end"
    assert memory.read(heard.pid, here + 4998, 4) == b"xxen"
    with pytest.raises(OSError, match="too long"):
        memory.string(heard.pid, here)
    for address in (0, 1 << 46, (1 << 64) - 16):
        with pytest.raises(OSError, match=r"Bad address|Invalid|Input/output"):
            memory.string(heard.pid, address)
    listener.result(heard, 0)
    assert end() == 7


def test_what_is_written_to_a_caller(child):
    import ctypes

    text = ctypes.create_string_buffer(b"before")

    def act():
        call(1)
        return 7 if text.value == b"behind" else 8

    listener, end = child(act)
    heard = listener.receive()
    listener.write(heard, ctypes.addressof(text), b"behind")
    for address in (0, 1 << 46, (1 << 64) - 16):
        with pytest.raises(OSError, match="Bad address"):
            listener.write(heard, address, b"x")
    listener.result(heard, 0)
    assert end() == 7
    assert text.value == b"before"


@pytest.mark.parametrize("ends", [False, True])
def test_nothing_is_written_to_who_does_not_wait(child, ends):
    import ctypes

    text = ctypes.create_string_buffer(b"before")
    told, telling = os.pipe()

    def act():
        call(1)
        os.read(told, 1)
        return 7 if text.value == b"before" else 8

    listener, end = child(act)
    heard = listener.receive()
    if ends:
        os.kill(heard.pid, signal.SIGKILL)
        assert listener.receive() is None
    else:
        listener.result(heard, 0)
    with pytest.raises(OSError, match=r"No such process|No such file"):
        listener.write(heard, ctypes.addressof(text), b"behind")
    os.write(telling, b"x")
    assert end() == (-signal.SIGKILL if ends else 7)
    os.close(told)
    os.close(telling)


def test_a_process_has_one_such_filter(child):
    def act():
        try:
            bpf.listen(program())
        except OSError as error:
            return error.errno
        return 0

    listener, end = child(act)
    assert listener.receive() is None
    assert end() == errno.EBUSY


def test_calls_can_be_answered_here():
    assert notify.missing() == ""
